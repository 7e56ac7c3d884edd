package cli

import (
	"fmt"
	"time"

	"example.com/fanout/pkg/fanout"
	"example.com/fanout/pkg/telemetry"
)

func (e *env) printDemoHead(d *demoRun, dir string) {
	fmt.Fprintf(e.out, "demo: %s on a Redis in this process, %g trades a second; Ctrl-C ends it\n", e.config, d.rate)
	fmt.Fprintf(e.out, "stores are in %s, webhooks go to the demo's own inbox\n", dir)
	if d.admin != nil {
		fmt.Fprintf(e.out, "http://%s shows it live; /readyz, /metrics and /v1/groups are there too\n", d.admin.Addr())
	}
	fmt.Fprintln(e.out)
}

// demoLines prints one line a group each round, under a head that comes again
// before it has left the screen.
type demoLines struct {
	e       *env
	columns columns
	left    int // lines until the next head
}

const demoHeadEvery = 24

func newDemoLines(e *env) *demoLines {
	return &demoLines{e: e, columns: columns{
		right:  []bool{3: true, 4: true, 5: true, 6: true, 7: true},
		widths: []int{5, 5, 8, 7, 7, 7, 7, 4}, // so that the first rounds need no more
	}}
}

func (l *demoLines) print(after time.Duration, groups []fanout.Status) {
	var rows [][]cell
	for i, s := range groups {
		row := texts("", s.Manifest.Name, s.State, number(read(s)), number(settled(s)), demoLag(s), demoPending(s), number(dead(s)))
		if i == 0 { // the lines below are of the same moment
			row[0].text = fmt.Sprintf("%d:%02d", int(after.Minutes()), int(after.Seconds())%60)
		}
		row[2].colour = l.e.stateColour(s.State)
		l.columns.fit(row)
		rows = append(rows, row)
	}
	if l.left -= len(rows); l.left < 0 {
		l.left = demoHeadEvery - len(rows)
		fmt.Fprintln(l.e.out, l.columns.line(texts("TIME", "GROUP", "STATE", "READ", "SETTLED", "LAG", "PENDING", "DEAD")))
	}
	for _, row := range rows {
		fmt.Fprintln(l.e.out, l.columns.line(row))
	}
}

// printDemoEnd prints the summary. What the groups have still to do is not part
// of it: the Redis that holds it ends with the demo.
func (e *env) printDemoEnd(d *demoRun, took time.Duration, groups []fanout.Status) {
	fmt.Fprintf(e.out, "\n%s in %s\n", telemetry.Plural(d.published.Load(), "trade"), took.Round(100*time.Millisecond))
	c := columns{right: []bool{1: true, 2: true, 3: true, 4: true}}
	rows := [][]cell{texts("GROUP", "READ", "SETTLED", "FILTERED", "DEAD", "STATE")}
	for _, s := range groups {
		row := texts(s.Manifest.Name, number(read(s)), number(settled(s)), number(s.Telemetry.Filtered.Load()), number(dead(s)), s.State)
		row[5].colour = e.stateColour(s.State)
		rows = append(rows, row)
	}
	for _, row := range rows {
		c.fit(row)
	}
	for _, row := range rows {
		fmt.Fprintln(e.out, c.line(row))
	}
	fmt.Fprintf(e.out, "%s received with a valid signature\n", telemetry.Plural(d.signed.Load(), "notification"))
	if n := d.foreign.Load(); n > 0 {
		fmt.Fprintf(e.out, "%s received without one, or again\n", telemetry.Plural(n, "notification"))
	}
}

func demoPending(s fanout.Status) string {
	n, known := s.Telemetry.Pending.Load()
	if !known {
		return "unknown"
	}
	return number(int64(n))
}

func demoLag(s fanout.Status) string {
	if n, known := s.Telemetry.Lag.Load(); known {
		return number(int64(n))
	}
	return "unknown"
}

func read(s fanout.Status) (n int64) {
	for i := range s.Telemetry.Read {
		n += s.Telemetry.Read[i].Load()
	}
	return n
}

func dead(s fanout.Status) int64 { return s.Telemetry.Settled[telemetry.Buried].Load() }

// settled is what the group has done with for good; what was released or taken
// over is delivered again.
func settled(s fanout.Status) (n int64) {
	for _, outcome := range forGood {
		n += s.Telemetry.Settled[outcome].Load()
	}
	return n
}

// forGood are the outcomes after which no consumer gets the entry again.
var forGood = []telemetry.Outcome{telemetry.Acked, telemetry.Buried, telemetry.Vanished}
