package fanout_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"example.com/fanout/pkg/consumer/consumertest"
	"example.com/fanout/pkg/fanout"
	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/manifest"
	"example.com/fanout/pkg/stream"
	"example.com/fanout/pkg/telemetry"
)

var (
	errAway = errors.New("connection refused")
	errSink = errors.New("sink fails")
)

const minIdle = time.Minute

// rig is a Fanout over an in-memory server, in a bubble of its own. It stops at
// the end of a test; a goroutine that stays behind fails the test.
type rig struct {
	*testing.T
	*broker
	fanout *fanout.Fanout
	stop   context.CancelFunc
	done   chan struct{} // closed when Serve has returned err
	err    error
	over   chan struct{} // closed at the end
	log    *lines

	mu       sync.Mutex
	instance string
	sinks    map[string]*sink           // by group
	build    func(manifest.Group) error // asked before a handler is built; nil: go on
}

// sink is what all handlers that are built for a group have in common.
type sink struct {
	answer func(ctx context.Context, b *handler.Batch) error // nil: all is done

	mu      sync.Mutex
	built   int
	closed  int
	running int
	faults  []string // misuse
	done    map[stream.ID]int
	calls   []called
}

// called is one call.
type called struct {
	built int // which of the handlers
	at    time.Time
	n     int
}

// built is one handler of a group.
type built struct {
	*sink
	number  int
	running int
	closed  bool
}

func (h *built) Handle(ctx context.Context, b *handler.Batch) error {
	h.mu.Lock()
	h.calls = append(h.calls, called{h.number, time.Now(), len(b.Deliveries)})
	h.running++
	if h.closed {
		h.faults = append(h.faults, "called after Close")
	}
	h.mu.Unlock()
	defer func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.running--
	}()
	var err error
	if h.answer != nil {
		err = h.answer(ctx, b)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if err == nil {
		for _, d := range b.Deliveries {
			h.done[d.ID]++
		}
	}
	return err
}

func (h *built) Close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed || h.running > 0 {
		h.faults = append(h.faults, fmt.Sprintf("Close with %d calls, closed before: %v", h.running, h.closed))
	}
	h.closed = true
	h.sink.closed++
	return nil
}

// counts are the handlers that were built and closed so far.
func (s *sink) counts() (built, closed int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.built, s.closed
}

func (s *sink) all() []called {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]called(nil), s.calls...)
}

// times is how often an entry was done.
func (s *sink) times(id stream.ID) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.done[id]
}

// bubble runs a test with its own clock.
func bubble(t *testing.T, test func(r *rig)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{
			T: t, broker: newBroker(t), sinks: map[string]*sink{}, instance: "host",
			done: make(chan struct{}), over: make(chan struct{}), log: &lines{},
		}
		r.fanout = fanout.New(fanout.Config{
			Broker: r.broker, Build: r.newHandler, Metrics: telemetry.NewMetrics("test"),
			Instance: func() string {
				r.mu.Lock()
				defer r.mu.Unlock()
				return r.instance
			},
			Logger: slog.New(slog.NewTextHandler(r.log, nil)),
		})
		var ctx context.Context
		ctx, r.stop = context.WithCancel(context.Background())
		go func() {
			defer close(r.done)
			r.err = r.fanout.Serve(ctx)
		}()
		defer r.end()
		test(r)
	})
}

func (r *rig) end() {
	r.stop()
	<-r.done
	close(r.over)
	synctest.Wait()
	for name, s := range r.sinks {
		for _, fault := range s.faults {
			r.Errorf("handler of %s: %s", name, fault)
		}
		if s.built != s.closed && s.running == 0 && r.err == nil {
			r.Errorf("handler of %s: built %d times, closed %d times", name, s.built, s.closed)
		}
	}
}

// sink returns that of a group. What it answers is set before the group runs.
func (r *rig) sink(group string) *sink {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sinks[group] == nil {
		r.sinks[group] = &sink{done: map[stream.ID]int{}}
	}
	return r.sinks[group]
}

func (r *rig) newHandler(g manifest.Group) (handler.Handler, error) {
	r.mu.Lock()
	build := r.build
	r.mu.Unlock()
	if build != nil {
		if err := build(g); err != nil {
			return nil, err
		}
	}
	s := r.sink(g.Name)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.built++
	return &built{sink: s, number: s.built}, nil
}

func (r *rig) setBuild(build func(manifest.Group) error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.build = build
}

// group is a group of a manifest with two consumers of one call each.
func group(name string, change ...func(*manifest.Group)) manifest.Group {
	g := manifest.Group{
		Name: name, Group: name, Enabled: true, Stream: consumertest.Stream,
		Payload: manifest.Payload{Field: "event", Format: "json"}, Consumers: 2, Concurrency: 1,
		Batch: manifest.Batch{Size: 10, Bytes: 1 << 20}, Timeout: 30 * time.Second,
		Retry:         manifest.Retry{Attempts: 3, MinBackoff: 100 * time.Millisecond, MaxBackoff: time.Second},
		MaxDeliveries: 5, DrainTimeout: 5 * time.Second,
		Claim:   manifest.Claim{MinIdle: minIdle, Interval: 15 * time.Second},
		Restart: manifest.Restart{Intensity: 3, Period: time.Minute, MinBackoff: time.Second, MaxBackoff: 10 * time.Second},
		Handler: manifest.Handler{Type: "test"},
	}
	for _, f := range change {
		f(&g)
	}
	g.Hash = fmt.Sprintf("%+v", g)
	return g
}

func consumers(n int) func(*manifest.Group) { return func(g *manifest.Group) { g.Consumers = n } }

func of(groups ...manifest.Group) *manifest.Manifest {
	return &manifest.Manifest{Version: 1, Groups: groups}
}

// apply makes these the running groups.
func (r *rig) apply(groups ...manifest.Group) {
	r.Helper()
	p, err := r.fanout.Prepare(of(groups...), true)
	if err != nil {
		r.Fatal(err)
	}
	if err := r.fanout.Apply(context.Background(), p); err != nil {
		r.Fatal(err)
	}
}

// status of a group that must be there.
func (r *rig) status(name string) fanout.Status {
	r.Helper()
	for _, s := range r.fanout.Status() {
		if s.Manifest.Name == name {
			return s
		}
	}
	r.Fatalf("there is no group %s", name)
	return fanout.Status{}
}

// names are those of a group's consumers, but for the one of replays.
func (r *rig) names(group string) string {
	var names []string
	for _, c := range r.status(group).Consumers {
		if !strings.Contains(c.Name, "replay") {
			names = append(names, c.Name)
		}
	}
	return strings.Join(names, " ")
}

func (r *rig) wantDone(group string, ids ...stream.ID) {
	r.Helper()
	for _, id := range ids {
		if n := r.sink(group).times(id); n != 1 {
			r.Errorf("%s is done %d times by %s, want once", id, n, group)
		}
	}
}

func (r *rig) wantState(group, state string) {
	r.Helper()
	if s := r.status(group); s.State != state {
		r.Errorf("%s is %s, want %s; problems %q, last error %q", group, s.State, state, s.Problems, s.LastError)
	}
}

func (r *rig) wantProblem(group, text string) {
	r.Helper()
	if s := r.status(group); !strings.Contains(strings.Join(s.Problems, "; "), text) {
		r.Errorf("problems of %s: %q, want %q among them", group, s.Problems, text)
	}
}

// deaf waits without a look at a context, but not beyond the test.
func (r *rig) deaf(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.over:
	}
}

// wait is deaf to nothing.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// lines is a log.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), text)
}

// leave makes n entries that are pending under a name.
func (r *rig) leave(group manifest.Group, name string, n int) []stream.ID {
	r.Helper()
	if _, err := r.Remote(group).Ensure(context.Background()); err != nil {
		r.Fatal(err)
	}
	r.add(n)
	src := r.server.Source(group.Group, name, minIdle)
	defer src.Close()
	ds, err := consumertest.Take(context.Background(), src, n, 0)
	if err != nil || len(ds) != n {
		r.Fatal(len(ds), err)
	}
	ids := make([]stream.ID, n)
	for i, d := range ds {
		ids[i] = d.ID
	}
	return ids
}
