package integration

import (
	"bufio"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// series are the lines of /metrics of one name, without it.
func (p *process) series(name string) []string {
	p.t.Helper()
	resp, err := http.Get("http://" + p.admin + "/metrics")
	if err != nil {
		p.t.Fatalf("read the metrics: %v", err)
	}
	defer resp.Body.Close()
	var all []string
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		if rest, ok := strings.CutPrefix(lines.Text(), name); ok && strings.ContainsAny(rest[:1], "{ ") {
			all = append(all, rest)
		}
	}
	return all
}

// metric is the sum of the series of that name that carry all the labels,
// written as `group="a"`. A series that is not there counts as 0.
func (p *process) metric(name string, labels ...string) float64 {
	p.t.Helper()
	sum := 0.0
series:
	for _, series := range p.series(name) {
		for _, label := range labels {
			if !strings.Contains(series, label) {
				continue series
			}
		}
		value := series[strings.LastIndex(series, " ")+1:]
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			p.t.Fatalf("metric %s is %q", name, value)
		}
		sum += n
	}
	return sum
}

// above waits until a metric is greater than a bound.
func (p *process) above(bound float64, name string, labels ...string) {
	p.t.Helper()
	eventually(p.t, 15*time.Second, fmt.Sprintf("raise %s%v", name, labels), func() error {
		if got := p.metric(name, labels...); got <= bound {
			return fmt.Errorf("it is %v, want more than %v", got, bound)
		}
		return nil
	})
}

// alive fails the test when the process has ended.
func (p *process) alive() {
	p.t.Helper()
	if p.hasEnded() {
		p.t.Fatalf("the process has ended with %d", p.cmd.ProcessState.ExitCode())
	}
}

// faultyGroup is a group of a manifest with the handler "faulty"; keys are
// lines of YAML.
func faultyGroup(name string, keys ...string) string {
	lines := []string{"  " + name + ":"}
	for _, key := range keys {
		lines = append(lines, "    "+key)
	}
	lines = append(lines, `    handler: {faulty: {socket: "${BOARD}"}}`)
	return strings.Join(lines, "\n") + "\n"
}

// rowsGroup is a group that writes trades into the table trades of rows.db.
const rowsGroup = `  rows:
    handler:
      sql:
        dsn: sqlite:rows.db
        table: trades
        columns: {trade_id: trade_id, market_id: market_id, odds_ticks: odds.ticks, stake: stake.value, traded_at: timestamp}
        required: [trade_id, market_id]
`

// noLetters wants no dead letter in any of the groups.
func noLetters(t *testing.T, s *site, groups ...string) {
	t.Helper()
	for _, group := range groups {
		for id, l := range s.letters(group) {
			t.Errorf("%s buried %s: %s", group, id, l.Error)
		}
	}
}
