package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"example.com/fanout/pkg/consumer"
	"example.com/fanout/pkg/consumer/consumertest"
	"example.com/fanout/pkg/event"
	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/retry"
	"example.com/fanout/pkg/stream"
	"example.com/fanout/pkg/telemetry"
)

const groupName = "analytics"

// handlerFunc is a handler made of a function.
type handlerFunc func(ctx context.Context, b *handler.Batch) error

func (f handlerFunc) Handle(ctx context.Context, b *handler.Batch) error { return f(ctx, b) }
func (f handlerFunc) Close() error                                       { return nil }

// seen records what a handler was given.
type seen struct {
	mu  sync.Mutex
	ids map[stream.ID]int
}

func (s *seen) note(b *handler.Batch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ids == nil {
		s.ids = map[stream.ID]int{}
	}
	for _, d := range b.Deliveries {
		s.ids[d.ID]++
	}
}

func config(server *consumertest.Server, name string, h handler.Handler) consumer.Config {
	logger := slog.New(slog.DiscardHandler)
	const minIdle = 10 * time.Second
	return consumer.Config{
		Group: groupName, Name: name, HandlerType: "test",
		Source: server.Source(groupName, name, minIdle), Handler: h,
		Decoder:   event.Decoder{Field: "event", Format: event.JSON},
		BatchSize: 10, BatchBytes: 1 << 20, Concurrency: 2, Timeout: 3 * time.Second,
		Retry:         retry.Policy{Attempts: 3, Backoff: retry.Backoff{Min: 100 * time.Millisecond, Max: time.Second}},
		MaxDeliveries: 5, MinIdle: minIdle, DrainTimeout: 5 * time.Second, AuditInterval: 30 * time.Second,
		Suspects: consumer.NewGate(), LowWater: func() stream.ID { return stream.ID{} },
		Abandon: func(*consumer.Remnant) { panic("nobody takes remnants") },
		Logger:  logger, Logs: consumer.NewLogs(logger), Telemetry: telemetry.NewMetrics("test").Group(groupName, consumertest.Stream, "test"),
	}
}

// running is a consumer under test.
type running struct {
	*consumer.Consumer
	cancel context.CancelCauseFunc
	done   chan error
}

func start(cfg consumer.Config) *running {
	ctx, cancel := context.WithCancelCause(context.Background())
	r := &running{consumer.New(cfg), cancel, make(chan error, 1)}
	go func() { r.done <- r.Serve(ctx) }()
	return r
}

func (r *running) stop(cause error) error {
	r.cancel(cause)
	return <-r.done
}

func TestConsumerHandlesEverythingOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := consumertest.NewServer(t)
		server.CreateGroup(consumertest.Stream, groupName, stream.ID{})
		var got seen
		cfg := config(server, "c-0", handlerFunc(func(_ context.Context, b *handler.Batch) error {
			got.note(b)
			return nil
		}))
		r := start(cfg)
		for i := range 1000 {
			server.AddEvent(fmt.Sprintf(`{"n":%d}`, i))
		}
		time.Sleep(5 * time.Second)
		if err := r.stop(handler.ErrStopping); err != nil {
			t.Fatal(err)
		}
		if len(got.ids) != 1000 {
			t.Errorf("handled %d entries, want 1000", len(got.ids))
		}
		if left := server.Pending(groupName); len(left) > 0 {
			t.Errorf("%d left pending", len(left))
		}
		if n := cfg.Telemetry.Unaccounted(); n != 0 || cfg.Telemetry.InFlight.Load() != 0 {
			t.Errorf("unaccounted %d, in flight %d", n, cfg.Telemetry.InFlight.Load())
		}
	})
}

func TestPoisonIsIsolated(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := consumertest.NewServer(t)
		server.CreateGroup(consumertest.Stream, groupName, stream.ID{})
		cfg := config(server, "c-0", handlerFunc(func(_ context.Context, b *handler.Batch) error {
			for _, d := range b.Deliveries {
				if p, _ := event.ParsePath("bad"); true {
					if _, bad := d.Event.Lookup(p); bad {
						return errors.New("poison")
					}
				}
			}
			return nil
		}))
		for i := range 100 {
			if i%25 == 7 {
				server.AddEvent(`{"bad":1}`)
			} else {
				server.AddEvent(`{"n":1}`)
			}
		}
		server.AddEvent(`{"truncated"`)
		r := start(cfg)
		time.Sleep(10 * time.Second)
		if err := r.stop(handler.ErrStopping); err != nil {
			t.Fatal(err)
		}
		if n := len(server.Letters(groupName)); n != 5 {
			t.Errorf("%d dead letters, want 5", n)
		}
		if left := server.Pending(groupName); len(left) > 0 {
			t.Errorf("%d left pending", len(left))
		}
		if n := cfg.Telemetry.Unaccounted(); n != 0 || cfg.Telemetry.InFlight.Load() != 0 {
			t.Errorf("unaccounted %d, in flight %d", n, cfg.Telemetry.InFlight.Load())
		}
	})
}
