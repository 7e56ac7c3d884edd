package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.com/fanout/pkg/deadletter"
	"example.com/fanout/pkg/event"
	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/stream"
	"example.com/fanout/pkg/telemetry"
)

// large appends n entries of about a thousand bytes each.
func (r *rig) large(n int) []stream.ID {
	ids := make([]stream.ID, n)
	for i := range ids {
		ids[i] = r.server.AddEvent(fmt.Sprintf(`{"n":%d,"pad":%q}`, i, strings.Repeat("x", 1000)))
	}
	return ids
}

func upTo(bytes int) func(*config) {
	return func(cfg *config) { cfg.MaxBytes = func() int { return bytes } }
}

// No more bytes are held than are allowed, but for the entry that reaches the
// limit, though one answer of Redis has many times as much.
func TestHoldsNoMoreBytes(t *testing.T) {
	bubble(t, func(r *rig) {
		small := r.add(1000) // so that many are asked for at once
		ids := append(small, r.large(100)...)
		most := int64(0)
		h := &recorder{answer: func(ctx context.Context, b *handler.Batch) error {
			if !b.Deliveries[0].ID.Before(ids[1010]) { // no small ones are held any more
				most = max(most, r.metrics.InFlight.Load())
			}
			return pause(ctx, time.Millisecond)
		}}
		c := r.start("c-0", h, upTo(2500), func(cfg *config) { cfg.BatchSize, cfg.Concurrency = 50, 1 })
		pass(10 * time.Second)
		r.wantAcked(ids...)
		if most > 4 {
			t.Errorf("%d entries of 1000 bytes were held, the limit is 2500", most)
		}
		_ = c.stop(handler.ErrStopping)
		r.wantAccounted()
	})
}

// What an answer has beyond the limit is given back by a stop, as what is held.
func TestStopGivesBackTheRest(t *testing.T) {
	for _, cause := range []error{handler.ErrStopping, errors.New("restart")} {
		t.Run(cause.Error(), func(t *testing.T) {
			bubble(t, func(r *rig) {
				ids := r.large(8)
				h := &recorder{answer: func(ctx context.Context, _ *handler.Batch) error { return pause(ctx, time.Hour) }}
				c := r.start("c-0", h, upTo(1500), func(cfg *config) { cfg.DrainTimeout = time.Second })
				pass(time.Second)
				if n := len(r.server.Pending(groupName)); n != len(ids) {
					r.Fatalf("%d are pending, want all of the answer", n)
				}
				_ = c.stop(cause)
				want := map[stream.ID]int64{}
				for _, id := range ids {
					want[id] = 0
				}
				r.wantPending(want)
				r.wantAccounted()
				free := r.steal(minIdle)
				if errors.Is(cause, handler.ErrStopping) != (len(free) == len(ids)) {
					r.Errorf("%d of %d can be claimed at once", len(free), len(ids))
				}
			})
		})
	}
}

// The stop comes while the answer is on its way.
func TestStopGivesBackTheRestOfAReadUnderWay(t *testing.T) {
	bubble(t, func(r *rig) {
		ids := r.large(8)
		c := r.start("c-0", &recorder{}, upTo(1500), rewire(func(s *rewired) {
			s.read = func(_ context.Context, c *stream.Chunk, limit int, wait time.Duration) error {
				err := s.Source.Read(context.Background(), c, limit, wait)
				time.Sleep(2 * time.Second)
				return err
			}
		}))
		pass(time.Second)
		_ = c.stop(handler.ErrStopping)
		want := map[stream.ID]int64{}
		for _, id := range ids {
			want[id] = 0
		}
		r.wantPending(want)
		r.wantAccounted()
		if free := r.steal(minIdle); len(free) != len(ids) {
			r.Errorf("%d of %d can be claimed at once", len(free), len(ids))
		}
	})
}

// What has waited on the connection for too long may be another's by now: it is
// touched before it is handled.
func TestStaleRest(t *testing.T) {
	bubble(t, func(r *rig) {
		ids := r.large(6)
		var stolen []stream.ID
		h := &recorder{answer: func(ctx context.Context, b *handler.Batch) error {
			if has(b, ids[0]) {
				time.Sleep(minIdle + time.Second)
				stolen = r.steal(minIdle)
			}
			return nil
		}}
		r.start("c-0", h, upTo(1), func(cfg *config) { cfg.Timeout = 2 * minIdle })
		pass(3 * minIdle)
		if len(stolen) == 0 {
			t.Fatal("nothing was left untouched")
		}
		for _, id := range stolen {
			if n := len(h.of(id)); n > 0 {
				t.Errorf("%s was handled %d times though another has it", id, n)
			}
		}
		if wrong := r.server.Misacked(groupName); len(wrong) > 0 {
			t.Errorf("acknowledged while another's: %v", wrong)
		}
	})
}

var numberPath, _ = event.ParsePath("n")

// The memory of a read is used again. What waits for a retry meanwhile, or is
// handled, or becomes a dead letter, is what it was.
func TestMemoryIsUsedAgain(t *testing.T) {
	bubble(t, func(r *rig) {
		ids := r.add(3000)
		number := map[stream.ID]int64{}
		for i, id := range ids {
			number[id] = int64(i)
		}
		h := &recorder{answer: func(ctx context.Context, b *handler.Batch) error {
			verdict := &handler.BatchError{Failed: map[int]error{}}
			for i, d := range b.Deliveries {
				v, _ := d.Event.Lookup(numberPath)
				if n, err := v.Int64(); err != nil || n != number[d.ID] || string(d.Fields[0].Value) != `{"n":`+strconv.FormatInt(n, 10)+`}` {
					t.Errorf("%s: %q and %d, want %d", d.ID, d.Fields[0].Value, n, number[d.ID])
				}
				switch n := number[d.ID]; {
				case n%100 == 7: // poison
					verdict.Failed[i] = errors.New("poison")
				case n%100 == 9:
					verdict.Failed[i] = handler.Permanent(errors.New("poison at once"))
				case n%100 == 8 && d.Attempt < 3:
					verdict.Failed[i] = errors.New("not yet")
				}
			}
			if err := pause(ctx, 5*time.Millisecond); err != nil || len(verdict.Failed) == 0 {
				return err
			}
			return verdict
		}}
		c := r.start("c-0", h, func(cfg *config) { cfg.BatchSize = 50 }, rewire(func(s *rewired) {
			s.bury = func(ctx context.Context, ref stream.ID, letter *deadletter.Letter) (stream.Burial, error) {
				if err := pause(ctx, 50*time.Millisecond); err != nil {
					return 0, err
				}
				return s.Source.Bury(ctx, ref, letter)
			}
		}))
		pass(30 * time.Second)
		_ = c.stop(handler.ErrStopping)
		r.wantAccounted()
		for i, id := range ids {
			if i%100 != 7 && i%100 != 9 {
				r.wantAcked(id)
			}
		}
		letters := r.server.Letters(groupName)
		for _, l := range letters {
			if n := number[l.ID]; n%100 != 7 && n%100 != 9 || string(l.Entry.Fields[0].Value) != fmt.Sprintf(`{"n":%d}`, n) {
				t.Errorf("letter of %s (number %d) holds %q", l.ID, n, l.Entry.Fields[0].Value)
			}
		}
		if len(letters) != 60 {
			t.Errorf("%d letters, want 60", len(letters))
		}
	})
}

// A touch that is under way when a delivery begins to wait for its retry, and
// its memory is used for another, still tells whose it is.
func TestTouchOfWhatIsKept(t *testing.T) {
	bubble(t, func(r *rig) {
		id := r.add(1)[0]
		h := &recorder{answer: func(ctx context.Context, b *handler.Batch) error {
			if !has(b, id) {
				return nil
			}
			if err := pause(ctx, 4*time.Second); err != nil {
				return err
			}
			return handler.RetryAfter(errors.New("not yet"), 2*time.Second)
		}}
		stolen := false
		c := r.start("c-0", h, func(cfg *config) { cfg.Timeout, cfg.Retry.Max = time.Minute, time.Minute }, rewire(func(s *rewired) {
			s.hold = func(ctx context.Context, holds []stream.Hold) ([]stream.ID, error) {
				if r.at() < 3*time.Second {
					return s.Source.Hold(ctx, holds)
				}
				if !stolen {
					stolen = true
					r.steal(0)
				}
				lost, err := s.Source.Hold(ctx, holds)
				time.Sleep(2 * time.Second)
				return lost, err
			}
		}))
		pass(4500 * time.Millisecond)
		other := r.add(1)
		pass(10 * time.Second)
		if n := len(h.of(id)); n != 1 {
			t.Errorf("handled %d times, though a touch had told that it is another's", n)
		}
		r.wantAcked(other...)
		_ = c.stop(handler.ErrStopping)
		r.wantSettled(telemetry.LeaseLost, 1)
		r.wantAccounted()
	})
}
