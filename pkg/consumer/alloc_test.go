package consumer_test

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"testing"
	"time"

	"example.com/fanout/pkg/consumer"
	"example.com/fanout/pkg/deadletter"
	"example.com/fanout/pkg/event"
	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/stream"
	"example.com/fanout/pkg/telemetry"
)

// endless always has another full batch, and acknowledges all; after the last
// one it waits.
type endless struct {
	batches int
	next    uint64
	name    []byte
	value   []byte
}

func (s *endless) Read(ctx context.Context, c *stream.Chunk, limit int, _ time.Duration) error {
	c.Reset()
	if s.batches == 0 {
		<-ctx.Done()
		return ctx.Err()
	}
	s.batches--
	c.Since = time.Now()
	for range limit {
		s.next++
		id := stream.ID{Ms: s.next}
		fields := c.Fields(1)
		fields[0] = stream.Field{Name: s.name, Value: s.value}
		c.Deliveries = append(c.Deliveries, stream.Delivery{Entry: stream.Entry{ID: id, Fields: fields}, Ref: id, Count: 1})
	}
	return nil
}

func (s *endless) Rest(context.Context) ([]stream.ID, error) { return nil, nil }

func (s *endless) Own(context.Context, stream.ID, int) (stream.Page, error) {
	return stream.Page{Done: true}, nil
}

func (s *endless) Claim(context.Context, stream.ID, time.Duration, int) (stream.Page, error) {
	return stream.Page{Done: true}, nil
}

func (s *endless) Ack(_ context.Context, _, refs []stream.ID) (int, error) { return len(refs), nil }

func (s *endless) Hold(context.Context, []stream.Hold) ([]stream.ID, error) { return nil, nil }

func (s *endless) Bury(context.Context, stream.ID, *deadletter.Letter) (stream.Burial, error) {
	return 0, fmt.Errorf("nothing is to be buried")
}

func (s *endless) Close() error { return nil }

// counting counts deliveries and throws them away.
type counting struct {
	n, want int
	done    chan struct{}
}

func (h *counting) Handle(_ context.Context, b *handler.Batch) error {
	before := h.n
	h.n += len(b.Deliveries)
	if before < h.want && h.n >= h.want {
		close(h.done)
	}
	return nil
}

func (h *counting) Close() error { return nil }

// Nothing is allocated for an entry on its way through reading, payload, where,
// the handler and settling: what a batch costs does not grow with it. It is not
// parallel, for it counts what the process allocates.
func TestAllocations(t *testing.T) { //nolint:paralleltest // see above
	const size, batches = 1000, 400
	where, err := event.Compile(`stake.value >= 0 and odds.ticks > 0`)
	if err != nil {
		t.Fatal(err)
	}
	run := func(batches int) (mallocs, entries uint64) {
		h := &counting{want: (batches - 10) * size, done: make(chan struct{})}
		source := &endless{
			batches: batches + 10, name: []byte("event"),
			value: []byte(`{"trade_id": 812, "market_id": "m-17", "odds": {"ticks": 245}, "stake": {"value": 2500}, "timestamp": 1763856000123}`),
		}
		c := consumer.New(consumer.Config{
			Group: groupName, Name: "host-0", HandlerType: "test",
			Source: source, Handler: h, Decoder: event.Decoder{Field: "event"}, Where: where,
			BatchSize: size, BatchBytes: 1 << 20, Concurrency: 1, Timeout: time.Minute,
			MaxDeliveries: 3, MinIdle: time.Minute, DrainTimeout: time.Second,
			Suspects: consumer.NewGate(), LowWater: func() stream.ID { return stream.ID{} },
			Logger: slog.New(slog.DiscardHandler), Logs: consumer.NewLogs(slog.New(slog.DiscardHandler)),
			Telemetry: telemetry.NewMetrics("test").Group(groupName, "s", "test"),
		})
		ctx, cancel := context.WithCancelCause(t.Context())
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		served := make(chan error, 1)
		go func() { served <- c.Serve(ctx) }()
		<-h.done
		cancel(handler.ErrStopping)
		if err := <-served; err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		return after.Mallocs - before.Mallocs, uint64(h.n)
	}
	few, fewEntries := run(batches / 4)
	many, manyEntries := run(batches)
	each := (float64(many) - float64(few)) / float64(manyEntries-fewEntries)
	t.Logf("%.3f allocations an entry, %.0f a batch", each, each*size)
	if each >= 0.2 {
		t.Errorf("%.2f allocations an entry, want none", each)
	}
}
