package consumer_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"example.com/fanout/pkg/consumer"
	"example.com/fanout/pkg/consumer/consumertest"
	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/stream"
	"example.com/fanout/pkg/telemetry"
)

// TestAbandon restarts, or stops, a consumer whose call ignores that, with ten
// entries in the call and ten at hand.
func TestAbandon(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cause  error
		answer error // late
		acked  int
		buried int
		free   int // of those in the call, after its answer
	}{
		"restart, late success":     {errRestart, nil, 10, 0, 0},
		"restart, late failure":     {errRestart, errSink, 0, 0, 10},
		"restart, late permanent":   {errRestart, handler.Permanent(errSink), 0, 0, 10},
		"restart, late unavailable": {errRestart, handler.Unavailable(errSink), 0, 0, 10},
		"restart, some are done":    {errRestart, &handler.BatchError{Failed: map[int]error{0: errSink, 1: errSink}}, 8, 0, 2},
		"stop, late success":        {handler.ErrStopping, nil, 10, 0, 0},
		"stop, late failure":        {handler.ErrStopping, errSink, 0, 0, 10},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(r *rig) {
				ids := r.add(20)
				h := &recorder{answer: func(context.Context, *handler.Batch) error {
					r.deaf(10 * time.Minute)
					return c.answer
				}}
				running := r.start("c-0", h, func(cfg *config) { cfg.Concurrency, cfg.Timeout = 1, time.Hour })
				time.Sleep(time.Second)
				began := time.Now()
				if err := running.stop(c.cause); err != nil {
					t.Error(err)
				}
				if took := time.Since(began); took < drain || took > drain+1500*time.Millisecond {
					t.Errorf("the consumer went on for %s, want %s and a second", took, drain)
				}
				rem := <-r.remnants
				if rem.Name() != "c-0" || rem.Calls() != 1 || r.metrics.AbandonedCalls.Load() != 1 {
					t.Errorf("remnant %s with %d calls, %d counted, want c-0 with 1", rem.Name(), rem.Calls(), r.metrics.AbandonedCalls.Load())
				}
				others := r.steal(time.Hour)
				if len(others) != 10 || others[0] != ids[10] {
					t.Errorf("claimable at once: %v, want all that is in no call", others)
				}
				if n := r.metrics.InFlight.Load(); n != 10 {
					t.Errorf("%d in flight, want 10", n)
				}
				for range 50 {
					time.Sleep(10 * time.Second)
					if got := r.steal(minIdle + time.Second); len(got) > 0 && got[0].Before(ids[10]) {
						t.Fatalf("claimable while the call runs: %v", got)
					}
				}
				time.Sleep(5 * time.Minute)
				select {
				case <-rem.done:
				default:
					t.Fatal("the remnant goes on after its call has returned")
				}
				if rem.err != nil || r.metrics.AbandonedCalls.Load() != 0 {
					t.Errorf("remnant: %v, %d calls counted", rem.err, r.metrics.AbandonedCalls.Load())
				}
				if n := len(r.server.Letters(groupName)); n != c.buried {
					t.Errorf("%d buried, want %d", n, c.buried)
				}
				r.wantSettled(telemetry.Acked, int64(c.acked))
				if got := r.steal(time.Hour); len(got) != c.free {
					t.Errorf("claimable after the call: %v, want %d", got, c.free)
				}
				for id, n := range r.counts() {
					if n != 0 {
						t.Errorf("%s is left with count %d, want it undone to 0", id, n)
					}
				}
				r.wantAccounted()
			})
		})
	}
}

// TestAbandonedMeanwhile: the calls are given up while what is kept for the
// successor is still on its way to Redis. It is freed all the same.
func TestAbandonedMeanwhile(t *testing.T) {
	bubble(t, func(r *rig) {
		ids := r.add(20)
		c := r.start("c-0", &recorder{answer: func(context.Context, *handler.Batch) error {
			r.deaf(time.Hour)
			return nil
		}}, func(cfg *config) { cfg.Concurrency, cfg.Timeout = 1, time.Hour })
		time.Sleep(time.Second)
		r.server.SetFaults(func(call consumertest.Call) consumertest.Fault {
			if call.Op == consumertest.Hold {
				return consumertest.Fault{Delay: drain + 1500*time.Millisecond}
			}
			return consumertest.Fault{}
		})
		_ = c.stop(errRestart)
		r.server.SetFaults(nil)
		if got := r.steal(time.Hour); len(got) != 10 || got[0] != ids[10] {
			t.Errorf("claimable at once: %v, want all that is in no call", got)
		}
	})
}

// TestAbandonedForGood: the process ends while the call still runs.
func TestAbandonedForGood(t *testing.T) {
	bubble(t, func(r *rig) {
		ids := r.add(12)
		h := &recorder{answer: func(context.Context, *handler.Batch) error {
			r.deaf(time.Hour)
			return nil
		}}
		c := r.start("c-0", h, func(cfg *config) { cfg.Timeout = time.Minute })
		time.Sleep(time.Second)
		_ = c.stop(errRestart)
		rem := <-r.remnants
		if rem.Calls() != 2 {
			t.Errorf("%d calls, want 2", rem.Calls())
		}
		time.Sleep(time.Minute)
		began := time.Now()
		r.giveUp()
		<-rem.done
		if took := time.Since(began); took > time.Second {
			t.Errorf("the remnant took %s to give up", took)
		}
		if !errors.Is(rem.err, consumer.ErrUnreturned) {
			t.Errorf("error %v, want ErrUnreturned", rem.err)
		}
		want := map[stream.ID]int64{}
		for _, id := range ids {
			want[id] = 1 // they may kill the process yet
		}
		r.wantPending(want)
		if n := r.metrics.Unaccounted(); n != 0 {
			t.Errorf("unaccounted %d", n)
		}
	})
}

// TestAbandonedSuspect leaves the gate to others.
func TestAbandonedSuspect(t *testing.T) {
	bubble(t, func(r *rig) {
		r.leave("c-0", false, 2)
		c := r.start("c-0", &recorder{answer: func(context.Context, *handler.Batch) error {
			r.deaf(time.Hour)
			return nil
		}}, func(cfg *config) { cfg.Timeout = time.Minute })
		time.Sleep(time.Second)
		_ = c.stop(errRestart)
		id := r.leave("d-0", false, 2)[0]
		r.start("d-0", &recorder{})
		time.Sleep(time.Second)
		r.wantAcked(id)
	})
}

// TestAbandonedWithoutRedis: the verdict of an abandoned call is kept until
// Redis has heard of it.
func TestAbandonedWithoutRedis(t *testing.T) {
	bubble(t, func(r *rig) {
		ids := r.add(10)
		c := r.start("c-0", &recorder{answer: func(context.Context, *handler.Batch) error {
			r.deaf(time.Minute)
			return nil
		}}, func(cfg *config) { cfg.Timeout = time.Hour })
		time.Sleep(time.Second)
		r.server.SetFaults(away)
		if err := c.stop(errRestart); err != nil {
			t.Error(err)
		}
		rem := <-r.remnants
		time.Sleep(10 * time.Minute)
		r.server.SetFaults(nil)
		time.Sleep(6 * time.Second)
		<-rem.done
		if rem.err != nil {
			t.Error(rem.err)
		}
		r.wantAcked(ids...)
		r.wantAccounted()
	})
}
