package cli

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"example.com/fanout/pkg/admin"
	"example.com/fanout/pkg/telemetry"
)

func (e *env) statusCommand() *cobra.Command {
	var output, address string
	cmd := &cobra.Command{
		Use:   "status [GROUP]",
		Short: "Show how the groups of a running fanout are",
		Long: `Show how the groups of a running fanout are, or more about one of them. What
Redis cannot tell is shown as unknown.`,
		Args:              groupOrNone,
		ValidArgsFunction: e.completeGroup,
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := e.client(address)
			if err != nil {
				return err
			}
			if len(args) == 1 {
				g, err := client.Group(cmd.Context(), args[0])
				if err != nil {
					return client.fail(err)
				}
				if output == "json" {
					return e.json(g)
				}
				e.printGroup(g, time.Now())
				return nil
			}
			groups, err := client.Groups(cmd.Context())
			if err != nil {
				return client.fail(err)
			}
			if output == "json" {
				return e.json(admin.GroupList{Groups: groups})
			}
			e.printGroups(groups, time.Now())
			return nil
		},
	}
	outputFlag(cmd, &output, "table", "json")
	adminFlag(cmd, &address)
	return cmd
}

// adminFlag adds --admin, the address of a running fanout.
func adminFlag(cmd *cobra.Command, value *string) {
	cmd.Flags().StringVar(value, "admin", "", "`ADDRESS` of the running fanout (default admin.listen of the manifest)")
}

// runningFanout is a client of the process that runs the groups.
type runningFanout struct {
	*admin.Client
	address string
}

func (e *env) client(address string) (runningFanout, error) {
	if address == "" {
		m, err := e.manifest(exitFailure)
		if err != nil {
			return runningFanout{}, err
		}
		if address = m.Admin.Listen; address == "off" {
			return runningFanout{}, fail(fmt.Errorf("admin.listen is off in %s: the running fanout cannot be asked", e.config))
		}
	}
	return runningFanout{admin.NewClient(address), address}, nil
}

// fail is fail with shorter words for the most frequent error.
func (f runningFanout) fail(err error) error {
	if errors.Is(err, syscall.ECONNREFUSED) {
		err = fmt.Errorf("no fanout runs at %s; start it with fanout run, or name its address with --admin", f.address)
	}
	return fail(err)
}

// longestName is what a table shows of a group's name.
const longestName = 24

// printGroups prints one line a group, and below them why those are not well
// that are not.
func (e *env) printGroups(groups []admin.GroupStatus, now time.Time) {
	c := columns{right: []bool{2: true, 3: true, 4: true, 5: true, 6: true, 7: true, 8: true}}
	rows := [][]cell{texts("GROUP", "STATE", "SINCE", "LAG", "PENDING", "READ", "SETTLED", "DEAD", "RESTARTS")}
	for _, g := range groups {
		row := texts(printable(short(g.Name), longestName+2), orDash(g.State), ago(g.Since, now), lag(g), pending(g),
			number(total(g.Read)), number(settledForGood(g)), number(g.Settled["buried"]), number(total(g.Restarts)))
		row[1].colour = e.stateColour(g.State)
		rows = append(rows, row)
	}
	for _, row := range rows {
		c.fit(row)
	}
	for _, row := range rows {
		fmt.Fprintln(e.out, c.line(row))
	}
	for _, g := range groups {
		for _, line := range troubles(g, now) {
			fmt.Fprintf(e.out, "%s: %s\n", g.Name, line)
		}
	}
}

// printGroup prints what is known of one group.
func (e *env) printGroup(g admin.GroupStatus, now time.Time) {
	state := cell{orDash(g.State), e.stateColour(g.State)}
	if state.colour != "" {
		state.text = state.colour + state.text + plain
	}
	fmt.Fprintf(e.out, "%s: %s since %s\n", g.Name, state.text, ago(g.Since, now))
	for _, line := range troubles(g, now) {
		fmt.Fprintf(e.out, "  %s\n", line)
	}
	var c columns
	c.fit(texts("  incarnation"))
	show := func(name, format string, args ...any) {
		fmt.Fprintln(e.out, c.line(texts("  "+name, fmt.Sprintf(format, args...))))
	}
	show("handler", "%s", printable(g.Handler, 80))
	show("stream", "%s, as group %s", printable(g.Stream, 200), printable(g.RedisGroup, 200))
	if g.Signal != "" {
		show("signal", "%s", g.Signal)
	}
	if r := g.LastRestart; r != nil {
		show("incarnation", "%d, restarted %s ago (%s)", g.Incarnation, ago(r.At, now), r.Cause)
	} else {
		show("incarnation", "%d", g.Incarnation)
	}
	show("lag", "%s", lag(g))
	show("pending", "%s", pending(g))
	show("in flight", "%d, %d of them wait for a retry", g.InFlight, g.Retrying)
	show("read", "%d%s", total(g.Read), parts(g.Read))
	show("settled", "%d%s", total(g.Settled), parts(g.Settled))
	show("filtered", "%d", g.Filtered)
	if lost := total(g.Lost); lost > 0 {
		show("lost", "%d%s", lost, parts(g.Lost))
	}
	if g.LettersDropped > 0 {
		show("dropped", "%s, to make room for new ones", plural(int(g.LettersDropped), "dead letter"))
	}
	for _, consumer := range g.Consumers {
		show("consumer", "%s %s, in flight %d", consumer.Name, consumer.State, consumer.InFlight)
	}
}

// troubles are the reasons why a group is not well, and its last error while
// that is new.
func troubles(g admin.GroupStatus, now time.Time) []string {
	const recent, longest = 10 * time.Minute, 300
	var all []string
	for _, reason := range g.NotReady() {
		all = append(all, printable(reason, longest))
	}
	if f := g.LastError; f != nil && now.Sub(f.At) < recent {
		line, _, _ := strings.Cut(f.Error, "\n")
		all = append(all, fmt.Sprintf("last error %s ago: %s", ago(f.At, now), printable(line, longest)))
	}
	return all
}

func (e *env) stateColour(state string) string {
	if !e.colours(e.out) {
		return ""
	}
	switch state {
	case telemetry.StateRunning:
		return green
	case telemetry.StateTripped, telemetry.StateBackingOff:
		return red
	case telemetry.StateStopped:
		return faint
	}
	return yellow
}

func texts(all ...string) []cell {
	cells := make([]cell, len(all))
	for i, text := range all {
		cells[i].text = text
	}
	return cells
}

// short cuts a long name in the middle, where long names differ least.
func short(name string) string {
	if len(name) <= longestName {
		return name
	}
	return name[:longestName/2] + "…" + name[len(name)-(longestName/2-1):]
}

func settledForGood(g admin.GroupStatus) (n int64) {
	for _, outcome := range forGood {
		n += g.Settled[outcome.String()]
	}
	return n
}

func total(counts map[string]int64) (n int64) {
	for _, c := range counts {
		n += c
	}
	return n
}

// parts are the counts that are not 0, if there is more than one kind.
func parts(counts map[string]int64) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		if counts[name] != 0 {
			all = append(all, fmt.Sprintf("%s %d", name, counts[name]))
		}
	}
	if len(all) == 0 {
		return ""
	}
	return " (" + strings.Join(all, ", ") + ")"
}

func lag(g admin.GroupStatus) string {
	if g.Lag == nil {
		return "unknown"
	}
	return number(*g.Lag)
}

func pending(g admin.GroupStatus) string {
	if g.ObservedAt == nil {
		return "unknown"
	}
	return number(g.Pending)
}

// number is n itself as long as that is short, else rounded: 12345678 is 12.3M.
func number(n int64) string {
	const exact = 10_000_000
	if n < exact {
		return strconv.FormatInt(n, 10)
	}
	value, unit := float64(n)/1e6, "M"
	for _, larger := range []string{"G", "T"} {
		if value >= 1000 {
			value, unit = value/1000, larger
		}
	}
	return strconv.FormatFloat(value, 'f', 1, 64) + unit
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
