package cli

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"example.com/fanout/pkg/admin"
	"example.com/fanout/pkg/telemetry"
)

const (
	longestName   = 24  // what a table shows of a group's name
	longestReason = 300 // bytes of a reason
)

// column is one of the table's.
type column struct {
	title string
	right bool
	drop  int // of the columns that do not fit the one with the greatest number goes first; 0 stays
	cell  func(e *env, g admin.GroupStatus, now time.Time) cell
}

// tableColumns are what the table can show.
var tableColumns = []column{
	{"GROUP", false, 0, func(_ *env, g admin.GroupStatus, _ time.Time) cell {
		return cell{text: printable(short(g.Name), longestName+2)}
	}},
	{"VERDICT", false, 0, func(e *env, g admin.GroupStatus, _ time.Time) cell {
		return cell{telemetry.VerdictName(g.Verdict.Code), e.verdictColour(g.Verdict.Code)}
	}},
	{"SINCE", true, 2, func(_ *env, g admin.GroupStatus, now time.Time) cell { return cell{text: ago(g.Verdict.Since, now)} }},
	{"STATE", false, 6, func(e *env, g admin.GroupStatus, _ time.Time) cell {
		return cell{orDash(g.State), e.stateColour(g.State)}
	}},
	{"LAG", true, 0, func(_ *env, g admin.GroupStatus, _ time.Time) cell { return cell{text: orUnknown(g.Lag)} }},
	{"PENDING", true, 4, func(_ *env, g admin.GroupStatus, _ time.Time) cell { return cell{text: pending(g)} }},
	{"TREND", false, 3, func(_ *env, g admin.GroupStatus, _ time.Time) cell { return cell{text: sparkline(g.BacklogHistory)} }},
	{"RATE", true, 1, func(_ *env, g admin.GroupStatus, _ time.Time) cell {
		return cell{text: perSecond(g.Rates.TenSeconds.Settled)}
	}},
	{"DRAIN", true, 7, func(_ *env, g admin.GroupStatus, _ time.Time) cell { return cell{text: drain(g)} }},
	{"READ", true, 9, func(_ *env, g admin.GroupStatus, _ time.Time) cell { return cell{text: number(total(g.Read))} }},
	{"SETTLED", true, 10, func(_ *env, g admin.GroupStatus, _ time.Time) cell { return cell{text: number(settledForGood(g))} }},
	{"DEAD", true, 5, func(_ *env, g admin.GroupStatus, _ time.Time) cell { return cell{text: number(g.Settled["buried"])} }},
	{"RESTARTS", true, 8, func(_ *env, g admin.GroupStatus, _ time.Time) cell { return cell{text: number(total(g.Restarts))} }},
}

// groupTable gives one line a group. A terminal's width leaves out what does not
// fit; 0 is no bound, and for those who read no pictures.
func (e *env) groupTable(groups []admin.GroupStatus, width int, now time.Time) []string {
	shown := slices.Clone(tableColumns)
	if width == 0 {
		shown = slices.DeleteFunc(shown, func(c column) bool { return c.title == "TREND" })
	}
	for {
		lines, widest := e.layOut(shown, groups, now)
		worst := slices.MaxFunc(shown, func(a, b column) int { return a.drop - b.drop })
		if width == 0 || widest <= width || worst.drop == 0 {
			return lines
		}
		shown = slices.DeleteFunc(shown, func(c column) bool { return c.drop == worst.drop })
	}
}

func (e *env) layOut(shown []column, groups []admin.GroupStatus, now time.Time) (lines []string, widest int) {
	var c columns
	rows := make([][]cell, len(groups)+1)
	for _, column := range shown {
		c.right = append(c.right, column.right)
		rows[0] = append(rows[0], cell{text: column.title})
		for i, g := range groups {
			rows[i+1] = append(rows[i+1], column.cell(e, g, now))
		}
	}
	for _, row := range rows {
		c.fit(row)
	}
	for _, width := range c.widths {
		widest += width + 2
	}
	for _, row := range rows {
		lines = append(lines, c.line(row))
	}
	return lines, widest - 2
}

// troubleLines say below the table why groups are not well that are not, and
// what to do.
func (e *env) troubleLines(groups []admin.GroupStatus, width int, now time.Time) []string {
	var lines []string
	for _, g := range groups {
		for _, line := range troubles(g, now) {
			lines = append(lines, wrap(g.Name+": "+line, width)...)
		}
		if g.Verdict.Do != "" && g.Verdict.Code != telemetry.VerdictOK {
			lines = append(lines, wrap(g.Name+": "+toDo(g), width)...)
		}
	}
	return lines
}

// wrap breaks a line without escape sequences between its words, so that the
// parts fit a terminal; what follows the first part is indented. A width of 0
// breaks nothing.
func wrap(line string, width int) []string {
	const indent = "    "
	if width <= 2*len(indent) {
		return []string{line}
	}
	var lines []string
	rest := []rune(line)
	for len(rest) > width {
		at := width
		for i := width; i > width/2; i-- {
			if rest[i] == ' ' {
				at = i
				break
			}
		}
		lines = append(lines, string(rest[:at]))
		rest = []rune(indent + strings.TrimLeft(string(rest[at:]), " "))
	}
	return append(lines, string(rest))
}

// toDo is what an operator can do about a group.
func toDo(g admin.GroupStatus) string { return "→ " + printable(g.Verdict.Do, longestReason) }

// troubles are the reasons why a group is not well, and its last error while
// that is new.
func troubles(g admin.GroupStatus, now time.Time) []string {
	const recent = 10 * time.Minute
	var all []string
	add := func(text string) {
		if text = printable(firstLine(text), longestReason); !slices.ContainsFunc(all, func(said string) bool { return strings.Contains(said, text) }) {
			all = append(all, text)
		}
	}
	switch g.Verdict.Code {
	case telemetry.VerdictLagging, telemetry.VerdictStalled: // the others have a problem that says it
		add(g.Verdict.Why)
	}
	if s := g.Suspended; s != nil {
		add(fmt.Sprintf("%s %s ago by %s", s.State, ago(s.Since, now), s.By))
	}
	for _, reason := range g.NotReady() {
		if reason != g.State || len(g.Problems) == 0 { // the state has a column of its own
			add(reason)
		}
	}
	if f := g.LastError; f != nil && now.Sub(f.At) < recent {
		add(fmt.Sprintf("last error %s ago: %s", ago(f.At, now), firstLine(f.Error)))
	}
	return all
}

func (e *env) verdictColour(code string) string {
	if !e.colours(e.out) {
		return ""
	}
	switch code {
	case telemetry.VerdictOK:
		return green
	case telemetry.VerdictLagging:
		return yellow
	case telemetry.VerdictStopped:
		return faint
	}
	return red
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

func pending(g admin.GroupStatus) string {
	if g.ObservedAt == nil {
		return "unknown"
	}
	return number(g.Pending)
}

// perSecond is a rate as people read it.
func perSecond(rate *float64) string {
	switch {
	case rate == nil:
		return "-"
	case *rate == 0 || *rate >= 10:
		return number(int64(*rate+0.5)) + "/s"
	}
	return strconv.FormatFloat(*rate, 'f', 1, 64) + "/s"
}

// drain is when nothing will wait any more.
func drain(g admin.GroupStatus) string {
	switch {
	case g.DrainSeconds == nil:
		return "-"
	case *g.DrainSeconds == 0:
		return "0s"
	case *g.DrainSeconds > 365*24*3600:
		return ">1y"
	}
	return span(time.Duration(*g.DrainSeconds * float64(time.Second)))
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
	return span(max(0, now.Sub(t)))
}

// span is a short form of a duration.
func span(d time.Duration) string {
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

// sparkline draws the numbers of the last minute in twenty characters, the
// newest at the right. A blank is unknown, a low line is nothing.
func sparkline(values []*float64) string {
	const width, each = 20, 3 // of the values a character stands for the greatest
	ticks := []rune("▁▂▃▄▅▆▇█")
	most := 0.0
	for _, v := range values {
		if v != nil {
			most = max(most, *v)
		}
	}
	line := []rune(strings.Repeat(" ", width))
	for i := range width {
		end := len(values) - (width-1-i)*each
		height := -1.0
		for _, v := range values[max(0, min(end-each, len(values))):max(0, end)] {
			if v != nil {
				height = max(height, *v)
			}
		}
		switch {
		case height < 0:
		case most == 0:
			line[i] = ticks[0]
		default:
			line[i] = ticks[min(len(ticks)-1, int(height/most*float64(len(ticks))))]
		}
	}
	return string(line)
}
