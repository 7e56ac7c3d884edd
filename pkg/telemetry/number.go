package telemetry

import (
	"math"
	"sync/atomic"
	"time"
)

// Counter is a number that only grows. The zero Counter is ready for use; it is
// safe for concurrent use.
type Counter struct{ n atomic.Int64 }

// Add adds n. A counter cannot go back: n below 0 adds nothing.
func (c *Counter) Add(n int64) {
	if n > 0 {
		c.n.Add(n)
	}
}

// Inc adds 1.
func (c *Counter) Inc() { c.n.Add(1) }

// Load returns the count.
func (c *Counter) Load() int64 { return c.n.Load() }

// Gauge is a number that goes up and down. The zero Gauge is ready for use; it
// is safe for concurrent use.
type Gauge struct{ n atomic.Int64 }

// Set sets the value.
func (g *Gauge) Set(n int64) { g.n.Store(n) }

// Add adds n, which may be negative.
func (g *Gauge) Add(n int64) { g.n.Add(n) }

// Load returns the value.
func (g *Gauge) Load() int64 { return g.n.Load() }

// Maybe is a gauge whose value may be unknown; then it has no sample in the
// metrics. The zero Maybe is unknown; it is safe for concurrent use.
type Maybe struct {
	bits atomic.Uint64 // of the value, plus one; 0 is unknown
}

// Set sets the value and makes it known. NaN is unknown.
func (m *Maybe) Set(v float64) {
	if math.IsNaN(v) {
		m.SetUnknown()
		return
	}
	m.bits.Store(math.Float64bits(v) + 1)
}

// SetUnknown forgets the value.
func (m *Maybe) SetUnknown() { m.bits.Store(0) }

// Load returns the value; it means nothing unless known is true.
func (m *Maybe) Load() (v float64, known bool) {
	bits := m.bits.Load()
	if bits == 0 {
		return 0, false
	}
	return math.Float64frombits(bits - 1), true
}

// Stamp is the time when something last happened. The zero Stamp means never;
// it is safe for concurrent use.
type Stamp struct{ ns atomic.Int64 }

// Set sets the time.
func (s *Stamp) Set(t time.Time) { s.ns.Store(t.UnixNano()) }

// Load returns the time, the zero time for never.
func (s *Stamp) Load() time.Time {
	ns := s.ns.Load()
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns)
}

// seconds is the time as Prometheus writes it, 0 for never.
func (s *Stamp) seconds() float64 { return float64(s.ns.Load()) / 1e9 }
