package integration

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"slices"
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

// The metrics are as Prometheus wants them; those of a group are all there from
// its start, and are gone with it.
func TestMetricsAreClean(t *testing.T) {
	t.Parallel()
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Fatal("promtool is not installed; install it with: scripts/install-promtool.sh")
	}
	s := newSite(t).manifest(faultyGroup("a") + faultyGroup("b"))
	p := s.run().ready()
	s.publish(events(trades(1, 100))...)
	s.settled(20*time.Second, "a", "b")
	eventually(t, 20*time.Second, "know how far it is", func() error {
		if n := p.metric("fanout_lag_known"); n != 2 {
			return fmt.Errorf("%v groups do", n)
		}
		return nil
	})
	read := func() string {
		t.Helper()
		resp, err := http.Get("http://" + p.admin + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	text := read()
	check := exec.Command(promtool, "check", "metrics")
	check.Stdin = strings.NewReader(text)
	if out, err := check.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
	for _, name := range []string{
		"fanout_build_info{", "fanout_redis_info{server=\"redis\",version=\"7", "fanout_redis_pool_connections{", "fanout_redis_pool_uses_total{",
		"fanout_redis_errors_total{", "fanout_config_last_reload_successful 1", "fanout_config_last_reload_success_timestamp_seconds ",
		"go_goroutines ", "process_resident_memory_bytes ",
	} {
		if !strings.Contains(text, "\n"+name) {
			t.Errorf("there is no %s", name)
		}
	}
	series := func(group string) (names []string) {
		for line := range strings.Lines(read()) {
			if label := fmt.Sprintf("group=%q", group); strings.Contains(line, label) {
				names = append(names, strings.Replace(line[:strings.LastIndex(line, " ")], label, "", 1))
			}
		}
		return names
	}
	eventually(t, 20*time.Second, "have the same series", func() error { // what is unknown at first has none
		if a, b := series("a"), series("b"); len(a) < 100 || !slices.Equal(a, b) {
			return fmt.Errorf("a has %d series, b %d", len(a), len(b))
		}
		return nil
	})
	s.manifest(faultyGroup("a"))
	if _, stderr, code := commandAt(s, p.admin, "reload"); code != 0 {
		t.Fatalf("reload ended with %d: %s", code, stderr)
	}
	if b := series("b"); len(b) > 0 {
		t.Errorf("of a group that is gone %d series are left: %s", len(b), b[0])
	}
}
