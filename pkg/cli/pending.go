package cli

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"example.com/fanout/pkg/admin"
	"example.com/fanout/pkg/telemetry"
)

func (e *env) pendingCommand() *cobra.Command {
	var (
		address, output string
		q               admin.PendingQuery
		limit           int
	)
	cmd := &cobra.Command{
		Use:   "pending GROUP",
		Short: "List what a group has pending: delivered, and not settled yet",
		Long: `List what a group has pending: entries that were delivered and are not settled
yet. How much is pending under each consumer's name comes first, then the entries
in the order of the stream. A name that belongs to no running process keeps its
entries until others take them over (claim.min_idle).`,
		Example: `  fanout pending persistence
  fanout pending persistence --consumer host-0 --min-idle 1m --limit 0`,
		Args:              oneGroup,
		ValidArgsFunction: e.completeGroup,
		RunE: func(cmd *cobra.Command, args []string) error {
			if limit < 0 || q.MinIdle < 0 {
				return usage("--limit and --min-idle are not negative")
			}
			client, err := e.client(address)
			if err != nil {
				return err
			}
			return interruptible(cmd.Context(), func(ctx context.Context) error {
				page, err := allPending(ctx, client, args[0], q, limit)
				if err != nil {
					return client.fail(err)
				}
				return e.show(output, page, func() { e.printPending(page) })
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&q.Consumer, "consumer", "", "only entries of this `CONSUMER`")
	flags.DurationVar(&q.MinIdle, "min-idle", 0, "only entries that nobody has touched for this `DURATION`")
	flags.IntVar(&limit, "limit", 100, "at most `N` entries; 0: all")
	outputFlag(cmd, &output, "table", "json")
	e.adminFlag(cmd, &address)
	return cmd
}

// allPending asks for page after page.
func allPending(ctx context.Context, client runningFanout, group string, q admin.PendingQuery, limit int) (admin.PendingPage, error) {
	const most = 1000 // of one page
	var all admin.PendingPage
	for first := true; ; first = false {
		q.Limit = most
		if limit > 0 {
			q.Limit = min(most, limit-len(all.Entries))
		}
		page, err := client.Pending(ctx, group, q)
		if err != nil {
			return all, err
		}
		if first {
			all = page
		} else {
			all.Entries, all.Next = append(all.Entries, page.Entries...), page.Next
		}
		if page.Next == nil || limit > 0 && len(all.Entries) >= limit {
			return all, nil
		}
		q.After = *page.Next
	}
}

func (e *env) printPending(p admin.PendingPage) {
	if p.Total == 0 {
		fmt.Fprintf(e.out, "%s has nothing pending\n", p.Group)
		return
	}
	fmt.Fprintf(e.out, "%s has %s pending, from %s to %s\n\n", p.Group, telemetry.Plural(p.Total, "entry"), withTime(p.Oldest), withTime(p.Newest))
	totals := columns{right: []bool{1: true}}
	rows := [][]cell{texts("CONSUMER", "PENDING")}
	for _, c := range p.Consumers {
		rows = append(rows, texts(printable(c.Name, 80), number(c.Pending)))
	}
	e.printRows(&totals, rows)
	if len(p.Entries) == 0 {
		fmt.Fprintln(e.out, "\nno entry of it is meant")
		return
	}
	fmt.Fprintln(e.out)
	entries := columns{right: []bool{2: true, 3: true}}
	rows = [][]cell{texts("ENTRY", "CONSUMER", "IDLE", "DELIVERIES")}
	for _, one := range p.Entries {
		idle := time.Duration(one.IdleSeconds * float64(time.Second))
		rows = append(rows, texts(one.ID.String(), printable(one.Consumer, 80), ago(time.Now().Add(-idle), time.Now()), strconv.FormatInt(one.Deliveries, 10)))
	}
	e.printRows(&entries, rows)
	if p.Next != nil && int64(len(p.Entries)) < p.Total {
		fmt.Fprintln(e.out, "there may be more; --limit 0 shows all")
	}
}

// printRows prints rows that are laid out as one table.
func (e *env) printRows(c *columns, rows [][]cell) {
	for _, row := range rows {
		c.fit(row)
	}
	for _, row := range rows {
		fmt.Fprintln(e.out, c.line(row))
	}
}
