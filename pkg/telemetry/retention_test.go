package telemetry_test

import (
	"testing"

	"example.com/fanout/pkg/telemetry"
)

func TestRetentionSeries(t *testing.T) {
	t.Parallel()
	const (
		trimmed = `fanout_trimmed_entries_total{stream="events�"}`
		needed  = `fanout_retention_held{reason="needed",stream="events�"}`
		missing = `fanout_retention_held{reason="group_missing",stream="events�"}`
	)
	m := telemetry.NewMetrics("v")
	r := m.Retention("events\xff")
	want := func(values ...string) {
		t.Helper()
		series := scrape(t, m)
		for i, name := range []string{trimmed, needed, missing} {
			if got := series[name]; got != values[i] {
				t.Errorf("%s is %q, want %q", name, got, values[i])
			}
		}
	}
	want("0", "0", "0")
	r.Trimmed.Add(7)
	r.Held[telemetry.HeldByGroup].Set(1)
	m.Retention("events\xff").Trimmed.Add(1)
	want("8", "1", "0")
	m.RemoveRetention("events\xff")
	r.Trimmed.Inc()
	want("", "", "")
}
