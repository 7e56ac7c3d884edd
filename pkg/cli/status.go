package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"example.com/fanout/pkg/admin"
	"example.com/fanout/pkg/telemetry"
)

type statusFlags struct {
	output, address string
	watch, check    bool
}

func (e *env) statusCommand() *cobra.Command {
	var f statusFlags
	cmd := &cobra.Command{
		Use:   "status [GROUP]",
		Short: "Show how the groups of a running fanout are",
		Long: `Show how the groups of a running fanout are, or more about one of them. What
Redis cannot tell is shown as unknown.

Verdicts:
  OK         keeps up, catches up, or has nothing to do
  LAGGING    moves, but falls behind
  STALLED    does not move though entries wait
  SINK DOWN  its sink is unavailable; it waits and loses nothing
  LOSING     redis has lost entries before the group had settled them
  TRIPPED    failed too often and cools down
  STOPPED    paused or stopped by an operator, or at its end

With --check nothing but one line a group that is not OK is printed. Exit code 0:
all groups are OK; 1: some are not; 2: none works, or fanout cannot be reached.`,
		Example: `  fanout status
  fanout status --watch
  fanout status analytics
  fanout status --check || page somebody`,
		Args:              groupOrNone,
		ValidArgsFunction: e.completeGroup,
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.watch && f.check {
				return usage("--watch and --check do not go together")
			}
			client, err := e.client(f.address)
			if f.check {
				return e.checkGroups(cmd.Context(), client, err, args)
			}
			if err != nil {
				return err
			}
			if f.watch {
				return interruptible(cmd.Context(), func(ctx context.Context) error { return e.watch(ctx, client, args, f.output) })
			}
			return e.showStatus(cmd.Context(), client, args, f.output)
		},
	}
	cmd.Flags().BoolVarP(&f.watch, "watch", "w", false, "show it again every second until Ctrl-C")
	cmd.Flags().BoolVar(&f.check, "check", false, "say with the exit code whether all is well: 0 yes, 1 degraded, 2 down")
	outputFlag(cmd, &f.output, "table", "json")
	e.adminFlag(cmd, &f.address)
	return cmd
}

// ask gets the group that args name, or all of them.
func (f runningFanout) ask(ctx context.Context, args []string) (admin.GroupList, error) {
	if len(args) == 0 {
		return f.List(ctx)
	}
	g, err := f.Group(ctx, args[0])
	return admin.GroupList{Groups: []admin.GroupStatus{g}}, err
}

func (e *env) showStatus(ctx context.Context, client runningFanout, args []string, output string) error {
	list, err := client.ask(ctx, args)
	if err != nil {
		return client.fail(err)
	}
	switch {
	case output == "json" && len(args) == 1:
		return e.json(list.Groups[0])
	case output == "json":
		return e.json(list)
	}
	for _, line := range e.statusLines(list, args, e.width(), time.Now()) {
		fmt.Fprintln(e.out, line)
	}
	return nil
}

// statusLines are the status as people read it: a table, or everything about
// the one group that args name.
func (e *env) statusLines(list admin.GroupList, args []string, width int, now time.Time) []string {
	if len(args) == 1 {
		return e.groupLines(list.Groups[0], width, now)
	}
	lines := append(e.groupTable(list.Groups, width, now), e.troubleLines(list.Groups, width, now)...)
	return append(lines, refusedLines(list.Reload, width, now)...)
}

// refusedLines say that the manifest that runs is not the latest one.
func refusedLines(r *admin.LastReload, width int, now time.Time) []string {
	if r == nil || r.Done {
		return nil
	}
	lines := wrap(fmt.Sprintf("reload refused %s ago, the groups before it run on: %s", ago(r.At, now), printable(firstLine(r.Error), longestReason)), width)
	return append(lines, wrap("→ fanout check shows all faults; correct them, then fanout reload", width)...)
}

// Exit codes of status --check.
const (
	checkOK       = 0
	checkDegraded = 1
	checkDown     = 2
)

// checkGroups says how bad it is.
func (e *env) checkGroups(ctx context.Context, client runningFanout, err error, args []string) error {
	var list admin.GroupList
	if err == nil {
		if list, err = client.ask(ctx, args); err != nil {
			err = client.fail(err)
		}
	}
	if err != nil {
		return &exitError{checkDown, err}
	}
	down, degraded := 0, 0
	groups := list.Groups
	for _, g := range groups {
		code := g.Verdict.Code
		reasons := g.NotReady()
		if code == telemetry.VerdictOK && len(reasons) == 0 {
			continue
		}
		degraded++
		why := g.Verdict.Why
		switch code {
		case telemetry.VerdictOK:
			why = reasons[0]
		case telemetry.VerdictLagging, telemetry.VerdictLosing:
		default:
			down++
		}
		fmt.Fprintf(e.out, "%s %s: %s\n", telemetry.VerdictName(code), g.Name, printable(firstLine(why), longestReason))
	}
	switch {
	case down > 0 && down == len(groups):
		return &exitError{code: checkDown}
	case degraded > 0:
		return &exitError{code: checkDegraded}
	}
	fmt.Fprintf(e.out, "OK %s\n", telemetry.Plural(len(groups), "group"))
	return nil
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}
