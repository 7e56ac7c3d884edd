package consumer_test

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"example.com/fanout/pkg/consumer"
	"example.com/fanout/pkg/deadletter"
	"example.com/fanout/pkg/event"
	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/stream"
	"example.com/fanout/pkg/telemetry"
)

const heavyBatch = 128

// heavy gives small entries until a whole batch is asked for, then a batch that
// takes long to decode, then a few small ones again, and waits.
type heavy struct {
	document []byte         // of the large ones
	arrives  func()         // before the large ones are given
	given    sync.WaitGroup // until they are

	mu      sync.Mutex
	next    uint64
	stage   int
	pending map[stream.ID]stream.Delivery
	settled map[stream.ID]string
}

// newHeavy has documents of n objects.
func newHeavy(n int) *heavy {
	s := &heavy{
		document: append(append([]byte("["), bytes.Repeat([]byte(`{"a":[1,2]},`), n)...), "0]"...),
		arrives:  func() {}, pending: map[stream.ID]stream.Delivery{}, settled: map[stream.ID]string{},
	}
	s.given.Add(1)
	return s
}

func (s *heavy) give(c *stream.Chunk, n int, value []byte) {
	c.Since = time.Now()
	for range n {
		s.next++
		id := stream.ID{Ms: s.next}
		d := stream.Delivery{Entry: stream.Entry{ID: id, Fields: []stream.Field{{Name: []byte("event"), Value: value}}}, Ref: id, Count: 1}
		s.pending[id] = d
		c.Deliveries = append(c.Deliveries, d)
	}
}

func (s *heavy) Read(ctx context.Context, c *stream.Chunk, limit int, _ time.Duration) error {
	c.Reset()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.stage == 0 && limit < heavyBatch:
		s.give(c, limit, []byte("1"))
	case s.stage == 0:
		s.stage++
		s.arrives()
		s.give(c, limit, s.document)
		s.given.Done()
	case s.stage == 1:
		s.stage++
		s.give(c, min(limit, 10), []byte("1"))
	default:
		s.mu.Unlock()
		<-ctx.Done()
		s.mu.Lock()
		return ctx.Err()
	}
	return nil
}

func (s *heavy) Rest(context.Context) ([]stream.ID, error) { return nil, nil }

func (s *heavy) Own(context.Context, stream.ID, int) (stream.Page, error) {
	return stream.Page{Done: true}, nil
}

// Claim gives the last ones that are pending: they are decoded before the others
// of their read.
func (s *heavy) Claim(context.Context, stream.ID, time.Duration, int) (stream.Page, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := stream.Page{Done: true}
	for n := s.next; n > 0 && len(p.Deliveries) < 4; n-- {
		if d, ok := s.pending[stream.ID{Ms: n}]; ok {
			p.Deliveries = append(p.Deliveries, d)
		}
	}
	return p, nil
}

func (s *heavy) Ack(_ context.Context, _, refs []stream.ID) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range refs {
		delete(s.pending, id)
		s.settled[id] = "acked"
	}
	return len(refs), nil
}

func (s *heavy) Hold(_ context.Context, holds []stream.Hold) ([]stream.ID, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range holds {
		s.settled[h.Ref] = "held"
	}
	return nil, nil
}

func (s *heavy) Bury(context.Context, stream.ID, *deadletter.Letter) (stream.Burial, error) {
	return stream.Buried, nil
}

func (s *heavy) Close() error { return nil }

// noting notes the order in which entries are handled.
type noting struct {
	mu  sync.Mutex
	ids []uint64
}

func (h *noting) Handle(_ context.Context, b *handler.Batch) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, d := range b.Deliveries {
		h.ids = append(h.ids, d.ID.Ms)
	}
	return nil
}

func (h *noting) Close() error { return nil }

func (h *noting) seen() []uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.ids)
}

func heavyConsumer(s *heavy, h handler.Handler) *consumer.Consumer {
	return consumer.New(consumer.Config{
		Group: groupName, Name: "host-0", HandlerType: "test",
		Source: s, Handler: h, Decoder: event.Decoder{Field: "event"},
		BatchSize: heavyBatch, BatchBytes: 1 << 30, Concurrency: 1, Timeout: time.Minute,
		MaxDeliveries: 3, MinIdle: time.Hour, DrainTimeout: 10 * time.Second,
		Suspects: consumer.NewGate(), LowWater: func() stream.ID { return stream.ID{} },
		Logger: slog.New(slog.DiscardHandler), Logs: consumer.NewLogs(slog.New(slog.DiscardHandler)),
		Telemetry: telemetry.NewMetrics("test").Group(groupName, "s", "test"),
	})
}

// What is read while earlier entries are decoded does not overtake them, and a
// sweep that comes meanwhile brings none of them again.
func TestReadWhileDecoding(t *testing.T) {
	t.Parallel()
	for name, sweeps := range map[string]bool{"alone": false, "with a sweep": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, h := newHeavy(8_000), &noting{}
			c := heavyConsumer(s, h)
			if sweeps {
				s.arrives = c.Claim
			}
			ctx, cancel := context.WithCancelCause(t.Context())
			served := make(chan error, 1)
			go func() { served <- c.Serve(ctx) }()
			s.given.Wait()
			for !s.allSettled() {
				time.Sleep(time.Millisecond)
			}
			cancel(handler.ErrStopping)
			if err := <-served; err != nil {
				t.Fatal(err)
			}
			for i, id := range h.seen() {
				if id != uint64(i+1) {
					t.Fatalf("entry %d came as number %d of %d", id, i+1, s.next)
				}
			}
		})
	}
}

func (s *heavy) allSettled() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stage == 2 && len(s.pending) == 0
}

// A stop waits for what is being decoded, and gives it back.
func TestStopWhileDecoding(t *testing.T) {
	t.Parallel()
	s := newHeavy(40_000)
	ctx, cancel := context.WithCancelCause(t.Context())
	served := make(chan error, 1)
	go func() { served <- heavyConsumer(s, &noting{}).Serve(ctx) }()
	s.given.Wait()
	cancel(handler.ErrStopping)
	if err := <-served; err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for id := range s.pending {
		if s.settled[id] == "" {
			t.Fatalf("%s of %d is left as it was", id, s.next)
		}
	}
}
