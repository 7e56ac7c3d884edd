package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"example.com/fanout/pkg/admin"
	"example.com/fanout/pkg/stream"
)

func (e *env) explainCommand() *cobra.Command {
	var address, output, name string
	cmd := &cobra.Command{
		Use:   "explain ENTRY-ID",
		Short: "Tell what every group has made of one entry",
		Long: `Tell what every group has made of one entry: not delivered yet, pending, settled,
dead, replaying, or gone before it was delivered. What cannot be told is called
unknown. Groups that the manifest does not have are shown with their name in Redis.`,
		Example: `  fanout explain 1763856000123-0
  fanout explain 1763856000123-0 --stream events_stream -o json`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return fmt.Errorf("%s needs the ID of an entry", cmd.Name())
			}
			return noArguments(cmd, args[1:])
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := stream.ParseID(args[0])
			if err != nil {
				return usage("%.80q: want the ID of an entry as 1763856000123-0", args[0])
			}
			client, err := e.client(address)
			if err != nil {
				return err
			}
			return interruptible(cmd.Context(), func(ctx context.Context) error {
				x, err := client.Explain(ctx, id, name)
				if err != nil {
					return client.fail(err)
				}
				return e.show(output, x, func() { e.printExplanation(x) })
			})
		},
	}
	cmd.Flags().StringVar(&name, "stream", "", "look in this `STREAM` alone (default all of the manifest)")
	outputFlag(cmd, &output, "table", "json")
	e.adminFlag(cmd, &address)
	return cmd
}

func (e *env) printExplanation(x admin.Explanation) {
	for _, s := range x.Streams {
		what := "is in the stream"
		if !s.There {
			what = printable(s.Note, 300)
		}
		fmt.Fprintf(e.out, "%s in %s: %s\n", withTime(&x.ID), printable(s.Stream, 200), what)
	}
	if len(x.Groups) == 0 {
		fmt.Fprintln(e.out, "no group reads it")
		return
	}
	var c columns
	several := len(x.Streams) > 1
	rows := [][]cell{texts("GROUP", "STATE", "DETAIL")}
	for _, g := range x.Groups {
		group := g.Group
		if group == "" {
			group = g.RedisGroup + " (not in the manifest)"
		}
		if several {
			group += " of " + g.Stream
		}
		detail := g.Detail
		if g.Reason != "" {
			detail += ": " + g.Reason
		}
		rows = append(rows, texts(printable(group, 80), g.State, printable(detail, 300)))
	}
	e.printRows(&c, rows)
}
