package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"example.com/fanout/pkg/app"
	"example.com/fanout/pkg/stream"
)

// maxSample bounds the file of eval.
const maxSample = 64 << 20

func (e *env) evalCommand() *cobra.Command {
	var output, file, id string
	cmd := &cobra.Command{
		Use:   "eval -e FILE",
		Short: "Say which groups take one event and what they would do with it, without Redis",
		Long: `Say which groups take one event and what they would write or send, without
Redis and without doing it. The file holds the payload as a producer would
write it into the entry's field; - is standard input. Exit code 1: the entry
would be buried in some group.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			m, faults := app.Load(e.config, e.registry)
			if m == nil {
				for _, f := range faults {
					fmt.Fprintln(e.err, f)
				}
				return fail(fmt.Errorf("%s has %s", e.config, plural(len(faults.Errors()), "fault")))
			}
			payload, err := readSample(file)
			if err != nil {
				return fail(err)
			}
			entryID, err := sampleID(id)
			if err != nil {
				return usage("--id: %w", err)
			}
			verdicts := app.Evaluate(m, entryID, payload)
			if output == "json" {
				err = e.json(map[string]any{"groups": verdicts})
			} else {
				err = e.evalText(verdicts)
			}
			if err != nil {
				return err
			}
			for _, v := range verdicts {
				if v.Verdict == app.WouldBury {
					return &exitError{code: exitFailure}
				}
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&file, "event", "e", "", "file with the event (- for standard input)")
	_ = cmd.MarkFlagRequired("event") // the flag exists
	cmd.Flags().StringVar(&id, "id", "", "ID that the entry would have (default: now)")
	outputFlag(cmd, &output, "text", "json")
	return cmd
}

func (e *env) evalText(verdicts []app.Verdict) error {
	for _, v := range verdicts {
		fmt.Fprintf(e.out, "%s: %s", v.Group, v.Verdict)
		if v.Reason != "" {
			fmt.Fprintf(e.out, ": %s", v.Reason)
		}
		fmt.Fprintln(e.out)
		if v.Effect == nil {
			continue
		}
		text, err := json.MarshalIndent(v.Effect, "  ", "  ")
		if err != nil {
			return fail(err)
		}
		fmt.Fprintf(e.out, "  %s: %s\n", v.Handler, text)
	}
	return nil
}

func readSample(file string) ([]byte, error) {
	in := io.Reader(os.Stdin)
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, fmt.Errorf("read event: %w", err)
		}
		defer f.Close()
		in = f
	}
	payload, err := io.ReadAll(io.LimitReader(in, maxSample+1))
	if err != nil {
		return nil, fmt.Errorf("read event: %w", err)
	}
	if len(payload) > maxSample {
		return nil, fmt.Errorf("read event: more than %d MiB", maxSample>>20)
	}
	return bytes.TrimSpace(payload), nil
}

func sampleID(text string) (stream.ID, error) {
	if text == "" {
		return stream.ID{Ms: uint64(time.Now().UnixMilli())}, nil
	}
	return stream.ParseID(text)
}
