package telemetry_test

import (
	"math"
	"runtime"
	"testing"
	"time"

	"example.com/fanout/pkg/telemetry"
)

func goVersion() string { return runtime.Version() }

func TestCounterNeverGoesBack(t *testing.T) {
	t.Parallel()
	var c telemetry.Counter
	c.Add(5)
	c.Add(-3)
	c.Inc()
	if n := c.Load(); n != 6 {
		t.Errorf("Load() = %d, want 6", n)
	}
}

func TestMaybe(t *testing.T) {
	t.Parallel()
	var m telemetry.Maybe
	for _, tt := range []struct {
		set   float64
		known bool
	}{
		{0, true}, {-1.5, true}, {math.MaxFloat64, true}, {math.Inf(1), true}, {math.Copysign(0, -1), true}, {math.NaN(), false}, {3, true},
	} {
		m.Set(tt.set)
		if v, known := m.Load(); known != tt.known || known && v != tt.set {
			t.Errorf("after Set(%v): Load() = %v, %v", tt.set, v, known)
		}
	}
	m.SetUnknown()
	if _, known := m.Load(); known {
		t.Error("known after SetUnknown")
	}
	if _, known := new(telemetry.Maybe).Load(); known {
		t.Error("the zero Maybe is known")
	}
}

func TestStamp(t *testing.T) {
	t.Parallel()
	var s telemetry.Stamp
	if !s.Load().IsZero() {
		t.Error("the zero Stamp is not never")
	}
	at := time.Unix(1_763_856_000, 123)
	s.Set(at)
	if !s.Load().Equal(at) {
		t.Errorf("Load() = %v, want %v", s.Load(), at)
	}
}

func TestHistogramIgnoresNonsense(t *testing.T) {
	t.Parallel()
	g := telemetry.NewMetrics("dev").Group("g", "s", "log")
	h := &g.HandleDuration
	h.ObserveN(1, 0)
	h.ObserveN(1, -4)
	h.Observe(math.NaN())
	if n := h.Count(); n != 0 {
		t.Errorf("Count() = %d after nothing worth counting", n)
	}
	h.Observe(math.Inf(1))
	h.Observe(-1)
	h.ObserveN(1e9, 3)
	if n := h.Count(); n != 5 {
		t.Errorf("Count() = %d, want 5", n)
	}

	var group telemetry.Group // not made by Metrics
	group.EntryAge.Observe(3)
	if n := group.EntryAge.Count(); n != 1 {
		t.Errorf("Count() of a zero Histogram = %d, want 1", n)
	}
}
