package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"example.com/fanout/pkg/consumer"
	"example.com/fanout/pkg/consumer/consumertest"
	"example.com/fanout/pkg/deadletter"
	"example.com/fanout/pkg/event"
	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/retry"
	"example.com/fanout/pkg/stream"
	"example.com/fanout/pkg/telemetry"
)

const (
	groupName = "analytics"
	minIdle   = 10 * time.Second
	timeout   = 3 * time.Second
	drain     = 5 * time.Second
)

var (
	errRestart = errors.New("restart")
	errSink    = errors.New("sink fails")
	errAway    = errors.New("connection refused")
)

// rig is a server, and what its consumers share, in a bubble of its own. What
// still runs at the end of a test is stopped; a goroutine that stays behind
// fails the test.
type rig struct {
	*testing.T
	server  *consumertest.Server
	metrics *telemetry.Group
	gate    *consumer.Gate
	began   time.Time

	running  []*running
	remnants chan *remnant
	serving  sync.WaitGroup
	ctx      context.Context // of the remnants
	giveUp   context.CancelFunc
	over     chan struct{} // closed at the end
}

// bubble runs a test with its own clock.
func bubble(t *testing.T, test func(r *rig)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{
			T:        t,
			server:   consumertest.NewServer(t),
			metrics:  telemetry.NewMetrics("test").Group(groupName, consumertest.Stream, "test"),
			gate:     consumer.NewGate(),
			began:    time.Now(),
			remnants: make(chan *remnant, 100),
			over:     make(chan struct{}),
		}
		r.ctx, r.giveUp = context.WithCancel(context.Background())
		r.server.CreateGroup(consumertest.Stream, groupName, stream.ID{})
		defer r.end()
		test(r)
	})
}

func (r *rig) end() {
	for _, c := range r.running {
		c.cancel(handler.ErrStopping)
	}
	for _, c := range r.running {
		<-c.done
	}
	r.giveUp()
	r.serving.Wait()
	close(r.over)
}

// running is a consumer under test.
type running struct {
	*consumer.Consumer
	cancel context.CancelCauseFunc
	done   chan struct{} // closed when Serve has returned err
	err    error

	abandoned bool // it has left a remnant
}

// remnant is what a consumer has abandoned.
type remnant struct {
	*consumer.Remnant
	done chan struct{} // closed when Serve has returned err
	err  error
}

// config is that of a consumer with the rig's defaults.
func (r *rig) config(name string, h handler.Handler, change ...func(*config)) config {
	logger := slog.New(slog.DiscardHandler)
	cfg := config{
		Group: groupName, Name: name, HandlerType: "test",
		Source: r.server.Source(groupName, name, minIdle), Handler: h,
		Decoder:   event.Decoder{Field: "event", Format: event.JSON},
		BatchSize: 10, BatchBytes: 1 << 20, Concurrency: 2, Timeout: timeout,
		Retry:         retry.Policy{Attempts: 3, Backoff: retry.Backoff{Min: 100 * time.Millisecond, Max: time.Second}},
		MaxDeliveries: 5, MinIdle: minIdle, DrainTimeout: drain, AuditInterval: 30 * time.Second,
		Suspects: r.gate, LowWater: func() stream.ID { return stream.ID{} },
		Abandon: r.serve,
		Logger:  logger, Logs: consumer.NewLogs(logger), Telemetry: r.metrics,
	}
	for _, f := range change {
		f(&cfg)
	}
	return cfg
}

// start runs a consumer.
func (r *rig) start(name string, h handler.Handler, change ...func(*config)) *running {
	cfg := r.config(name, h, change...)
	ctx, cancel := context.WithCancelCause(context.Background())
	c := &running{Consumer: consumer.New(cfg), cancel: cancel, done: make(chan struct{})}
	r.running = append(r.running, c)
	go func() {
		defer close(c.done)
		c.err = c.Serve(ctx)
	}()
	return c
}

// serve is the Abandon of the rig's consumers.
func (r *rig) serve(left *consumer.Remnant) {
	rem := &remnant{Remnant: left, done: make(chan struct{})}
	r.remnants <- rem
	r.serving.Go(func() {
		defer close(rem.done)
		rem.err = left.Serve(r.ctx)
	})
}

// stop ends the consumer and waits for it.
func (c *running) stop(cause error) error {
	c.cancel(cause)
	<-c.done
	return c.err
}

// add appends n entries that are nothing special.
func (r *rig) add(n int) []stream.ID {
	ids := make([]stream.ID, n)
	for i := range ids {
		ids[i] = r.server.AddEvent(fmt.Sprintf(`{"n":%d}`, i))
	}
	return ids
}

// leave makes entries that are pending under a name with these delivery counts.
func (r *rig) leave(name string, free bool, counts ...int64) []stream.ID {
	r.Helper()
	ids := r.add(len(counts))
	src := r.server.Source(groupName, name, minIdle)
	defer src.Close()
	if _, err := consumertest.Take(context.Background(), src, len(counts), 0); err != nil {
		r.Fatal(err)
	}
	holds := make([]stream.Hold, len(ids))
	for i, id := range ids {
		holds[i] = stream.Hold{Ref: id, Count: counts[i], Free: free}
	}
	if lost, err := src.Hold(context.Background(), holds); err != nil || len(lost) > 0 {
		r.Fatal(lost, err)
	}
	return ids
}

// steal claims what has been idle for that long, in another's name.
func (r *rig) steal(idle time.Duration) []stream.ID {
	r.Helper()
	src := r.server.Source(groupName, "thief", minIdle)
	defer src.Close()
	page, err := src.Claim(context.Background(), stream.ID{}, idle, 10_000)
	if err != nil {
		r.Fatal(err)
	}
	var ids []stream.ID
	for _, d := range page.Deliveries {
		ids = append(ids, d.Ref)
	}
	return ids
}

// at is the time since the test began.
func (r *rig) at() time.Duration { return time.Since(r.began) }

// wantAcked checks that all of these have been acknowledged once.
func (r *rig) wantAcked(ids ...stream.ID) {
	r.Helper()
	for _, id := range ids {
		if n := r.server.Acked(groupName, id); n != 1 {
			r.Errorf("%s is acknowledged %d times, want once", id, n)
		}
	}
}

// wantPending checks what is pending, by ID and delivery count.
func (r *rig) wantPending(want map[stream.ID]int64) {
	r.Helper()
	got := map[stream.ID]int64{}
	for _, p := range r.server.Pending(groupName) {
		got[p.ID] = p.Count
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		r.Errorf("pending with counts %v, want %v", got, want)
	}
}

// wantAccounted checks that every delivery has ended in one outcome.
func (r *rig) wantAccounted() {
	r.Helper()
	if n := r.metrics.Unaccounted(); n != 0 || r.metrics.InFlight.Load() != 0 || r.metrics.Retrying.Load() != 0 {
		r.Errorf("unaccounted %d, in flight %d, retrying %d, want none", n, r.metrics.InFlight.Load(), r.metrics.Retrying.Load())
	}
	if wrong := r.server.Misacked(groupName); len(wrong) > 0 {
		r.Errorf("acknowledged while another's: %v", wrong)
	}
}

func (r *rig) wantSettled(outcome telemetry.Outcome, n int64) {
	r.Helper()
	if got := r.metrics.Settled[outcome].Load(); got != n {
		r.Errorf("%d ended as %s, want %d", got, outcome, n)
	}
}

// recorder is a handler that notes its calls. Its answer comes from a function.
type recorder struct {
	answer func(ctx context.Context, b *handler.Batch) error // nil: all is done

	mu    sync.Mutex
	calls []*handled
	now   int // calls at this moment
	most  int // calls at once
}

// handled is one call.
type handled struct {
	began, ended time.Time // ended is zero while it runs
	ids          []stream.ID
	attempts     []int
	cause        error // of its context, at the end
}

func (h *recorder) Handle(ctx context.Context, b *handler.Batch) error {
	c := &handled{began: time.Now()}
	for _, d := range b.Deliveries {
		c.ids = append(c.ids, d.ID)
		c.attempts = append(c.attempts, d.Attempt)
	}
	h.mu.Lock()
	h.calls = append(h.calls, c)
	h.now++
	h.most = max(h.most, h.now)
	h.mu.Unlock()
	defer func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.now--
		c.ended, c.cause = time.Now(), context.Cause(ctx)
	}()
	if h.answer == nil {
		return nil
	}
	return h.answer(ctx, b)
}

func (h *recorder) Close() error { return nil }

// all returns the calls so far, the present ones included.
func (h *recorder) all() []handled {
	h.mu.Lock()
	defer h.mu.Unlock()
	calls := make([]handled, len(h.calls))
	for i, c := range h.calls {
		calls[i] = *c
	}
	return calls
}

// of returns the calls with an entry.
func (h *recorder) of(id stream.ID) []handled {
	return slices.DeleteFunc(h.all(), func(c handled) bool { return !slices.Contains(c.ids, id) })
}

// atOnce is how many calls there were at the same time.
func (h *recorder) atOnce() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.most
}

func has(b *handler.Batch, ids ...stream.ID) bool {
	return slices.ContainsFunc(b.Deliveries, func(d handler.Delivery) bool { return slices.Contains(ids, d.ID) })
}

// deaf waits without a look at its context, but not beyond the test.
func (r *rig) deaf(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.over:
	}
}

// pass lets time pass, and then everything come to rest. It is for a test that
// looks at variables which its handler or source has written.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// pause waits, or returns the cause when ctx is done.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// brief says of letters what a test compares.
func brief(letters []deadletter.Letter) string {
	var s []string
	for _, l := range letters {
		s = append(s, fmt.Sprintf("%s %s after %d attempts, %d deliveries", l.ID, l.Stage, l.Attempts, l.Deliveries))
	}
	return strings.Join(s, "; ")
}
