package telemetry_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/fanout/pkg/telemetry"
)

// scrape returns the samples of fanout's own metrics as /metrics shows them,
// by series.
func scrape(t *testing.T, m *telemetry.Metrics) map[string]string {
	t.Helper()
	rec := httptest.NewRecorder()
	m.Handler().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	body, _ := io.ReadAll(rec.Result().Body)
	if rec.Code != 200 {
		t.Fatalf("scrape answered %d: %s", rec.Code, body)
	}
	series := map[string]string{}
	for line := range strings.Lines(string(body)) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "fanout_") {
			cut := strings.LastIndexByte(line, ' ')
			if _, twice := series[line[:cut]]; twice {
				t.Errorf("series %s is there twice", line[:cut])
			}
			series[line[:cut]] = line[cut+1:]
		}
	}
	return series
}

// closed is every label that names a closed set, with the values that it has
// for each metric.
var closed = map[string]struct {
	label  string
	values []string
}{
	"entries_read_total":    {"source", []string{"claimed", "new", "own", "replayed", "stranded"}},
	"entries_settled_total": {"outcome", []string{"acked", "buried", "lease_lost", "released", "vanished"}},
	"entries_lost_total":    {"reason", []string{"deleted", "group_missing", "rolled_back", "trimmed"}},
	"handle_errors_total":   {"reason", []string{"error", "panic", "permanent", "timeout", "unavailable"}},
	"dead_letters_total":    {"reason", []string{"crash", "decode", "filter", "handle", "panic", "timeout"}},
	"acks_total":            {"result", []string{"failed", "ok"}},
	"group_state":           {"state", []string{"backing-off", "draining", "paused", "running", "starting", "stopped", "tripped"}},
	"group_restarts_total":  {"cause", []string{"failed", "group-missing", "lease", "other", "panic", "request", "signal"}},
	"redis_errors_total": {"op", []string{
		"ack", "bury", "checkpoint", "claim", "create", "hold", "info", "lease", "other", "own", "read", "reap", "trim",
	}},
}

var labelOf = regexp.MustCompile(`(\w+)="([^"]*)"`)

func TestAllSeriesExistFromTheStart(t *testing.T) {
	t.Parallel()
	m := telemetry.NewMetrics("1.2.3")
	m.Group("analytics", "events_stream", "window")

	got := map[string][]string{}
	for series, value := range scrape(t, m) {
		name, labels, _ := strings.Cut(strings.TrimPrefix(series, "fanout_"), "{")
		want, ok := closed[name]
		if !ok {
			continue
		}
		for _, l := range labelOf.FindAllStringSubmatch(labels, -1) {
			if l[1] == want.label {
				got[name] = append(got[name], l[2])
			}
		}
		if value != "0" {
			t.Errorf("%s = %s before anything happened", series, value)
		}
	}
	for name, want := range closed {
		slices.Sort(got[name])
		if !slices.Equal(got[name], want.values) {
			t.Errorf("fanout_%s has %s of %v, want %v", name, want.label, got[name], want.values)
		}
	}

	series := scrape(t, m)
	for _, name := range []string{
		"claimed_entries_total", "lease_lost_total", "entries_filtered_total", "retries_total", "in_flight_entries", "retrying_entries",
		"lag_known", "stuck_calls", "abandoned_calls", "consumers_running", "group_last_success_timestamp_seconds",
		"handle_duration_seconds_count", "handle_duration_seconds_sum", "entry_age_seconds_count", "batch_entries_count",
	} {
		if value, ok := series[fmt.Sprintf(`fanout_%s{group="analytics"}`, name)]; !ok || value != "0" {
			t.Errorf("fanout_%s of the group is %q, want 0", name, value)
		}
	}
	for _, s := range []string{
		`fanout_group_info{group="analytics",handler="window",stream="events_stream"}`,
		"fanout_config_last_reload_successful", "fanout_config_last_reload_success_timestamp_seconds",
	} {
		if _, ok := series[s]; !ok {
			t.Errorf("no series %s", s)
		}
	}
}

func TestCountsShow(t *testing.T) {
	t.Parallel()
	m := telemetry.NewMetrics("1.2.3")
	g := m.Group("analytics", "events_stream", "window")
	at := time.Unix(1_763_856_000, 500_000_000)

	g.Read[0].Add(100)
	g.Read[2].Add(7)
	g.Settled[telemetry.Acked].Add(90)
	g.Settled[telemetry.LeaseLost].Add(3)
	g.Filtered.Add(4)
	g.InFlight.Set(14)
	g.HandleErrors[telemetry.ReasonTimeout].Inc()
	g.DeadLetters[telemetry.StageOf("crash")].Inc()
	g.DeadLetters[telemetry.StageOf("no such stage")].Inc()
	g.Lost[telemetry.LostTrimmed].Add(5)
	g.AcksFailed.Inc()
	g.OldestPending.Set(1.5)
	g.LastSuccess.Set(at)
	g.SetState(telemetry.StateTripped)
	g.Restarted(telemetry.CauseSignal)
	g.Restarted("a cause that nobody knows")
	g.HandleDuration.Observe(0.3)
	g.EntryAge.ObserveN(2, 50)
	m.RedisError(telemetry.OpAck)
	m.RedisError("an operation that nobody knows")
	m.Reloaded(true, at)
	m.Reloaded(false, at.Add(time.Hour))

	series := scrape(t, m)
	for s, want := range map[string]string{
		`entries_read_total{group="analytics",source="new"}`:           "100",
		`entries_read_total{group="analytics",source="claimed"}`:       "7",
		`claimed_entries_total{group="analytics"}`:                     "7",
		`entries_settled_total{group="analytics",outcome="acked"}`:     "90",
		`lease_lost_total{group="analytics"}`:                          "3",
		`entries_filtered_total{group="analytics"}`:                    "4",
		`in_flight_entries{group="analytics"}`:                         "14",
		`handle_errors_total{group="analytics",reason="timeout"}`:      "1",
		`dead_letters_total{group="analytics",reason="crash"}`:         "1",
		`dead_letters_total{group="analytics",reason="handle"}`:        "1",
		`entries_lost_total{group="analytics",reason="trimmed"}`:       "5",
		`acks_total{group="analytics",result="failed"}`:                "1",
		`oldest_pending_seconds{group="analytics"}`:                    "1.5",
		`group_last_success_timestamp_seconds{group="analytics"}`:      "1.7638560005e+09",
		`group_state{group="analytics",state="tripped"}`:               "1",
		`group_state{group="analytics",state="starting"}`:              "0",
		`group_restarts_total{cause="signal",group="analytics"}`:       "1",
		`group_restarts_total{cause="other",group="analytics"}`:        "1",
		`handle_duration_seconds_bucket{group="analytics",le="0.25"}`:  "0",
		`handle_duration_seconds_bucket{group="analytics",le="0.5"}`:   "1",
		`handle_duration_seconds_bucket{group="analytics",le="+Inf"}`:  "1",
		`entry_age_seconds_sum{group="analytics"}`:                     "100",
		`entry_age_seconds_count{group="analytics"}`:                   "50",
		`redis_errors_total{op="ack"}`:                                 "1",
		`redis_errors_total{op="other"}`:                               "1",
		`config_last_reload_successful`:                                "0",
		`config_last_reload_success_timestamp_seconds`:                 "1.7638560005e+09",
		`build_info{go_version="` + goVersion() + `",version="1.2.3"}`: "1",
	} {
		if got := series["fanout_"+s]; got != want {
			t.Errorf("fanout_%s = %q, want %s", s, got, want)
		}
	}
	if n := g.Unaccounted(); n != 0 {
		t.Errorf("Unaccounted() = %d with 107 read, 93 settled, 14 in flight", n)
	}
	g.Settled[telemetry.Acked].Inc()
	if n := g.Unaccounted(); n != -1 {
		t.Errorf("Unaccounted() = %d after an entry was settled twice, want -1", n)
	}
	if got, want := fmt.Sprint(g.Restarts()), "map[other:1 signal:1]"; got != want {
		t.Errorf("Restarts() = %s, want %s", got, want)
	}
}

func TestUnknownIsAbsent(t *testing.T) {
	t.Parallel()
	m := telemetry.NewMetrics("dev")
	g := m.Group("g", "s", "log")
	lag, known := `fanout_lag_entries{group="g"}`, `fanout_lag_known{group="g"}`

	for _, step := range []struct {
		do        func()
		lag, want string
	}{
		{func() {}, "", "0"},
		{func() { g.Lag.Set(0) }, "0", "1"},
		{func() { g.Lag.Set(12) }, "12", "1"},
		{g.Lag.SetUnknown, "", "0"},
	} {
		step.do()
		series := scrape(t, m)
		if series[lag] != step.lag || series[known] != step.want {
			t.Errorf("lag_entries is %q and lag_known %q, want %q and %q", series[lag], series[known], step.lag, step.want)
		}
		if _, ok := series[`fanout_lag_seconds{group="g"}`]; ok {
			t.Error("lag_seconds is there though unknown")
		}
	}
}

func TestGroupsComeAndGo(t *testing.T) {
	t.Parallel()
	m := telemetry.NewMetrics("dev")
	count := func(group string) (n int) {
		for s := range scrape(t, m) {
			if strings.Contains(s, `group="`+group+`"`) {
				n++
			}
		}
		return n
	}

	a := m.Group("a", "s", "log")
	m.Group("b", "s", "log")
	b := count("b")
	if count("a") == 0 || b == 0 {
		t.Fatal("groups have no series")
	}
	m.Remove("a")
	m.Remove("never there")
	if n := count("a"); n != 0 {
		t.Errorf("%d series are left of a removed group", n)
	}
	if n := count("b"); n != b {
		t.Errorf("the other group has %d series, before %d", n, b)
	}
	a.Retries.Inc() // to a removed group: no effect, no harm

	a = m.Group("a", "s", "log")
	a.Retries.Add(3)
	if m.Group("a", "s", "log") != a {
		t.Error("the same group again does not go on with its numbers")
	}
	if n := m.Group("a", "s", "sql").Retries.Load(); n != 0 {
		t.Errorf("a group with another handler begins at %d retries", n)
	}
	if count("a") == 0 {
		t.Error("a replaced group has no series")
	}
}

func TestBinaryNames(t *testing.T) {
	t.Parallel()
	m := telemetry.NewMetrics("dev\xff")
	m.Group("g", "events\xff\n\"\x00", "log").Retries.Inc()
	if got := scrape(t, m)[`fanout_retries_total{group="g"}`]; got != "1" {
		t.Errorf("retries of a group on a stream with a binary name: %q, want 1", got)
	}
}

// TestConcurrentUse has a meaning under the race detector; the totals hold
// without it.
func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	m := telemetry.NewMetrics("dev")
	g := m.Group("g", "s", "log")
	const workers, rounds = 8, 200
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for i := range rounds {
				g.Read[i%len(g.Read)].Add(2)
				g.InFlight.Add(2)
				g.EntryAge.ObserveN(0.5, 2)
				g.Lag.Set(float64(i))
				g.SetState(telemetry.StateRunning)
				g.Restarted(telemetry.CauseFailed)
				m.RedisError(telemetry.OpRead)
				g.Settled[telemetry.Acked].Add(2)
				g.InFlight.Add(-2)
			}
		})
	}
	wg.Go(func() {
		for i := range 20 {
			m.Group(fmt.Sprint("other", i), "s", "log")
			scrape(t, m)
			m.Remove(fmt.Sprint("other", i))
		}
	})
	wg.Wait()
	if n := g.Unaccounted(); n != 0 {
		t.Errorf("Unaccounted() = %d at rest", n)
	}
	series := scrape(t, m)
	if got, want := series[`fanout_entry_age_seconds_sum{group="g"}`], fmt.Sprint(workers*rounds); got != want {
		t.Errorf("sum of the ages is %s, want %s", got, want)
	}
}
