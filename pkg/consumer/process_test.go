package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"example.com/fanout/pkg/consumer"
	"example.com/fanout/pkg/deadletter"
	"example.com/fanout/pkg/event"
	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/retry"
	"example.com/fanout/pkg/stream"
	"example.com/fanout/pkg/telemetry"
)

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

func (m *mortal) Read(ctx context.Context, c *stream.Chunk, limit int, wait time.Duration) error {
	_, err := mortally(ctx, m, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, m.src.Read(ctx, c, limit, wait)
	})
	return err
}

func (m *mortal) Rest(ctx context.Context) ([]stream.ID, error) {
	return mortally(ctx, m, func(ctx context.Context) ([]stream.ID, error) { return m.src.Rest(ctx) })
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
