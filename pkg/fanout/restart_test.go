package fanout_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"example.com/fanout/pkg/consumer/consumertest"
	"example.com/fanout/pkg/fanout"
	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/manifest"
	"example.com/fanout/pkg/stream"
	"example.com/fanout/pkg/telemetry"
)

// TestIsolation: whatever one group does, the other handles everything at once.
func TestIsolation(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(r *rig, ctx context.Context) error{
		"fails":             func(*rig, context.Context) error { return errSink },
		"panics":            func(*rig, context.Context) error { panic("handler panics") },
		"hangs":             func(_ *rig, ctx context.Context) error { return wait(ctx, time.Hour) },
		"hangs and is deaf": func(r *rig, _ context.Context) error { r.deaf(time.Hour); return nil },
		"its sink is down":  func(*rig, context.Context) error { return handler.Unavailable(errSink) },
		"nothing is wrong":  func(*rig, context.Context) error { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(r *rig) {
				r.sink("bad").answer = func(ctx context.Context, _ *handler.Batch) error { return answer(r, ctx) }
				r.apply(group("bad"), group("good"))
				for range 60 {
					ids := r.add(5)
					time.Sleep(time.Second)
					r.wantDone("good", ids...)
				}
				if s := r.status("good"); s.Incarnation != 1 || len(s.Problems) > 0 {
					t.Errorf("good: incarnation %d, problems %q", s.Incarnation, s.Problems)
				}
				r.wantState("bad", telemetry.StateRunning)
			})
		})
	}
}

// TestOneSuspect: entries that may kill the process are handled one at a time,
// whichever groups they are in.
func TestOneSuspect(t *testing.T) {
	bubble(t, func(r *rig) {
		now, most := 0, 0
		for _, name := range []string{"a", "b", "c"} {
			g := group(name)
			id := r.leave(g, "host-0", 1)[0]
			src := r.server.Source(name, "host-0", minIdle)
			_, _ = src.Hold(context.Background(), []stream.Hold{{Ref: id, Count: 2}})
			src.Close()
			r.sink(name).answer = func(ctx context.Context, b *handler.Batch) error {
				if b.Deliveries[0].ID != id {
					return nil
				}
				r.mu.Lock()
				now++
				most = max(most, now)
				r.mu.Unlock()
				defer func() {
					r.mu.Lock()
					defer r.mu.Unlock()
					now--
				}()
				return wait(ctx, time.Second)
			}
		}
		r.apply(group("a"), group("b"), group("c"))
		time.Sleep(10 * time.Second)
		r.mu.Lock()
		defer r.mu.Unlock()
		if most != 1 {
			t.Errorf("%d ran at once, want 1", most)
		}
	})
}

// TestRestart: a group is restarted on demand. Its entries stay with it, its
// handler is built anew, and nothing overlaps.
func TestRestart(t *testing.T) {
	bubble(t, func(r *rig) {
		slow := func(ctx context.Context, _ *handler.Batch) error { return wait(ctx, 200*time.Millisecond) }
		r.sink("a").answer, r.sink("b").answer = slow, slow
		r.apply(group("a"), group("b"))
		ids := r.add(200)
		time.Sleep(300 * time.Millisecond)
		began := time.Now()
		if err := r.fanout.Restart("a", telemetry.CauseSignal); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		s := r.status("a")
		if s.Incarnation != 2 || s.RestartCause != telemetry.CauseSignal || s.RestartedAt.Sub(began) > 200*time.Millisecond || s.LastError != "" {
			t.Errorf("a: incarnation %d, cause %q at %s, last error %q", s.Incarnation, s.RestartCause, s.RestartedAt.Sub(began), s.LastError)
		}
		if n := s.Telemetry.Restarts()[telemetry.CauseSignal]; n != 1 {
			t.Errorf("%d restarts counted, want 1", n)
		}
		if s := r.status("b"); s.Incarnation != 1 {
			t.Errorf("b: incarnation %d, want 1", s.Incarnation)
		}
		r.wantDone("a", ids...)
		r.wantDone("b", ids...)
		if built, closed := r.sink("a").counts(); built != 2 || closed != 1 {
			t.Errorf("%d handlers built, %d closed, want 2 and 1", built, closed)
		}
		if built, _ := r.sink("b").counts(); built != 1 {
			t.Errorf("%d handlers of b built, want 1", built)
		}
		if r.names("a") != "host-0 host-1" {
			t.Errorf("consumers %s, want the same names", r.names("a"))
		}
		r.fanout.RestartAll(telemetry.CauseLease)
		time.Sleep(time.Second)
		if a, b := r.status("a"), r.status("b"); a.Incarnation != 3 || b.Incarnation != 2 || b.RestartCause != telemetry.CauseLease {
			t.Errorf("incarnations %d and %d, cause %q, want 3 and 2", a.Incarnation, b.Incarnation, b.RestartCause)
		}
		err := r.fanout.Restart("c", telemetry.CauseSignal)
		if !errors.Is(err, fanout.ErrUnknownGroup) || err.Error() != `unknown group "c": this process runs a, b` {
			t.Errorf("restart of c: %v", err)
		}
	})
}

// TestUnbuildable: a group whose handler cannot be built backs off, is tripped,
// and comes back by itself or by hand.
func TestUnbuildable(t *testing.T) {
	bubble(t, func(r *rig) {
		tries := 0
		fail := func(g manifest.Group) error {
			if g.Name != "bad" {
				return nil
			}
			if tries++; tries%2 == 0 {
				panic("constructor panics")
			}
			return errSink
		}
		r.setBuild(fail)
		p, err := r.fanout.Prepare(of(group("bad"), group("good")), false)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.fanout.Apply(context.Background(), p); err != nil {
			t.Fatal(err)
		}
		ids := r.add(10)
		time.Sleep(500 * time.Millisecond)
		r.wantState("bad", telemetry.StateBackingOff)
		if s := r.status("bad"); s.LastError == "" || s.NextRestart.IsZero() {
			t.Errorf("status %+v, want the error and the next restart", s)
		}
		r.wantDone("good", ids...)
		time.Sleep(20 * time.Second)
		r.wantState("bad", telemetry.StateTripped)
		if n := r.log.count("group tripped"); n != 1 {
			t.Errorf("%d lines that it is tripped, want 1", n)
		}
		r.setBuild(nil)
		if err := r.fanout.Restart("bad", telemetry.CauseRequest); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Second)
		r.wantState("bad", telemetry.StateRunning)
		r.wantDone("bad", ids...)
		if s := r.status("bad"); !s.NextRestart.IsZero() || s.RestartCause != telemetry.CauseRequest {
			t.Errorf("next restart %s, cause %q", s.NextRestart, s.RestartCause)
		}

		r.setBuild(fail)
		_ = r.fanout.Restart("bad", telemetry.CauseRequest)
		time.Sleep(20 * time.Second)
		r.wantState("bad", telemetry.StateTripped)
		r.setBuild(nil)
		time.Sleep(time.Minute)
		r.wantState("bad", telemetry.StateRunning)
		time.Sleep(2 * time.Minute)
		if n := r.log.count("group is healthy again"); n != 1 {
			t.Errorf("%d lines that it is healthy again, want 1", n)
		}
	})
}

// TestRedisAway at the start is waited for, and no failure of a group.
func TestRedisAway(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"Ensure", "Consumers"} {
		t.Run(method, func(t *testing.T) {
			bubble(t, func(r *rig) {
				r.fail(errAway, method)
				r.apply(group("a"))
				time.Sleep(10 * time.Minute)
				r.wantState("a", telemetry.StateStarting)
				r.wantProblem("a", errAway.Error())
				if s := r.status("a"); s.Incarnation != 1 || s.LastError != "" {
					t.Errorf("incarnation %d, last error %q, want none", s.Incarnation, s.LastError)
				}
				if n := r.log.count("\n"); n > 30 {
					t.Errorf("%d lines logged in ten minutes", n)
				}
				r.fail(nil, method)
				ids := r.add(10)
				time.Sleep(6 * time.Second)
				r.wantDone("a", ids...)
				r.wantState("a", telemetry.StateRunning)
				if s := r.status("a"); len(s.Problems) > 0 {
					t.Errorf("problems %q, want none", s.Problems)
				}
			})
		})
	}
}

// TestGroupMissing: a group that Redis has lost is created again, without a
// failure, and what its handler has built up stays.
func TestGroupMissing(t *testing.T) {
	bubble(t, func(r *rig) {
		r.apply(group("a"), group("b"))
		ids := r.add(20)
		time.Sleep(time.Second)
		r.destroy("a")
		time.Sleep(10 * time.Second)
		more := r.add(20)
		time.Sleep(time.Second)
		s := r.status("a")
		if s.State != telemetry.StateRunning || s.LastError != "" || s.Incarnation != 1 || s.RestartCause != telemetry.CauseGroupMissing {
			t.Errorf("state %s, incarnation %d, last error %q, cause %q", s.State, s.Incarnation, s.LastError, s.RestartCause)
		}
		if n := s.Telemetry.Restarts()[telemetry.CauseGroupMissing]; n != 1 || r.created("a") != 2 {
			t.Errorf("%d restarts counted, created %d times, want 1 and 2", n, r.created("a"))
		}
		if built, _ := r.sink("a").counts(); built != 1 {
			t.Errorf("%d handlers built, want 1", built)
		}
		r.wantDone("a", more...)
		r.wantDone("b", append(ids, more...)...)
		if s := r.status("b"); s.RestartCause != "" {
			t.Errorf("b was restarted: %q", s.RestartCause)
		}
	})
}

// TestStopAfterLostReplies: entries whose replies were lost are claimable at once
// when the process stops before it has found out about them.
func TestStopAfterLostReplies(t *testing.T) {
	bubble(t, func(r *rig) {
		r.server.SetFaults(func(c consumertest.Call) consumertest.Fault {
			switch c.Op {
			case consumertest.Read:
				return consumertest.Fault{Lose: errAway}
			case consumertest.Own:
				if c.N > 1 { // it has begun
					return consumertest.Fault{Fail: errAway}
				}
			}
			return consumertest.Fault{}
		})
		r.apply(group("a"))
		r.add(10)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if len(r.server.Pending("a")) == 0 {
			t.Fatal("no reply was lost")
		}
		r.server.SetFaults(nil)
		r.stop()
		<-r.done
		for _, p := range r.server.Pending("a") {
			if p.Idle < minIdle {
				t.Errorf("%s of %s is idle for %v: not claimable", p.ID, p.Consumer, p.Idle)
			}
		}
		if r.err != nil {
			t.Error(r.err)
		}
	})
}
