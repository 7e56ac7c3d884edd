package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"example.com/fanout/pkg/app"
	"example.com/fanout/pkg/manifest"
	"example.com/fanout/pkg/redisstream"
	"example.com/fanout/pkg/telemetry"
)

func (e *env) trimCommand() *cobra.Command {
	var (
		output string
		dry    bool
	)
	cmd := &cobra.Command{
		Use:   "trim [STREAM...]",
		Short: "Trim streams by their retention, once",
		Long: `Trim streams by the retention that the manifest gives them, once; without names
all that have one. It works on Redis itself: no fanout needs to run, and one that
runs does the same by itself. What a group still needs, pending or not delivered
yet, stays unless policy: drop_and_report lets it go, and nothing is trimmed while
a group of the manifest is missing in Redis.

With --dry-run it counts in Redis what would go, which takes a while in a long
stream, and changes nothing.`,
		Example: `  fanout trim --dry-run
  fanout trim events_stream`,
		ValidArgsFunction: e.completeRetained,
		RunE: func(cmd *cobra.Command, args []string) error {
			return e.withStreams(cmd, func(ctx context.Context, m *manifest.Manifest, s *app.Streams) error {
				chosen, err := e.retained(m, args)
				if err != nil {
					return err
				}
				return e.trim(ctx, s, chosen, dry, output)
			})
		},
	}
	cmd.Flags().BoolVarP(&dry, "dry-run", "n", false, "say what would be trimmed, and trim nothing")
	outputFlag(cmd, &output, "table", "json")
	return cmd
}

// retained are the retentions of these streams, or of all.
func (e *env) retained(m *manifest.Manifest, streams []string) ([]manifest.Retention, error) {
	if len(streams) == 0 && len(m.Retention) == 0 {
		streams = m.Streams()[:1]
	}
	chosen := m.Retention
	if len(streams) > 0 {
		chosen = nil
	}
	for _, name := range streams {
		i := slices.IndexFunc(m.Retention, func(r manifest.Retention) bool { return r.Stream == name })
		switch {
		case i >= 0:
			chosen = append(chosen, m.Retention[i])
		case slices.Contains(m.Streams(), name):
			return nil, usage("%s has no retention in %s; to trim what every group has settled, add at its end\n\nretention:\n  %q: {}\n", printable(name, 200), e.config, name)
		default:
			return nil, usage("no group reads %s; the streams of %s are %s", printable(name, 200), e.config, strings.Join(m.Streams(), ", "))
		}
	}
	return chosen, nil
}

func (e *env) trim(ctx context.Context, s *app.Streams, chosen []manifest.Retention, dry bool, output string) error {
	var (
		done    []streamJSON
		waiting []string
	)
	for _, r := range chosen {
		var (
			t   redisstream.Trimmed
			err error
		)
		if dry {
			t, err = s.Plan(ctx, r)
		} else {
			progress := e.newProgress(0)
			t, err = s.Trim(ctx, r, progress.update)
			progress.end()
		}
		if err != nil {
			if t.Entries > 0 && !dry {
				err = fmt.Errorf("after %s of %s were trimmed: %w", telemetry.Plural(t.Entries, "entry"), r.Stream, err)
			}
			return fail(err)
		}
		if t.There && len(t.Missing) > 0 && !dry {
			waiting = append(waiting, r.Stream)
		}
		done = append(done, newStreamJSON(r, t))
		if output == "table" {
			e.printTrimmed(r, t, dry)
		}
	}
	if output == "json" {
		if err := e.json(map[string]any{"dry_run": dry, "streams": done}); err != nil {
			return err
		}
	}
	if len(waiting) > 0 {
		return fail(errors.New("not trimmed, for a group is missing: " + strings.Join(waiting, ", ") +
			"; fanout run makes the groups of the manifest, enabled: false lets go of one"))
	}
	return nil
}

// withStreams runs do with the streams of the manifest; an interrupt ends it.
func (e *env) withStreams(cmd *cobra.Command, do func(context.Context, *manifest.Manifest, *app.Streams) error) error {
	m, err := e.manifest()
	if err != nil {
		return err
	}
	s, err := app.OpenStreams(m, e.logger())
	if err != nil {
		return fail(err)
	}
	defer s.Close()
	return interruptible(cmd.Context(), func(ctx context.Context) error { return do(ctx, m, s) })
}

// completeRetained completes names of streams that have a retention.
func (e *env) completeRetained(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	m, _ := app.Load(e.config, e.registry)
	var names []string
	if m != nil {
		for _, r := range m.Retention {
			if !slices.Contains(args, r.Stream) {
				names = append(names, r.Stream)
			}
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
