package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"example.com/fanout/pkg/app"
	"example.com/fanout/pkg/manifest"
	"example.com/fanout/pkg/redisstream"
	"example.com/fanout/pkg/stream"
	"example.com/fanout/pkg/telemetry"
)

func (e *env) orphansCommand() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "orphans",
		Short: "List groups and entries in Redis that belong to nobody",
		Long: `List what belongs to nobody in the streams of the manifest, with what it holds
back: groups that the manifest does not name, and consumers with pending entries
whose process is gone. It works on Redis itself and changes nothing.

A group that nobody needs keeps retention from trimming what it has not read; it
is removed with redis-cli XGROUP DESTROY STREAM GROUP. What a consumer has left,
its group takes over after claim.min_idle when it runs.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return e.withStreams(cmd, func(ctx context.Context, _ *manifest.Manifest, s *app.Streams) error {
				all, err := s.Orphans(ctx)
				if err != nil {
					return fail(err)
				}
				if output == "json" {
					return e.json(newOrphansJSON(all))
				}
				e.printOrphans(all)
				return nil
			})
		},
	}
	outputFlag(cmd, &output, "table", "json")
	return cmd
}

func (e *env) printOrphans(all []app.StreamOrphans) {
	if len(all) == 0 {
		fmt.Fprintln(e.out, "nothing in Redis is without an owner")
	}
	for _, o := range all {
		name := printable(o.Stream, 200)
		if len(o.Groups) > 0 {
			fmt.Fprintf(e.out, "%s: %s that %s does not name\n", name, telemetry.Plural(len(o.Groups), "group"), e.config)
			e.printNeeds(o.Groups, func(n redisstream.Need) string {
				if n.Consumers == 0 {
					return "without consumers"
				}
				return ""
			})
		}
		if len(o.Consumers) == 0 {
			continue
		}
		fmt.Fprintf(e.out, "%s: %s left entries behind\n", name, telemetry.Plural(len(o.Consumers), "consumer"))
		c := columns{right: []bool{2: true}}
		rows := [][]cell{texts("  GROUP", "CONSUMER", "PENDING", "OLDEST PENDING", "IDLE")}
		for _, one := range o.Consumers {
			rows = append(rows, texts("  "+printable(one.Group, 200), printable(one.Name, 200), number(one.Pending), one.OldestPending.String(), idle(one.Idle)))
		}
		e.printRows(&c, rows)
	}
}

// orphansJSON is the list as JSON.
type orphansJSON struct {
	Groups    []orphanGroupJSON    `json:"groups"`
	Consumers []orphanConsumerJSON `json:"consumers"`
}

type orphanGroupJSON struct {
	Stream string `json:"stream"`
	needJSON
}

type orphanConsumerJSON struct {
	Stream        string    `json:"stream"`
	Group         string    `json:"group"`
	Consumer      string    `json:"consumer"`
	Pending       int64     `json:"pending"`
	OldestPending stream.ID `json:"oldest_pending"`
	IdleSeconds   float64   `json:"idle_seconds"`
}

func newOrphansJSON(all []app.StreamOrphans) orphansJSON {
	out := orphansJSON{Groups: []orphanGroupJSON{}, Consumers: []orphanConsumerJSON{}}
	for _, o := range all {
		for _, n := range o.Groups {
			out.Groups = append(out.Groups, orphanGroupJSON{o.Stream, newNeedJSON(n)})
		}
		for _, c := range o.Consumers {
			out.Consumers = append(out.Consumers, orphanConsumerJSON{o.Stream, c.Group, c.Name, c.Pending, c.OldestPending, c.Idle.Seconds()})
		}
	}
	return out
}
