package cli

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/spf13/cobra"

	"example.com/fanout/pkg/admin"
	"example.com/fanout/pkg/stream"
	"example.com/fanout/pkg/telemetry"
)

func (e *env) seekCommand() *cobra.Command {
	var (
		address, output string
		request         admin.SeekRequest
		yes             bool
	)
	cmd := &cobra.Command{
		Use:   "seek GROUP",
		Short: "Show where a group stands, or move it to another position",
		Long: `Show where a group of a running fanout stands, or move it to another position. To
be moved it must be paused or stopped, in every process that runs it. POSITION is
earliest (the first entry), latest (after the last one), the ID of an entry (after
it), a time (from it on) as 2006-01-02T15:04:05Z or 2006-01-02, or -1h for an hour
ago. Entries that are pending stay so and are handled in any case.

--rebuild deletes what the group has stored and moves it to the first entry, so
that everything is built anew. The stream must still have all of its entries.`,
		Example: `  fanout seek analytics
  fanout seek analytics --to -1h --dry-run
  fanout pause analytics && fanout seek analytics --to earliest && fanout resume analytics
  fanout seek analytics --rebuild`,
		Args:              oneGroup,
		ValidArgsFunction: e.completeGroup,
		RunE: func(cmd *cobra.Command, args []string) error {
			if request.To == "" && !request.Rebuild && request.DryRun {
				return usage("--dry-run needs --to or --rebuild")
			}
			if request.Rebuild && !request.DryRun && !yes && !e.canAsk() {
				return usage("--rebuild deletes what the group has stored and cannot ask here: add --yes")
			}
			client, err := e.client(address)
			if err != nil {
				return err
			}
			request.To = withZone(request.To)
			return interruptible(cmd.Context(), func(ctx context.Context) error {
				if request.To == "" && !request.Rebuild {
					p, err := client.Position(ctx, args[0])
					if err != nil {
						return client.fail(err)
					}
					return e.show(output, p, func() { e.printPosition(p) })
				}
				done, err := e.seek(ctx, client, args[0], request, yes)
				if err != nil {
					return err
				}
				return e.show(output, done, func() { e.printSeek(done) })
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&request.To, "to", "", "move the group to this `POSITION`")
	flags.BoolVar(&request.Rebuild, "rebuild", false, "delete what the group has stored and begin with the first entry")
	flags.BoolVarP(&request.DryRun, "dry-run", "n", false, "say what the move would come to, and change nothing")
	flags.BoolVarP(&yes, "yes", "y", false, "do not ask before a rebuild")
	outputFlag(cmd, &output, "table", "json")
	e.adminFlag(cmd, &address)
	return cmd
}

// seek asks before it deletes anything.
func (e *env) seek(ctx context.Context, client runningFanout, group string, r admin.SeekRequest, yes bool) (admin.Seek, error) {
	if r.Rebuild && !r.DryRun && !yes {
		dry := r
		dry.DryRun = true
		would, err := client.Seek(ctx, group, dry)
		if err != nil {
			return admin.Seek{}, client.fail(err)
		}
		e.printSeek(would)
		if !e.confirm(fmt.Sprintf("delete what %s has stored? type yes: ", group)) {
			return admin.Seek{}, fail(errors.New("nothing was changed"))
		}
	}
	done, err := client.Seek(ctx, group, r)
	if err != nil {
		return admin.Seek{}, client.fail(err)
	}
	return done, nil
}

// show prints a value as JSON, or with text.
func (e *env) show(output string, v any, text func()) error {
	if output == "json" {
		return e.json(v)
	}
	text()
	return nil
}

// withZone gives a time of this machine's zone the zone: the server may be in
// another one.
func withZone(position string) string {
	for _, layout := range []string{"2006-01-02T15:04:05", time.DateTime, time.DateOnly} {
		if at, err := time.ParseInLocation(layout, position, time.Local); err == nil {
			return at.Format(time.RFC3339)
		}
	}
	return position
}

func (e *env) printPosition(p admin.Position) {
	if p.LastDelivered == nil {
		fmt.Fprintf(e.out, "%s: Redis does not have the group\n", p.Group)
		return
	}
	var c columns
	c.fit(texts("  settled up to"))
	show := func(name, format string, args ...any) {
		fmt.Fprintln(e.out, c.line(texts("  "+name, printable(fmt.Sprintf(format, args...), 300))))
	}
	fmt.Fprintf(e.out, "%s stands at %s\n", p.Group, withTime(p.LastDelivered))
	show("settled up to", "%s", withTime(p.LowWater))
	if p.OldestPending != nil {
		show("pending", "%d, the oldest %s", p.Pending, withTime(p.OldestPending))
	} else {
		show("pending", "%d", p.Pending)
	}
	if p.Lag != nil {
		show("lag", "%d", *p.Lag)
	} else {
		show("lag", "unknown")
	}
	first := "is empty"
	if p.FirstEntry != nil {
		first = "from " + withTime(p.FirstEntry)
	}
	show("stream", "%s: %s %s, last ID %s", p.Stream, telemetry.Plural(p.Length, "entry"), first, withTime(p.LastGenerated))
}

// withTime is an ID with its time, where that can be one.
func withTime(id *stream.ID) string {
	const since2000 = 946_684_800_000
	switch {
	case id == nil:
		return "unknown"
	case id.Ms < since2000:
		return id.String()
	}
	return id.String() + " (" + id.Time().Format(time.DateTime) + ")"
}

// after says where a group goes on.
func after(id stream.ID) string {
	switch {
	case id.IsZero():
		return "with the first entry"
	case id.Seq == math.MaxUint64: // it stands for a time
		return "with the first entry from " + id.Next().Time().Format(time.DateTime) + " on"
	}
	return "after " + withTime(&id)
}

func (e *env) printSeek(s admin.Seek) {
	verb := "goes on"
	if s.DryRun {
		verb = "would go on"
	}
	from := "it was missing in Redis"
	if s.From != nil {
		from = "it stood at " + withTime(s.From)
	}
	fmt.Fprintf(e.out, "%s %s %s; %s\n", s.Group, verb, after(s.To), from)
	least := ""
	if !s.Exact {
		least = "more than "
	}
	switch {
	case s.Repeats > 0 && s.Rebuild:
		fmt.Fprintf(e.out, "  repeats %s%s\n", least, telemetry.Plural(s.Repeats, "entry"))
	case s.Repeats > 0 && s.Effect != "":
		fmt.Fprintf(e.out, "  repeats %s%s; a repeated entry %s\n", least, telemetry.Plural(s.Repeats, "entry"), printable(s.Effect, 200))
	case s.Repeats > 0:
		fmt.Fprintf(e.out, "  repeats %s%s; what the handler makes of a repeated entry is not known\n", least, telemetry.Plural(s.Repeats, "entry"))
	case s.Skips > 0:
		fmt.Fprintf(e.out, "  skips %s%s\n", least, telemetry.Plural(s.Skips, "entry"))
	default:
		fmt.Fprintln(e.out, "  repeats and skips nothing")
	}
	for _, note := range s.Notes {
		fmt.Fprintf(e.out, "  %s\n", printable(note, 400))
	}
	if !s.DryRun {
		fmt.Fprintf(e.out, "  fanout start %s lets it run\n", s.Group)
	}
}
