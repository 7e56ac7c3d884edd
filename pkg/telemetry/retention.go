package telemetry

import "github.com/prometheus/client_golang/prometheus"

// Hold says why a stream is not trimmed as its rules ask for.
type Hold uint8

// The holds.
const (
	HeldByGroup   Hold = iota // a bound is exceeded, for a group needs what is beyond
	HeldByMissing             // a group that must be there is missing
	NumHolds
)

var holdNames = [NumHolds]string{"needed", "group_missing"}

// Retention holds the numbers of one stream that is trimmed. It is safe for
// concurrent use.
type Retention struct {
	Trimmed Counter // entries
	Held    [NumHolds]Gauge
}

// Retention returns the numbers of a stream; from now on its series exist.
func (m *Metrics) Retention(stream string) *Retention {
	m.mu.Lock()
	defer m.mu.Unlock()
	stream = valid(stream)
	if m.retention[stream] == nil {
		m.retention[stream] = new(Retention)
	}
	return m.retention[stream]
}

// RemoveRetention makes the series of a stream vanish. Counting into its
// Retention goes on to be safe.
func (m *Metrics) RemoveRetention(stream string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.retention, valid(stream))
}

var (
	entriesTrimmed = describe("trimmed_entries_total", "Entries that this process trimmed from the stream.", "stream")
	retentionHeld  = describe("retention_held", "Whether the stream is not trimmed as its rules ask for: a group needs what is beyond a bound, or a declared group is missing.", "stream", "reason")
)

func (m *Metrics) collectRetention(ch chan<- prometheus.Metric) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	for stream, r := range m.retention {
		ch <- counter(entriesTrimmed, &r.Trimmed, stream)
		for i := range r.Held {
			ch <- gauge(retentionHeld, float64(r.Held[i].Load()), stream, holdNames[i])
		}
	}
}
