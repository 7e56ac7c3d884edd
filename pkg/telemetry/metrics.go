package telemetry

import (
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics is everything that one process shows at /metrics. It is safe for
// concurrent use.
type Metrics struct {
	registry    *prometheus.Registry
	redisErrors [len(opNames)]Counter
	reloadOK    Gauge
	reloadedAt  Stamp
	redis       atomic.Pointer[func() RedisStats]

	mu        sync.RWMutex
	groups    map[string]*registration
	retention map[string]*Retention // by stream
}

// registration is a group with its labels, which are valid UTF-8.
type registration struct {
	name, stream, handler string
	group                 *Group
}

// NewMetrics makes the metrics of a process that runs this version.
func NewMetrics(version string) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry(), groups: map[string]*registration{}, retention: map[string]*Retention{}}
	info := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "fanout_build_info",
		Help: "Always 1; the labels tell the version of the program and of Go.",
	}, []string{"version", "go_version"})
	info.WithLabelValues(valid(version), runtime.Version()).Set(1)
	m.registry.MustRegister(
		info,
		collector{m},
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return m
}

// Group returns the numbers of a group; from now on all its series exist. A
// group that is already there with the same stream and handler goes on with
// its numbers; with others it begins at 0 and replaces the former one.
func (m *Metrics) Group(name, stream, handler string) *Group {
	name, stream, handler = valid(name), valid(stream), valid(handler)
	m.mu.Lock()
	defer m.mu.Unlock()
	if r := m.groups[name]; r != nil && r.stream == stream && r.handler == handler {
		return r.group
	}
	g := newGroup()
	m.groups[name] = &registration{name, stream, handler, g}
	return g
}

// Remove makes the series of a group vanish. Counting into its Group goes on
// to be safe.
func (m *Metrics) Remove(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.groups, valid(name))
}

// RedisError counts a failed operation on Redis, one of the Op constants.
func (m *Metrics) RedisError(op string) { m.redisErrors[indexOf(opNames[:], op)].Inc() }

// Reloaded says how the latest attempt to read the manifest ended, the first
// one at the start included.
func (m *Metrics) Reloaded(ok bool, at time.Time) {
	if !ok {
		m.reloadOK.Set(0)
		return
	}
	m.reloadOK.Set(1)
	m.reloadedAt.Set(at)
}

// Handler serves the metrics in the formats of Prometheus. It answers at most
// four requests at a time.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorHandling:       promhttp.ContinueOnError,
		MaxRequestsInFlight: 4,
	})
}

// valid makes a text fit for a label: Redis allows any bytes in names,
// Prometheus UTF-8 alone.
func valid(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }
