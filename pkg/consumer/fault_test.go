package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"example.com/fanout/pkg/consumer"
	"example.com/fanout/pkg/consumer/consumertest"
	"example.com/fanout/pkg/deadletter"
	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/stream"
	"example.com/fanout/pkg/telemetry"
)

// away is Redis that does not answer.
func away(consumertest.Call) consumertest.Fault { return consumertest.Fault{Fail: errAway} }

// TestRedisFails lets the first calls of one method fail, with or without
// having been done. Everything must be settled soon after, and once.
func TestRedisFails(t *testing.T) {
	t.Parallel()
	for _, op := range []consumertest.Op{consumertest.Read, consumertest.Own, consumertest.Claim, consumertest.Ack, consumertest.Hold, consumertest.Bury} {
		for name, fault := range map[string]consumertest.Fault{
			"fails":         {Fail: errAway},
			"loses replies": {Lose: errAway},
			"hangs":         {Block: true},
		} {
			if fault.Block && (op == consumertest.Read || op == consumertest.Own || op == consumertest.Claim) {
				continue // these have no deadline but the source's own
			}
			t.Run(fmt.Sprintf("%s %s", op, name), func(t *testing.T) {
				bubble(t, func(r *rig) {
					own := r.leave("c-0", false, 1, 1, 2)
					claimed := r.leave("former", true, 1, 2, 1)
					fresh := r.add(30)
					bad := r.server.AddEvent(`{"truncated`)
					n := 0
					r.server.SetFaults(func(c consumertest.Call) consumertest.Fault {
						if c.Op != op || n == 5 {
							return consumertest.Fault{}
						}
						n++
						return fault
					})
					h := &recorder{}
					c := r.start("c-0", h, func(cfg *config) { cfg.AuditInterval = 0 })
					c.Claim()
					time.Sleep(80 * time.Second)
					for _, id := range append(append(own, claimed...), fresh...) {
						r.wantAcked(id)
						if calls := h.of(id); len(calls) != 1 {
							t.Errorf("%s is handled %d times, want once", id, len(calls))
						}
					}
					if letters := r.server.Letters(groupName); len(letters) != 1 || letters[0].ID != bad {
						t.Errorf("letters %s, want one", brief(letters))
					}
					r.wantPending(nil)
					r.wantSettled(telemetry.Acked, 36)
					r.wantSettled(telemetry.Buried, 1)
					r.wantAccounted()
					if s := c.Status(); s.State != consumer.Reading || s.RedisError != "" {
						t.Errorf("status %+v, want it reading", s)
					}
				})
			})
		}
	}
}

// TestOutage: tries are few while Redis is away, the status says so, and all
// goes on afterwards.
func TestOutage(t *testing.T) {
	bubble(t, func(r *rig) {
		ids := r.add(10)
		c := r.start("c-0", &recorder{answer: func(ctx context.Context, _ *handler.Batch) error { return pause(ctx, 2*time.Second) }})
		pass(time.Second)
		tries := map[consumertest.Op]int{}
		r.server.SetFaults(func(call consumertest.Call) consumertest.Fault {
			tries[call.Op]++
			return away(call)
		})
		pass(10 * time.Minute)
		if s := c.Status(); s.State != consumer.BackingOff || s.RedisError != errAway.Error() || s.InFlight != 10 {
			t.Errorf("status %+v, want it backing off with what it holds", s)
		}
		for op, n := range tries {
			if n > 160 {
				t.Errorf("%d calls of %s in ten minutes, want one each five seconds", n, op)
			}
		}
		r.server.SetFaults(nil)
		pass(6 * time.Second)
		r.wantAcked(ids...)
		if s := c.Status(); s.State != consumer.Reading || s.RedisError != "" {
			t.Errorf("status %+v, want it reading", s)
		}
	})
}

// TestStranded: the reply of a read is lost without an error, as by a client
// that sends the command again. An audit finds what was in it.
func TestStranded(t *testing.T) {
	bubble(t, func(r *rig) {
		var lost []stream.ID
		h := &recorder{}
		c := r.start("c-0", h, rewire(func(s *rewired) {
			s.read = func(ctx context.Context, c *stream.Chunk, limit int, wait time.Duration) error {
				err := s.Source.Read(ctx, c, limit, wait)
				if lost == nil && len(c.Deliveries) > 0 {
					for _, d := range c.Deliveries {
						lost = append(lost, d.Ref)
					}
					err = s.Source.Read(ctx, c, limit, wait)
				}
				return err
			}
		}))
		r.add(7)
		pass(500 * time.Millisecond)
		more := r.add(5)
		pass(time.Second)
		r.wantAcked(more...)
		if len(lost) != 7 || len(h.of(lost[0])) != 0 {
			t.Fatalf("lost %v, handled %v", lost, h.of(lost[0]))
		}
		pass(31 * time.Second)
		r.wantAcked(lost...)
		if n := r.metrics.Read[stream.Stranded].Load(); n != 7 {
			t.Errorf("%d stranded, want 7", n)
		}
		_ = c.stop(handler.ErrStopping)
		r.wantAccounted()
	})
}

// TestSourcePanics: a panic in a call of Redis is a failure of that call.
func TestSourcePanics(t *testing.T) {
	bubble(t, func(r *rig) {
		reads, burials := 0, 0
		r.start("c-0", &recorder{}, rewire(func(s *rewired) {
			s.read = func(ctx context.Context, c *stream.Chunk, limit int, wait time.Duration) error {
				if reads++; reads == 1 {
					panic("reply decoder")
				}
				return s.Source.Read(ctx, c, limit, wait)
			}
			s.bury = func(ctx context.Context, ref stream.ID, letter *deadletter.Letter) (stream.Burial, error) {
				if burials++; burials == 1 {
					panic("letter encoder")
				}
				return s.Source.Bury(ctx, ref, letter)
			}
		}))
		good := r.add(3)
		r.server.AddEvent(`{"truncated`)
		time.Sleep(10 * time.Second)
		r.wantAcked(good...)
		if n := len(r.server.Letters(groupName)); n != 1 {
			t.Errorf("%d letters, want 1", n)
		}
	})
}

// TestGroupMissing ends the consumer, whatever it is doing when it finds out.
func TestGroupMissing(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(r *rig, ctx context.Context) error{
		"at rest":                  func(*rig, context.Context) error { return nil },
		"with a call":              func(_ *rig, ctx context.Context) error { return pause(ctx, 3*time.Second) },
		"with a retry":             func(*rig, context.Context) error { return handler.RetryAfter(errSink, time.Second) },
		"with a call that goes on": func(_ *rig, ctx context.Context) error { return pause(ctx, time.Hour) },
		"with a sink that is down": func(*rig, context.Context) error { return handler.Unavailable(errSink) },
		"with a burial":            func(*rig, context.Context) error { return handler.Permanent(errSink) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(r *rig) {
				h := &recorder{answer: func(ctx context.Context, _ *handler.Batch) error { return answer(r, ctx) }}
				c := r.start("c-0", h, func(cfg *config) { cfg.Timeout = time.Hour })
				r.add(5)
				time.Sleep(1500 * time.Millisecond)
				r.server.DestroyGroup(groupName)
				select {
				case <-c.done:
				case <-time.After(2*time.Second + minIdle/3 + drain):
					t.Fatal("the consumer goes on without a group")
				}
				if !errors.Is(c.err, stream.ErrNoGroup) {
					t.Errorf("error %v, want ErrNoGroup", c.err)
				}
				r.wantAccounted()
			})
		})
	}
}

// TestBurialsFail: dead letters that cannot be written hold up neither
// acknowledgements nor the dead letters that can.
func TestBurialsFail(t *testing.T) {
	bubble(t, func(r *rig) {
		bad := r.server.AddEvent(`{"too": "wide`)
		other := r.server.AddEvent(`{"truncated`)
		c := r.start("c-0", &recorder{}, rewire(func(s *rewired) {
			s.bury = func(ctx context.Context, ref stream.ID, letter *deadletter.Letter) (stream.Burial, error) {
				if ref == bad && r.at() < 2*time.Minute {
					return 0, errors.New("too many arguments")
				}
				return s.Source.Bury(ctx, ref, letter)
			}
		}))
		time.Sleep(time.Second)
		if letters := r.server.Letters(groupName); len(letters) != 1 || letters[0].ID != other {
			t.Errorf("letters %s, want that of the other", brief(letters))
		}
		time.Sleep(time.Minute) // the backoff is at its longest
		for range 10 {
			id := r.add(1)[0]
			time.Sleep(50 * time.Millisecond)
			r.wantAcked(id)
		}
		if s := c.Status(); s.RedisError != "too many arguments" {
			t.Errorf("status %+v, want the reason in it", s)
		}
		if got := r.steal(minIdle); len(got) > 0 {
			t.Errorf("claimable: %v", got)
		}
		time.Sleep(2 * time.Minute)
		if n := len(r.server.Letters(groupName)); n != 2 {
			t.Errorf("%d letters, want 2", n)
		}
		if s := c.Status(); s.RedisError != "" {
			t.Errorf("status %+v, want it well", s)
		}
	})
}
