package consumer_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"example.com/fanout/pkg/consumer"
	"example.com/fanout/pkg/consumer/consumertest"
	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/stream"
	"example.com/fanout/pkg/telemetry"
)

// TestRecover: what is pending under the own name comes first, then what others
// have left, then what is new; all of it, however much that is.
func TestRecover(t *testing.T) {
	bubble(t, func(r *rig) {
		own := r.leave("c-0", false, slices.Repeat([]int64{1}, 700)...)
		left := r.leave("former", true, slices.Repeat([]int64{1}, 700)...)
		busy := r.leave("busy", false, 1, 1, 1)
		fresh := r.add(50)
		var order []stream.ID
		h := &recorder{answer: func(_ context.Context, b *handler.Batch) error {
			time.Sleep(10 * time.Millisecond)
			for _, d := range b.Deliveries {
				order = append(order, d.ID)
			}
			return nil
		}}
		c := r.start("c-0", h, func(cfg *config) { cfg.Concurrency = 1 })
		c.Claim()
		pass(100 * time.Millisecond)
		if s := c.Status().State; s != consumer.Recovering {
			t.Errorf("state %s, want %s", s, consumer.Recovering)
		}
		pass(5 * time.Second)
		if s := c.Status().State; s != consumer.Reading {
			t.Errorf("state %s, want %s", s, consumer.Reading)
		}
		if want := slices.Concat(own, left, fresh); !slices.Equal(order, want) {
			t.Errorf("handled %d in another order than own, claimed, new (%d)", len(order), len(want))
		}
		r.wantAcked(order...)
		for origin, n := range map[stream.Origin]int64{stream.Own: 700, stream.Claimed: 700, stream.New: 50, stream.Stranded: 0} {
			if got := r.metrics.Read[origin].Load(); got != n {
				t.Errorf("%d read as %s, want %d", got, origin, n)
			}
		}
		// What others are at work on is left to them, until it has been idle.
		if n := len(r.server.Pending(groupName)); n != len(busy) {
			t.Errorf("%d pending, want %d", n, len(busy))
		}
		pass(minIdle)
		c.Claim()
		pass(time.Second)
		r.wantAcked(busy...)
		_ = c.stop(handler.ErrStopping)
		r.wantAccounted()
	})
}

// TestClaimGoesOn: a sweep passes over entries that are not idle, however many,
// and entries that come during it do not wait for ever.
func TestClaimGoesOn(t *testing.T) {
	bubble(t, func(r *rig) {
		r.leave("busy", false, slices.Repeat([]int64{1}, 5000)...)
		left := r.leave("former", true, 1)[0]
		c := r.start("c-0", &recorder{})
		c.Claim()
		time.Sleep(time.Second)
		r.wantAcked(left)
	})
}

// TestVanished: pending entries whose data Redis has lost are counted, and are
// over.
func TestVanished(t *testing.T) {
	t.Parallel()
	for name, owner := range map[string]string{"own": "c-0", "claimed": "former"} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(r *rig) {
				ids := r.leave(owner, owner != "c-0", 1, 1, 1, 1, 1)
				r.server.Delete(streamName, ids[1], ids[2])
				var vanished []stream.ID
				c := r.start("c-0", &recorder{}, func(cfg *config) {
					cfg.Vanished = func(ids []stream.ID) { vanished = append(vanished, ids...) }
				})
				c.Claim()
				pass(2 * time.Second)
				if !slices.Equal(vanished, ids[1:3]) {
					t.Errorf("told that %v vanished, want %v", vanished, ids[1:3])
				}
				r.wantAcked(ids[0], ids[3], ids[4])
				r.wantPending(nil)
				r.wantSettled(telemetry.Vanished, 2)
				r.wantSettled(telemetry.Acked, 3)
				_ = c.stop(handler.ErrStopping)
				r.wantAccounted()
			})
		})
	}
}

// TestDeletedUnderWay: an entry is deleted while it is handled. It is over
// afterwards, whatever came of the call.
func TestDeletedUnderWay(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]error{"success": nil, "failure": errSink, "permanent": handler.Permanent(errSink)} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(r *rig) {
				c := r.start("c-0", &recorder{answer: func(ctx context.Context, _ *handler.Batch) error {
					_ = pause(ctx, 2*time.Second)
					return answer
				}})
				ids := r.add(3)
				time.Sleep(time.Second)
				r.server.Delete(streamName, ids...)
				time.Sleep(time.Minute)
				r.wantPending(nil)
				_ = c.stop(handler.ErrStopping)
				r.wantAccounted()
			})
		})
	}
}

// TestPageOfThePast: a page of a pending list names entries that were settled
// while it was on its way. They must not be handled again.
func TestPageOfThePast(t *testing.T) {
	bubble(t, func(r *rig) {
		pages := 0
		h := &recorder{answer: func(ctx context.Context, _ *handler.Batch) error { return pause(ctx, 2*time.Second) }}
		c := r.start("c-0", h, func(cfg *config) { cfg.AuditInterval = time.Second }, rewire(func(s *rewired) {
			s.own = func(ctx context.Context, after stream.ID, limit int) (stream.Page, error) {
				page, err := s.Source.Own(ctx, after, limit)
				if len(page.Deliveries) > 0 {
					pages++
					time.Sleep(3 * time.Second) // they are acknowledged meanwhile
				}
				return page, err
			}
		}))
		ids := r.add(5)
		pass(20 * time.Second)
		if pages == 0 {
			t.Fatal("no page with them was read")
		}
		for _, id := range ids {
			if n := len(h.of(id)); n != 1 {
				t.Errorf("%s is handled %d times, want once", id, n)
			}
		}
		if n := r.metrics.Read[stream.Stranded].Load(); n != 0 {
			t.Errorf("%d said to be stranded", n)
		}
		_ = c.stop(handler.ErrStopping)
		r.wantAccounted()
	})
}

// TestClaimOfItsOwn: a sweep finds what this consumer itself is at work on,
// after a pause in which it could not touch it.
func TestClaimOfItsOwn(t *testing.T) {
	bubble(t, func(r *rig) {
		r.server.SetFaults(func(c consumertest.Call) consumertest.Fault {
			if c.Op == consumertest.Hold && r.at() < 30*time.Second {
				return consumertest.Fault{Fail: errAway}
			}
			return consumertest.Fault{}
		})
		h := &recorder{answer: func(ctx context.Context, _ *handler.Batch) error { return pause(ctx, time.Minute) }}
		c := r.start("c-0", h, func(cfg *config) { cfg.Timeout = time.Hour })
		id := r.add(1)[0]
		time.Sleep(25 * time.Second)
		c.Claim()
		time.Sleep(time.Minute)
		if n := len(h.of(id)); n != 1 {
			t.Errorf("handled %d times, want once", n)
		}
		r.wantAcked(id)
		_ = c.stop(handler.ErrStopping)
		r.wantAccounted()
	})
}
