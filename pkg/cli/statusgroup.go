package cli

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"example.com/fanout/pkg/admin"
	"example.com/fanout/pkg/telemetry"
)

// groupLines say all that is known of one group.
func (e *env) groupLines(g admin.GroupStatus, width int, now time.Time) []string {
	paint := func(text, colour string) string {
		if colour == "" {
			return text
		}
		return colour + text + plain
	}
	v := g.Verdict
	lines := []string{fmt.Sprintf("%s: %s since %s; %s since %s", g.Name,
		paint(telemetry.VerdictName(v.Code), e.verdictColour(v.Code)), ago(v.Since, now),
		paint(orDash(g.State), e.stateColour(g.State)), ago(g.Since, now))}
	told := troubles(g, now)
	if len(told) == 0 && v.Why != "" {
		told = []string{printable(v.Why, longestReason)}
	}
	for _, line := range told {
		lines = append(lines, wrap("  "+line, width)...)
	}
	if v.Do != "" && v.Code != telemetry.VerdictOK {
		lines = append(lines, wrap("  "+toDo(g), width)...)
	}
	var c columns
	c.fit(texts("  incarnation"))
	show := func(name, format string, args ...any) {
		lines = append(lines, c.line(texts("  "+name, fmt.Sprintf(format, args...))))
	}
	show("handler", "%s", printable(g.Handler, 80))
	show("stream", "%s, as group %s", printable(g.Stream, 200), printable(g.RedisGroup, 200))
	if g.Server != "" {
		show("server", "%s", printable(g.Server, 80))
	}
	if g.Signal != "" {
		show("signal", "%s", g.Signal)
	}
	show("incarnation", "%d", g.Incarnation)
	if g.NextRetry != nil {
		show("next try", "in %s", span(max(0, g.NextRetry.Sub(now))))
	}
	show("lag", "%s%s", orUnknown(g.Lag), seconds(", of %s ago", nonzero(g.LagSeconds)))
	show("pending", "%s%s", pending(g), seconds(", the oldest of %s ago", nonzero(g.OldestPendingSeconds)))
	if width > 0 {
		show("trend", "%s  of the last minute", sparkline(g.BacklogHistory))
	}
	show("rates", "%s settled, %s added; %s and %s over a minute", perSecond(g.Rates.TenSeconds.Settled), perSecond(g.Rates.TenSeconds.Added),
		perSecond(g.Rates.OneMinute.Settled), perSecond(g.Rates.OneMinute.Added))
	show("drain", "%s", drain(g))
	show("in flight", "%d, %d of them wait for a retry", g.InFlight, g.Retrying)
	show("read", "%d%s", total(g.Read), parts(g.Read))
	show("settled", "%d%s", total(g.Settled), parts(g.Settled))
	show("filtered", "%d", g.Filtered)
	if lost := total(g.Lost); lost > 0 {
		show("lost", "%d%s", lost, parts(g.Lost))
	}
	for _, l := range g.Losses {
		show("loss", "%s", lossLine(l, now))
	}
	if g.DeadLetters != nil && *g.DeadLetters > 0 {
		show("letters", "%d, fanout dead list %s tells why", *g.DeadLetters, g.Name)
	}
	if g.LettersDropped > 0 {
		show("dropped", "%s, to make room for new ones", telemetry.Plural(g.LettersDropped, "dead letter"))
	}
	if total := total(g.Restarts); total > 0 {
		show("restarts", "%d%s", total, parts(g.Restarts))
	}
	for _, r := range slices.Backward(g.LatestRestarts) {
		text := r.Cause
		if r.Error != "" {
			text += ": " + firstLine(r.Error)
		}
		show("restart", "%s ago, %s", ago(r.At, now), printable(text, longestReason))
	}
	for _, one := range g.Errors[:min(len(g.Errors), latestErrors)] {
		show("error", "%s ago, %s: %s", ago(one.Last, now), one.Kind, printable(firstLine(one.Error), longestReason)+times(one.Count))
	}
	for _, consumer := range g.Consumers {
		show("consumer", "%s", consumerLine(consumer, now))
	}
	return lines
}

// latestErrors is how many kinds of errors the status shows.
const latestErrors = 5

// times is how often something has come, "" for once.
func times(n int64) string {
	if n == 1 {
		return ""
	}
	return fmt.Sprintf(" (%d times)", n)
}

func consumerLine(c admin.ConsumerStatus, now time.Time) string {
	text := printable(c.Name, 200) + " " + c.State
	if c.State != admin.Elsewhere {
		text += fmt.Sprintf(", in flight %d", c.InFlight)
	}
	if c.Pending != nil {
		text += fmt.Sprintf(", pending %d", *c.Pending)
	}
	if c.LastActivity != nil {
		text += fmt.Sprintf(", active %s ago", ago(*c.LastActivity, now))
	}
	if c.Connection != nil {
		text += fmt.Sprintf(", client %d at %s", c.Connection.ID, c.Connection.Addr)
	}
	return text
}

// seconds puts a number of seconds into a text, "" for an unknown one.
func seconds(format string, value *float64) string {
	if value == nil {
		return ""
	}
	return fmt.Sprintf(format, span(time.Duration(*value*float64(time.Second))))
}

func nonzero(value *float64) *float64 {
	if value != nil && *value == 0 {
		return nil
	}
	return value
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
