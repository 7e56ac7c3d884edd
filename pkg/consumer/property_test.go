package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strconv"
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

const seeds = 40

// TestEveryEntryEndsOnce runs processes with consumers under random verdicts,
// lost replies, failing and slow commands, restarts, scaling, kills, claims
// between the living and deleted entries, and then looks at every entry.
func TestEveryEntryEndsOnce(t *testing.T) {
	t.Parallel()
	for seed := range uint64(seeds) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, seed)
				defer w.end()
				w.run()
				w.check()
			})
		})
	}
}

// world is what all processes of a run share.
type world struct {
	*testing.T
	server  *consumertest.Server
	rng     *rand.Rand      // of the test's goroutine
	minIdle time.Duration   // of claims; where it is small they happen between the living
	over    chan struct{}   // closed at the end: the dead may go
	ctx     context.Context // of remnants; done at the end
	giveUp  context.CancelFunc
	procs   []*process
	dead    []*process
	poison  map[stream.ID]bool // every entry; true: it always fails
	deleted map[stream.ID]bool

	mu   sync.Mutex
	luck *rand.Rand // of handlers
	calm bool
	done map[stream.ID]int // calls that settled it
}

// process has consumers, a gate and a fate in common.
type process struct {
	w         *world
	name      string
	next      int // number of the next consumer
	alive     context.Context
	die       context.CancelFunc
	metrics   *telemetry.Group
	gate      *consumer.Gate
	consumers []*running
	leaving   sync.WaitGroup // remnants
}

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{
		T: t, server: consumertest.NewServer(t), rng: rand.New(rand.NewPCG(seed, 1)), luck: rand.New(rand.NewPCG(seed, 2)),
		minIdle: 30 * time.Second, over: make(chan struct{}), done: map[stream.ID]int{},
		poison: map[stream.ID]bool{}, deleted: map[stream.ID]bool{},
	}
	w.ctx, w.giveUp = context.WithCancel(context.Background())
	if seed%2 == 0 {
		w.minIdle = 1500 * time.Millisecond
	}
	w.server.CreateGroup(streamName, groupName, stream.ID{})
	faults := rand.New(rand.NewPCG(seed, 3))
	w.server.SetFaults(func(consumertest.Call) consumertest.Fault {
		switch faults.IntN(20) {
		case 0:
			return consumertest.Fault{Fail: errAway}
		case 1:
			return consumertest.Fault{Lose: errors.New("connection reset")}
		case 2:
			return consumertest.Fault{Delay: time.Duration(faults.IntN(2000)) * time.Millisecond}
		}
		return consumertest.Fault{}
	})
	for i := range 1 + w.rng.IntN(2) {
		w.spawn(fmt.Sprintf("host%d", i))
	}
	return w
}

// spawn starts a process. Its predecessor of the same name is dead.
func (w *world) spawn(name string) {
	p := &process{
		w: w, name: name, gate: consumer.NewGate(),
		metrics: telemetry.NewMetrics("test").Group(groupName, streamName, "test"),
	}
	p.alive, p.die = context.WithCancel(context.Background())
	w.procs = append(w.procs, p)
	for range 1 + w.rng.IntN(3) {
		p.add(fmt.Sprintf("%s-%d", name, p.next))
		p.next++
	}
}

func (p *process) add(name string) {
	w := p.w
	logger := slog.New(slog.DiscardHandler)
	cfg := config{
		Group: groupName, Name: name, HandlerType: "test",
		Source: &mortal{p, w.server.Source(groupName, name, w.minIdle)}, Handler: &fickle{p: p, active: map[stream.ID]bool{}},
		Decoder:   event.Decoder{Field: "event", Format: event.JSON},
		BatchSize: 1 + w.rng.IntN(50), BatchBytes: 200 + w.rng.IntN(5000), Concurrency: 1 + w.rng.IntN(4), Timeout: timeout,
		Linger:        time.Duration(w.rng.IntN(2)*w.rng.IntN(500)) * time.Millisecond,
		Retry:         retry.Policy{Attempts: 30, Backoff: retry.Backoff{Min: 100 * time.Millisecond, Max: time.Second}}, // random verdicts alone bury nothing
		MaxDeliveries: 1000, MinIdle: w.minIdle, DrainTimeout: time.Duration(w.rng.IntN(3)) * 2 * time.Second, AuditInterval: 20 * time.Second,
		Suspects: p.gate, LowWater: func() stream.ID { return stream.ID{} },
		Logger: logger, Logs: consumer.NewLogs(logger), Telemetry: p.metrics,
	}
	c := &running{done: make(chan struct{})}
	cfg.Abandon = func(r *consumer.Remnant) {
		c.abandoned = true
		p.leaving.Go(func() {
			if err := r.Serve(w.ctx); err != nil && p.alive.Err() == nil {
				w.Errorf("remnant: %v", err)
			}
		})
	}
	c.Consumer = consumer.New(cfg)
	ctx, cancel := context.WithCancelCause(context.Background())
	c.cancel = cancel
	p.consumers = append(p.consumers, c)
	go func() {
		defer close(c.done)
		c.err = c.Serve(ctx)
	}()
}

// restart ends a consumer of a process and starts another in its place.
func (p *process) restart(i int, cause error) {
	c := p.consumers[i]
	_ = c.stop(cause)
	p.consumers = append(p.consumers[:i:i], p.consumers[i+1:]...)
	name := c.Status().Name
	if c.abandoned || errors.Is(cause, handler.ErrStopping) {
		name = fmt.Sprintf("%s-%d", p.name, p.next)
		p.next++
	}
	p.add(name)
}

// kill is kill -9.
func (w *world) kill(i int) {
	p := w.procs[i]
	p.die()
	w.procs = append(w.procs[:i:i], w.procs[i+1:]...)
	w.dead = append(w.dead, p)
	w.spawn(p.name)
}

func (w *world) add(n int) {
	for range n {
		payload, bad := fmt.Sprintf(`{"n":%d}`, w.rng.IntN(1000)), w.rng.IntN(50) == 0
		if bad {
			payload = `{"poison":true}`
		}
		w.poison[w.server.AddEvent(payload)] = bad
	}
}

func (w *world) claim() {
	for _, p := range w.procs {
		for _, c := range p.consumers {
			c.Claim()
		}
	}
}

func (w *world) run() {
	for range 12 {
		w.add(w.rng.IntN(80))
		time.Sleep(time.Duration(w.rng.IntN(5000)) * time.Millisecond)
		i := w.rng.IntN(len(w.procs))
		p := w.procs[i]
		switch w.rng.IntN(6) {
		case 0:
			p.restart(w.rng.IntN(len(p.consumers)), errRestart)
		case 1:
			p.restart(w.rng.IntN(len(p.consumers)), handler.ErrStopping)
		case 2:
			w.kill(i)
		case 3:
			for id := range w.poison {
				if w.rng.IntN(20) == 0 {
					w.server.Delete(streamName, id)
					w.deleted[id] = true
				}
			}
		}
		w.claim()
	}
	w.server.SetFaults(nil)
	w.mu.Lock()
	w.calm = true
	w.mu.Unlock()
	for range 8 {
		time.Sleep(10 * time.Second)
		w.claim()
	}
	for _, p := range w.procs {
		for _, c := range p.consumers {
			if err := c.stop(handler.ErrStopping); err != nil {
				w.Errorf("stop: %v", err)
			}
		}
		p.leaving.Wait()
	}
}

func (w *world) check() {
	if left := w.server.Pending(groupName); len(left) > 0 {
		w.Errorf("left pending: %v", left)
	}
	if wrong := w.server.Misacked(groupName); len(wrong) > 0 {
		w.Errorf("acknowledged while another's: %v", wrong)
	}
	buried := map[stream.ID]int{}
	for _, l := range w.server.Letters(groupName) {
		buried[l.ID]++
	}
	for id, poison := range w.poison {
		switch acked := w.server.Acked(groupName, id); {
		case acked+buried[id] > 1 || acked+buried[id] == 0 && !w.deleted[id]:
			w.Errorf("%s: acked %d times, buried %d times", id, acked, buried[id])
		case acked == 1 && w.done[id] == 0:
			w.Errorf("%s: acked though no call settled it", id)
		case poison && acked > 0 || !poison && buried[id] > 0:
			w.Errorf("%s: poison %v, acked %d, buried %d", id, poison, acked, buried[id])
		}
	}
	for _, p := range w.procs {
		if n := p.metrics.Unaccounted(); n != 0 || p.metrics.InFlight.Load() != 0 || p.metrics.Retrying.Load() != 0 {
			w.Errorf("%s: unaccounted %d, in flight %d, retrying %d", p.name, n, p.metrics.InFlight.Load(), p.metrics.Retrying.Load())
		}
	}
}

// end lets the dead go.
func (w *world) end() {
	close(w.over)
	w.giveUp()
	for _, p := range append(w.dead, w.procs...) {
		for _, c := range p.consumers {
			_ = c.stop(handler.ErrStopping)
		}
		p.leaving.Wait()
	}
}

// live blocks the dead until the end. It reports whether the process lives.
func (p *process) live() bool {
	if p.alive.Err() != nil {
		<-p.w.over
		return false
	}
	return true
}

// mortal is a source that does nothing any more when its process is dead, and
// says nothing: not even of what was done before.
type mortal struct {
	p   *process
	src consumer.Source
}

func mortally[T any](ctx context.Context, m *mortal, do func(context.Context) (T, error)) (T, error) {
	var none T
	if !m.p.live() {
		return none, errAway
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(m.p.alive, cancel)() // what is on its way does not arrive
	result, err := do(ctx)
	if !m.p.live() {
		return none, errAway
	}
	return result, err
}

func (m *mortal) Read(ctx context.Context, limit int, wait time.Duration) ([]stream.Delivery, error) {
	return mortally(ctx, m, func(ctx context.Context) ([]stream.Delivery, error) { return m.src.Read(ctx, limit, wait) })
}

func (m *mortal) Own(ctx context.Context, after stream.ID, limit int) (stream.Page, error) {
	return mortally(ctx, m, func(ctx context.Context) (stream.Page, error) { return m.src.Own(ctx, after, limit) })
}

func (m *mortal) Claim(ctx context.Context, cursor stream.ID, idle time.Duration, limit int) (stream.Page, error) {
	return mortally(ctx, m, func(ctx context.Context) (stream.Page, error) { return m.src.Claim(ctx, cursor, idle, limit) })
}

func (m *mortal) Ack(ctx context.Context, probes, refs []stream.ID) (int, error) {
	return mortally(ctx, m, func(ctx context.Context) (int, error) { return m.src.Ack(ctx, probes, refs) })
}

func (m *mortal) Hold(ctx context.Context, holds []stream.Hold) ([]stream.ID, error) {
	return mortally(ctx, m, func(ctx context.Context) ([]stream.ID, error) { return m.src.Hold(ctx, holds) })
}

func (m *mortal) Bury(ctx context.Context, ref stream.ID, letter *deadletter.Letter) (stream.Burial, error) {
	return mortally(ctx, m, func(ctx context.Context) (stream.Burial, error) { return m.src.Bury(ctx, ref, letter) })
}

func (m *mortal) Close() error { return m.src.Close() }

// fickle is a consumer's handler. Its verdicts are random, but for poison
// entries, which always fail.
type fickle struct {
	p      *process
	active map[stream.ID]bool // in a call of this consumer
}

var poisonPath, _ = event.ParsePath("poison")

func (f *fickle) Handle(ctx context.Context, b *handler.Batch) error {
	w := f.p.w
	if !f.p.live() {
		return errAway
	}
	w.mu.Lock()
	for _, d := range b.Deliveries {
		if f.active[d.ID] {
			w.Errorf("%s is in two calls of one consumer at once", d.ID)
		}
		f.active[d.ID] = true
	}
	roll, wait, pick := w.luck.IntN(100), time.Duration(w.luck.IntN(300))*time.Millisecond, w.luck.IntN(len(b.Deliveries))
	if w.luck.IntN(30) == 0 {
		wait = 4 * time.Second // beyond the timeout
	}
	if w.calm {
		roll, wait = 99, time.Millisecond
	}
	w.mu.Unlock()
	heeds := roll%2 == 0 // the other half ignores its context
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		if !heeds {
			<-timer.C
		}
	}
	if !f.p.live() {
		return errAway
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, d := range b.Deliveries {
		delete(f.active, d.ID)
	}
	if ctx.Err() != nil && heeds {
		return context.Cause(ctx)
	}
	named := &handler.BatchError{}
	for i, d := range b.Deliveries {
		if _, poison := d.Event.Lookup(poisonPath); poison {
			named.Fail(i, errors.New("poison"))
		}
	}
	switch {
	case roll < 5:
		return handler.Unavailable(errors.New("sink is down"))
	case roll < 8:
		return errors.New("unnamed")
	case roll < 10:
		panic("handler panics")
	case roll < 14:
		named.Fail(pick, handler.RetryAfter(errors.New("named"), time.Second))
	case roll < 16:
		named.Fail(pick, handler.Unavailable(errors.New("named unavailable")))
	case named.Err() != nil && len(b.Deliveries) > 1 && roll < 60:
		return errors.New("unnamed poison")
	}
	for i, d := range b.Deliveries {
		if _, failed := named.Failed[i]; !failed {
			w.done[d.ID]++
		}
	}
	return named.Err()
}

func (f *fickle) Close() error { return nil }
