package fanout_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"example.com/fanout/pkg/consumer/consumertest"
	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/manifest"
	"example.com/fanout/pkg/telemetry"
)

// TestProblems: the status says in words what keeps a group from its work.
func TestProblems(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer  error
		prepare func(r *rig)
		heal    func(r *rig)
		problem string
	}{
		"the sink is down": {answer: handler.Unavailable(errSink), problem: "sink unavailable since 00:0"},
		"letters are full": {
			answer: handler.Permanent(errSink), problem: "dead letters full since 00:0",
			prepare: func(r *rig) { r.server.LimitLetters(1) },
		},
		"redis is away": {
			prepare: func(r *rig) { r.server.SetFaults(away) }, problem: "redis: connection refused",
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(r *rig) {
				bad := true
				r.sink("a").answer = func(context.Context, *handler.Batch) error {
					r.mu.Lock()
					defer r.mu.Unlock()
					if bad {
						return c.answer
					}
					return nil
				}
				r.apply(group("a"))
				time.Sleep(time.Second)
				if c.prepare != nil {
					c.prepare(r)
				}
				r.add(30)
				time.Sleep(10 * time.Second)
				r.wantProblem("a", c.problem)
				r.wantState("a", telemetry.StateRunning)
				r.mu.Lock()
				bad = false
				r.mu.Unlock()
				r.server.SetFaults(nil)
				r.server.LimitLetters(0)
				time.Sleep(10 * time.Second)
				if s := r.status("a"); len(s.Problems) > 0 {
					t.Errorf("problems %q, want none", s.Problems)
				}
			})
		})
	}
}

// TestInfo: what Redis tells is shown, and what it does not tell is unknown.
func TestInfo(t *testing.T) {
	bubble(t, func(r *rig) {
		r.sink("a").answer = func(ctx context.Context, _ *handler.Batch) error { return wait(ctx, 20*time.Second) }
		r.apply(group("a", consumers(1)))
		ids := r.add(3)
		time.Sleep(3 * time.Second)
		s := r.status("a")
		if s.Info == nil || s.Info.Pending != 3 || s.Info.OldestPending != ids[0] || time.Since(s.ObservedAt) > time.Second {
			t.Errorf("info %+v at %s", s.Info, s.ObservedAt)
		}
		if age, known := s.Telemetry.OldestPending.Load(); !known || age < 2 || age > 4 {
			t.Errorf("oldest pending is %v seconds old, known %v", age, known)
		}
		r.fail(errAway, "Info")
		time.Sleep(2 * time.Second)
		s = r.status("a")
		if _, known := s.Telemetry.OldestPending.Load(); s.Info != nil || known {
			t.Errorf("info %+v, want it unknown", s.Info)
		}
		r.fail(nil, "Info")
		time.Sleep(2 * time.Second)
		if _, known := s.Telemetry.LagSeconds.Load(); !known {
			t.Errorf("lag is not known")
		}
		r.setBuild(func(manifest.Group) error { return errSink })
		_ = r.fanout.Restart("a", telemetry.CauseRequest)
		time.Sleep(10 * time.Second)
		if _, known := s.Telemetry.LagSeconds.Load(); known {
			t.Errorf("lag is said to be known while nobody looks")
		}
	})
}

// TestSilence: while Redis does not answer nothing of before is shown as if it were
// of now, though no look has failed yet.
func TestSilence(t *testing.T) {
	bubble(t, func(r *rig) {
		r.apply(group("a"))
		r.add(100)
		time.Sleep(15 * time.Second)
		r.add(100)
		time.Sleep(2 * time.Second)
		s := r.status("a")
		if _, known := s.Telemetry.LagSeconds.Load(); s.Info == nil || !known || s.Short.Settled != 10 {
			t.Errorf("info %v, lag known %v, %v entries a second", s.Info, known, s.Short.Settled)
		}
		r.fail(errSilent, "Info")
		time.Sleep(6 * time.Second)
		s = r.status("a")
		_, lag := s.Telemetry.LagSeconds.Load()
		_, pending := s.Telemetry.Pending.Load()
		if s.Info != nil || lag || pending {
			t.Errorf("info %v, lag known %v, pending known %v", s.Info, lag, pending)
		}
		if !math.IsNaN(s.Short.Settled) || !math.IsNaN(s.Long.Added) || !math.IsNaN(s.Drain) {
			t.Errorf("rates %v, %v; drain %v", s.Short, s.Long, s.Drain)
		}
		r.fail(nil, "Info")
		time.Sleep(30 * time.Second)
		if s = r.status("a"); s.Info == nil || math.IsNaN(s.Short.Settled) {
			t.Errorf("info %v, %v entries a second when it answers again", s.Info, s.Short.Settled)
		}
	})
}

// TestLowWater reaches the handlers, and is forgotten with the group.
func TestLowWater(t *testing.T) {
	bubble(t, func(r *rig) {
		var seen []string
		r.sink("a").answer = func(_ context.Context, b *handler.Batch) error {
			r.mu.Lock()
			defer r.mu.Unlock()
			seen = append(seen, b.LowWater.String())
			return nil
		}
		r.apply(group("a"))
		first := r.add(1)[0]
		time.Sleep(3*time.Second + time.Second/2) // looks are at whole seconds
		r.add(1)
		time.Sleep(3 * time.Second)
		r.fail(errAway, "Info") // the checkpoint, too
		r.destroy("a")
		time.Sleep(10 * time.Second)
		r.mu.Lock()
		defer r.mu.Unlock()
		if want := []string{"0-0", first.String(), "0-0"}; len(seen) < 3 || !slices.Equal(seen[:3], want) {
			t.Errorf("low-water marks %v, want %v", seen, want)
		}
	})
}

// TestCaughtUp returns when what was there is settled, and not before.
func TestCaughtUp(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		during func(r *rig) // what happens after five seconds
		took   time.Duration
	}{
		"all is handled":            {nil, 12 * time.Second},
		"more comes":                {func(r *rig) { r.add(5) }, 12 * time.Second},
		"redis is away for a while": {func(r *rig) { r.fail(errAway, "Info"); time.Sleep(15 * time.Second); r.fail(nil, "Info") }, 20 * time.Second},
		"the group is removed":      {func(r *rig) { r.apply() }, 10 * time.Second},
		"the stream is another one": {func(r *rig) { r.restream() }, 5 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(r *rig) {
				r.sink("a").answer = func(ctx context.Context, _ *handler.Batch) error { return wait(ctx, 12*time.Second) }
				r.add(5)
				began := time.Now()
				r.apply(group("a"))
				done := make(chan error, 1)
				go func() { done <- r.fanout.CaughtUp(context.Background()) }()
				time.Sleep(5 * time.Second)
				if c.during != nil {
					go c.during(r)
				}
				if err := <-done; err != nil {
					t.Error(err)
				}
				if took := time.Since(began); took < c.took || took > c.took+time.Second {
					t.Errorf("caught up after %s, want %s", took, c.took)
				}
			})
		})
	}
	t.Run("given up", func(t *testing.T) {
		bubble(t, func(r *rig) {
			r.sink("a").answer = func(ctx context.Context, _ *handler.Batch) error { return wait(ctx, time.Hour) }
			r.add(5)
			r.apply(group("a"))
			ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
			defer cancel()
			if err := r.fanout.CaughtUp(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("error %v, want that the time ran out", err)
			}
		})
	})
}

// restream makes the stream an empty one, as FLUSHALL and a new start do.
func (r *rig) restream() {
	r.broker.mu.Lock()
	defer r.broker.mu.Unlock()
	r.broker.last.Ms, r.broker.last.Seq = 0, 0
	r.server.DestroyGroup("a")
	r.server.CreateGroup(consumertest.Stream, "a", r.broker.last)
	r.server.SetFaults(func(c consumertest.Call) consumertest.Fault { return consumertest.Fault{Fail: errAway} })
}
