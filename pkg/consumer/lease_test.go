package consumer_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"example.com/fanout/pkg/consumer/consumertest"
	"example.com/fanout/pkg/event"
	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/stream"
	"example.com/fanout/pkg/telemetry"
)

// TestTouch: wherever an entry waits, nobody else can claim it, though one tries
// all the time.
func TestTouch(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		left   int64 // as in TestCountAfterStop
		answer func(ctx context.Context) error
		change func(*config)
		faults func(consumertest.Call) consumertest.Fault
		full   bool // dead letters
	}{
		"in a call":             {left: -1, answer: func(ctx context.Context) error { return pause(ctx, time.Hour) }},
		"in a call, claimed":    {left: 1, answer: func(ctx context.Context) error { return pause(ctx, time.Hour) }},
		"in a suspect's call":   {left: 2, answer: func(ctx context.Context) error { return pause(ctx, time.Hour) }},
		"waiting for its retry": {left: -1, answer: func(context.Context) error { return handler.RetryAfter(errSink, time.Hour) }},
		"held for the sink":     {left: -1, answer: func(context.Context) error { return handler.Unavailable(errSink) }},
		"lingering":             {left: -1, change: func(cfg *config) { cfg.Linger = time.Hour }},
		"without room among the dead letters": {
			left: -1, full: true,
			answer: func(context.Context) error { return handler.Permanent(errSink) },
		},
		"while touches fail now and then": {
			left: -1, answer: func(ctx context.Context) error { return pause(ctx, time.Hour) },
			faults: func(c consumertest.Call) consumertest.Fault {
				if c.Op == consumertest.Hold && c.N%4 != 0 {
					return consumertest.Fault{Fail: errAway}
				}
				return consumertest.Fault{}
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(r *rig) {
				if c.full {
					fullLetters(r)
				}
				if c.left < 0 {
					r.add(1)
				} else {
					r.leave("c-0", false, c.left)
				}
				r.server.SetFaults(c.faults)
				h := &recorder{}
				if c.answer != nil {
					h.answer = func(ctx context.Context, _ *handler.Batch) error { return c.answer(ctx) }
				}
				long := func(cfg *config) {
					cfg.Timeout, cfg.Retry.Max, cfg.DrainTimeout = 2*time.Hour, 2*time.Hour, 0
				}
				change := []func(*config){long}
				if c.change != nil {
					change = append(change, c.change)
				}
				running := r.start("c-0", h, change...)
				for range 1000 {
					time.Sleep(100 * time.Millisecond)
					if got := r.steal(minIdle); len(got) > 0 {
						t.Fatalf("claimed after %s: %v", r.at(), got)
					}
				}
				if n := running.Status().InFlight; n != 1 {
					t.Errorf("%d in flight, want 1", n)
				}
			})
		})
	}
}

// TestTouchGoesOnWithoutAcks: what is handled and cannot be acknowledged does
// not cost the others their lease.
func TestTouchGoesOnWithoutAcks(t *testing.T) {
	bubble(t, func(r *rig) {
		r.server.SetFaults(func(c consumertest.Call) consumertest.Fault {
			if c.Op == consumertest.Ack {
				return consumertest.Fault{Fail: errAway}
			}
			return consumertest.Fault{}
		})
		slow := r.add(1)[0]
		h := &recorder{answer: func(ctx context.Context, b *handler.Batch) error {
			if has(b, slow) {
				return pause(ctx, 2*time.Minute)
			}
			return nil
		}}
		r.start("c-0", h, func(cfg *config) { cfg.Timeout = time.Hour })
		time.Sleep(time.Second)
		r.add(5)
		for range 100 {
			time.Sleep(time.Second)
			if got := r.steal(minIdle); slices.Contains(got, slow) {
				t.Fatalf("claimed after %s: %v", r.at(), got)
			}
		}
	})
}

// TestLeaseLost: another consumer claims an entry though it should not. That is
// noticed by a touch, the entry is not handled after that, and never
// acknowledged.
func TestLeaseLost(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer func(ctx context.Context) error
		change func(*config)
		calls  int
	}{
		"call under way, success":     {answer: func(ctx context.Context) error { return pause(ctx, 5*time.Second) }, calls: 1},
		"call under way, failure":     {answer: func(ctx context.Context) error { _ = pause(ctx, 5*time.Second); return errSink }, calls: 1},
		"call under way, permanent":   {answer: func(ctx context.Context) error { _ = pause(ctx, 5*time.Second); return handler.Permanent(errSink) }, calls: 1},
		"call under way, unavailable": {answer: func(ctx context.Context) error { _ = pause(ctx, 5*time.Second); return handler.Unavailable(errSink) }, calls: 1},
		"waiting for its retry":       {answer: func(context.Context) error { return handler.RetryAfter(errSink, 5*time.Second) }, calls: 1},
		"lingering":                   {change: func(cfg *config) { cfg.Linger = 5 * time.Second }},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(r *rig) {
				id := r.add(1)[0]
				h := &recorder{}
				h.answer = func(ctx context.Context, b *handler.Batch) error {
					if has(b, id) && c.answer != nil {
						return c.answer(ctx)
					}
					return nil
				}
				change := c.change
				if change == nil {
					change = func(*config) {}
				}
				running := r.start("c-0", h, change, func(cfg *config) {
					cfg.Timeout, cfg.Retry.Max = time.Hour, time.Minute
				})
				time.Sleep(time.Second)
				if got := r.steal(0); len(got) != 1 {
					t.Fatalf("claimed %v", got)
				}
				time.Sleep(20 * time.Second)
				if n := len(h.of(id)); n != c.calls {
					t.Errorf("%d calls, want %d", n, c.calls)
				}
				r.wantPending(map[stream.ID]int64{id: 1})
				r.wantSettled(telemetry.LeaseLost, 1)
				if n := len(r.server.Letters(groupName)); n != 0 {
					t.Errorf("%d letters, want none", n)
				}
				// It goes on, a sink that had been said to be down included.
				later := r.add(1)[0]
				time.Sleep(10 * time.Second)
				r.wantAcked(later)
				if err := running.stop(handler.ErrStopping); err != nil {
					t.Error(err)
				}
				r.wantAccounted()
			})
		})
	}
}

// TestProbes acknowledges two entries at once whose idle times were not reset
// together. One is another consumer's by then, without a touch that could have
// told: it must not be acknowledged.
func TestProbes(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]bool{"the older one first": true, "the younger one first": false} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(r *rig) {
				old := r.add(1)[0]
				h := &recorder{answer: func(ctx context.Context, b *handler.Batch) error {
					switch {
					case has(b, old):
						return pause(ctx, 20*time.Second)
					case first:
						return pause(ctx, 4*time.Second)
					}
					return pause(ctx, time.Second)
				}}
				r.start("c-0", h, func(cfg *config) { cfg.Timeout, cfg.AuditInterval = time.Hour, 0 })
				time.Sleep(time.Second)
				r.server.SetFaults(func(c consumertest.Call) consumertest.Fault {
					switch {
					case c.Op == consumertest.Hold:
						return consumertest.Fault{Fail: errAway} // no touch tells
					case c.Op == consumertest.Ack && r.at() < 25*time.Second:
						return consumertest.Fault{Fail: errAway} // both in one
					}
					return consumertest.Fault{}
				})
				time.Sleep(17 * time.Second)
				if got := r.steal(minIdle); !slices.Equal(got, []stream.ID{old}) {
					t.Fatalf("claimed %v, want %s", got, old)
				}
				young := r.add(1)[0]
				time.Sleep(20 * time.Second)
				r.wantAcked(young)
				r.wantPending(map[stream.ID]int64{old: 1})
				r.wantAccounted()
			})
		})
	}
}

// TestProbesAfterHalfATouch: a touch fails after it has been done for one of two
// entries that were read together. From then on one does not stand for the other.
func TestProbesAfterHalfATouch(t *testing.T) {
	bubble(t, func(r *rig) {
		ids := r.add(2)
		h := &recorder{answer: func(ctx context.Context, _ *handler.Batch) error { return pause(ctx, 20*time.Second) }}
		r.start("c-0", h, func(cfg *config) { cfg.Timeout, cfg.AuditInterval = time.Hour, 0 }, rewire(func(s *rewired) {
			s.hold = func(ctx context.Context, holds []stream.Hold) ([]stream.ID, error) {
				if _, err := s.Source.Hold(ctx, holds[:1]); err != nil {
					return nil, err
				}
				return nil, errAway
			}
		}))
		time.Sleep(minIdle + time.Second)
		if got := r.steal(minIdle); !slices.Equal(got, ids[1:]) {
			t.Fatalf("claimed %v, want %v", got, ids[1:])
		}
		time.Sleep(20 * time.Second)
		r.wantAcked(ids[0])
		r.wantPending(map[stream.ID]int64{ids[1]: 1})
		r.wantAccounted()
	})
}

// TestProbesOfOwnEntries: what is found in the own pending list has no idle time
// in common, and is acknowledged one by one where `where` does not want it.
func TestProbesOfOwnEntries(t *testing.T) {
	bubble(t, func(r *rig) {
		ids := r.leave("c-0", false, 1, 1, 1)
		src := r.server.Source(groupName, "c-0", minIdle)
		time.Sleep(time.Minute)
		_, _ = src.Hold(context.Background(), []stream.Hold{{Ref: ids[0], Count: stream.KeepCount}})
		src.Close()
		r.server.SetFaults(func(c consumertest.Call) consumertest.Fault {
			if c.Op == consumertest.Ack {
				return consumertest.Fault{Delay: 2 * time.Second}
			}
			return consumertest.Fault{}
		})
		where, err := event.Compile("n > 1000")
		if err != nil {
			t.Fatal(err)
		}
		r.start("c-0", &recorder{}, func(cfg *config) { cfg.Where = where })
		time.Sleep(time.Second)
		if got := r.steal(minIdle); !slices.Equal(got, ids[1:]) {
			t.Fatalf("claimed %v, want %v", got, ids[1:])
		}
		time.Sleep(5 * time.Second)
		r.wantPending(map[stream.ID]int64{ids[1]: 1, ids[2]: 1})
		r.wantAccounted()
	})
}

// TestAckRepeated: an acknowledgement whose reply was lost is repeated, and
// counts as done, not as a lost lease.
func TestAckRepeated(t *testing.T) {
	bubble(t, func(r *rig) {
		r.server.SetFaults(func(c consumertest.Call) consumertest.Fault {
			if c.Op == consumertest.Ack && c.N <= 3 {
				return consumertest.Fault{Lose: errors.New("connection reset")}
			}
			return consumertest.Fault{}
		})
		r.start("c-0", &recorder{})
		ids := r.add(10)
		time.Sleep(5 * time.Second)
		r.wantAcked(ids...)
		r.wantSettled(telemetry.Acked, 10)
		r.wantSettled(telemetry.LeaseLost, 0)
		if ok, failed := r.metrics.AcksOK.Load(), r.metrics.AcksFailed.Load(); ok != 1 || failed != 3 {
			t.Errorf("%d commands confirmed, %d not, want 1 and 3", ok, failed)
		}
		r.wantAccounted()
	})
}

// TestPaused: the process stands still for so long that others claim what it
// holds. What has not begun is not handled before it is known to be still ours.
func TestPaused(t *testing.T) {
	t.Parallel()
	for name, late := range map[string]bool{"at rest": false, "with a touch under way": true} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(r *rig) {
				calls := 0
				h := &recorder{}
				h.answer = func(ctx context.Context, _ *handler.Batch) error {
					if len(h.all()) == 1 {
						return pause(ctx, minIdle/2) // a touch begins meanwhile
					}
					return nil
				}
				r.start("c-0", h, func(cfg *config) {
					cfg.Timeout, cfg.Concurrency, cfg.BatchSize, cfg.BatchBytes = time.Hour, 1, 5, 20 // one a call, three at hand
					cfg.LowWater = func() stream.ID {
						if calls++; calls == 2 { // it stands still when the second call is due
							time.Sleep(30 * time.Second)
						}
						return stream.ID{}
					}
				}, rewire(func(s *rewired) {
					s.hold = func(ctx context.Context, holds []stream.Hold) ([]stream.ID, error) {
						lost, err := s.Source.Hold(ctx, holds)
						if late && r.at() < minIdle {
							time.Sleep(minIdle/2 + 31*time.Second - r.at())
						}
						return lost, err
					}
				}))
				time.Sleep(time.Millisecond)
				ids := r.add(5)
				time.Sleep(20 * time.Second)
				if got := r.steal(minIdle); !slices.Contains(got, ids[2]) {
					t.Fatalf("claimed %v, want %s among it", got, ids[2])
				}
				pass(30 * time.Second)
				if before, after := len(h.of(ids[1])), len(h.of(ids[2])); before != 1 || after != 0 {
					t.Errorf("%d calls with the second and %d with the third, want 1 and none: another has claimed it", before, after)
				}
				r.wantAccounted()
			})
		})
	}
}
