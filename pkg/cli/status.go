package cli

import (
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"example.com/fanout/pkg/admin"
	"example.com/fanout/pkg/app"
)

// adminFlag adds --admin, the address of a running fanout.
func adminFlag(cmd *cobra.Command, value *string) {
	cmd.Flags().StringVar(value, "admin", "", "address of the running fanout (default: admin.listen of the manifest)")
}

// client is a client of the running fanout.
func (e *env) client(address string) (*admin.Client, error) {
	if address == "" {
		m, faults := app.Load(e.config, e.registry)
		if m == nil {
			return nil, usage("%s does not tell where fanout runs: %s; name it with --admin", e.config, faults.Errors()[0].Message)
		}
		if address = m.Admin.Listen; address == "off" {
			return nil, usage("admin.listen is off in %s", e.config)
		}
	}
	return admin.NewClient(address), nil
}

func (e *env) statusCommand() *cobra.Command {
	var output, address string
	cmd := &cobra.Command{
		Use:               "status [GROUP]",
		Short:             "Show how the groups of a running fanout are",
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: e.completeGroups,
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := e.client(address)
			if err != nil {
				return err
			}
			var groups []admin.GroupStatus
			if len(args) == 1 {
				g, err := client.Group(cmd.Context(), args[0])
				if err != nil {
					return fail(err)
				}
				if output == "json" {
					return e.json(g)
				}
				groups = []admin.GroupStatus{g}
			} else if groups, err = client.Groups(cmd.Context()); err != nil {
				return fail(err)
			}
			if output == "json" {
				return e.json(map[string]any{"groups": groups})
			}
			return e.statusTable(groups, time.Now())
		},
	}
	outputFlag(cmd, &output, "table", "json")
	adminFlag(cmd, &address)
	return cmd
}

// statusTable prints one line a group, and below it why those are not well
// that are not.
func (e *env) statusTable(groups []admin.GroupStatus, now time.Time) error {
	w := tabwriter.NewWriter(e.out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "GROUP\tSTATE\tSINCE\tREAD\tSETTLED\tDEAD\tIN FLIGHT\tPENDING\tLAG\tRESTARTS\tHANDLER\tSTREAM")
	for _, g := range groups {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%d\t%d\t%s\t%s\t%d\t%s\t%s\n", g.Name, g.State, ago(g.Since, now),
			total(g.Read), total(g.Settled), g.Settled["buried"], g.InFlight, observed(g, g.Pending), lag(g), total(g.Restarts), g.Handler, g.Stream)
	}
	if err := w.Flush(); err != nil {
		return fail(err)
	}
	for _, g := range groups {
		for _, reason := range g.NotReady() {
			fmt.Fprintf(e.out, "%s: %s\n", g.Name, reason)
		}
		if g.LastError != nil && now.Sub(g.LastError.At) < 10*time.Minute {
			fmt.Fprintf(e.out, "%s: last error %s ago: %s\n", g.Name, ago(g.LastError.At, now), firstLine(g.LastError.Error))
		}
	}
	return nil
}

func (e *env) restartCommand() *cobra.Command {
	var address string
	cmd := &cobra.Command{
		Use:               "restart GROUP",
		Short:             "Restart one group of a running fanout; the others go on",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: e.completeGroups,
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := e.client(address)
			if err != nil {
				return err
			}
			if err := client.Restart(cmd.Context(), args[0]); err != nil {
				return fail(err)
			}
			fmt.Fprintf(e.out, "%s restarts\n", args[0])
			return nil
		},
	}
	adminFlag(cmd, &address)
	return cmd
}

func total(counts map[string]int64) (n int64) {
	for _, c := range counts {
		n += c
	}
	return n
}

func lag(g admin.GroupStatus) string {
	if g.Lag == nil {
		return "unknown"
	}
	return strconv.FormatInt(*g.Lag, 10)
}

func observed(g admin.GroupStatus, n int64) string {
	if g.ObservedAt == nil {
		return "unknown"
	}
	return strconv.FormatInt(n, 10)
}

// ago is a short form of how long ago t was.
func ago(t, now time.Time) string {
	if t.IsZero() {
		return "-"
	}
	d := max(0, now.Sub(t))
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
