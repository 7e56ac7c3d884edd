package cli

import (
	"bytes"
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
		Short: "Show what each group would do with one event, without Redis",
		Long: `Show which groups take one event and what they would write or send, without
Redis and without doing it. The file holds what a producer would write into the
entry's field; for groups with payload format "fields" it is a JSON object of
all fields, as strings. Exit code 1: the entry would be buried in some group.`,
		Example: `  fanout eval -e trade.json
  redis-cli --raw XREVRANGE events_stream + - COUNT 1 | tail -1 | fanout eval -e -`,
		Args: noArguments,
		RunE: func(*cobra.Command, []string) error {
			entryID, err := sampleID(id)
			if err != nil {
				return usage("--id: %w", err)
			}
			m, err := e.manifest()
			if err != nil {
				return err
			}
			payload, err := e.readSample(file)
			if err != nil {
				return fail(fmt.Errorf("read event: %w", err))
			}
			verdicts := app.Evaluate(m, version(), entryID, payload)
			if output == "json" {
				err = e.json(map[string]any{"groups": verdicts})
			} else {
				err = e.printVerdicts(verdicts)
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
	cmd.Flags().StringVarP(&file, "event", "e", "", "read the event from `FILE`; - is standard input")
	_ = cmd.MarkFlagRequired("event") // the flag exists
	cmd.Flags().StringVar(&id, "id", "", "`ID` that the entry would have (default now)")
	outputFlag(cmd, &output, "text", "json")
	return cmd
}

func (e *env) printVerdicts(verdicts []app.Verdict) error {
	const longest = 1000
	for _, v := range verdicts {
		fmt.Fprintf(e.out, "%s: %s", v.Group, v.Verdict)
		if v.Reason != "" {
			fmt.Fprintf(e.out, ": %s", printable(v.Reason, longest))
		}
		fmt.Fprintln(e.out)
		if v.Effect == nil {
			continue
		}
		text, err := indentedJSON(v.Effect, "  ")
		if err != nil {
			return fail(fmt.Errorf("show what %s would do: %w", v.Group, err))
		}
		fmt.Fprintf(e.out, "  %s: %s", v.Handler, text)
	}
	return nil
}

// readSample reads the event. The line break that editors and shells put at the
// end is not part of it.
func (e *env) readSample(file string) ([]byte, error) {
	in := e.in
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	payload, err := io.ReadAll(io.LimitReader(in, maxSample+1))
	if err != nil {
		return nil, err
	}
	if len(payload) > maxSample {
		return nil, fmt.Errorf("more than %d MiB", maxSample>>20)
	}
	return bytes.TrimSuffix(bytes.TrimSuffix(payload, []byte("\n")), []byte("\r")), nil
}

func sampleID(text string) (stream.ID, error) {
	if text == "" {
		return stream.ID{Ms: uint64(time.Now().UnixMilli())}, nil
	}
	return stream.ParseID(text)
}
