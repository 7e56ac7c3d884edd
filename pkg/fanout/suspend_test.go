package fanout_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"example.com/fanout/pkg/fanout"
	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/manifest"
	"example.com/fanout/pkg/telemetry"
)

func (r *rig) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

// TestPause: a paused group finishes what it has begun, keeps what it has not,
// takes nothing new, and goes on where it was. The other group does not notice.
func TestPause(t *testing.T) {
	bubble(t, func(r *rig) {
		r.sink("a").answer = func(ctx context.Context, _ *handler.Batch) error { return wait(ctx, time.Second) }
		r.apply(group("a"), group("b"))
		first := r.add(100)
		time.Sleep(100 * time.Millisecond)
		r.must(r.fanout.Pause(r.Context(), "a", "op"))
		r.wantState("a", telemetry.StatePaused)
		calls := len(r.sink("a").all())
		kept := r.server.Pending("a")
		if len(kept) == 0 || kept[0].Idle > time.Minute {
			t.Errorf("pending %+v, want entries that are kept", kept)
		}
		second := r.add(50)
		time.Sleep(time.Hour)
		if n := len(r.sink("a").all()); n != calls {
			t.Errorf("%d calls while paused", n-calls)
		}
		s := r.status("a")
		if s.Suspended.State != telemetry.StatePaused || s.Suspended.By != "op" || time.Since(s.Suspended.Since) < time.Hour || s.RestartCause != "" {
			t.Errorf("suspended %+v, restarted by %q", s.Suspended, s.RestartCause)
		}
		if s.Info == nil || len(s.Consumers) != 0 {
			t.Errorf("info %v, %d consumers: a paused group is watched and has no consumers", s.Info, len(s.Consumers))
		}
		if built, closed := r.sink("a").counts(); built != closed {
			t.Errorf("%d handlers built, %d closed", built, closed)
		}
		r.wantDone("b", append(first, second...)...)

		r.must(r.fanout.Pause(r.Context(), "a", "another")) // changes nothing
		if by := r.status("a").Suspended.By; by != "op" {
			t.Errorf("by %q", by)
		}
		r.must(r.fanout.Resume(r.Context(), "a"))
		r.wantState("a", telemetry.StateRunning)
		r.must(r.fanout.Resume(r.Context(), "a"))
		time.Sleep(time.Minute)
		r.wantDone("a", append(first, second...)...)
		if s := r.status("a"); s.Suspended.State != "" {
			t.Errorf("suspended %+v", s.Suspended)
		}
		if b := r.status("b"); b.Incarnation != 1 {
			t.Errorf("incarnation %d of b", b.Incarnation)
		}
	})
}

// TestStop: what a stopped group has left is claimable at once; it is not kept.
func TestStop(t *testing.T) {
	bubble(t, func(r *rig) {
		r.sink("a").answer = func(ctx context.Context, _ *handler.Batch) error { return handler.Unavailable(errSink) }
		r.apply(group("a"))
		r.add(30)
		time.Sleep(time.Second)
		r.must(r.fanout.Pause(r.Context(), "a", "op"))
		kept := r.server.Pending("a")
		if len(kept) == 0 {
			t.Fatal("nothing is pending")
		}
		r.must(r.fanout.Stop(r.Context(), "a", "another"))
		r.must(r.fanout.Stop(r.Context(), "a", "late")) // changes nothing
		synctest.Wait()
		r.wantState("a", telemetry.StateStopped)
		if n := r.log.count("group is to rest"); n != 2 || r.log.count("state=stopped by=another") != 1 {
			t.Errorf("%d lines tell who has suspended the group:\n%s", n, &r.log.text)
		}
		for _, p := range r.server.Pending("a") {
			if p.Idle < minIdle {
				t.Errorf("%s is idle for %v: not claimable", p.ID, p.Idle)
			}
		}
		for _, verb := range []func() error{
			func() error { return r.fanout.Pause(r.Context(), "a", "op") },
			func() error { return r.fanout.Resume(r.Context(), "a") },
		} {
			if err := verb(); !errors.Is(err, fanout.ErrStopped) {
				t.Errorf("error %v, want ErrStopped", err)
			}
		}
		r.wantState("a", telemetry.StateStopped)
		r.must(r.fanout.Start(r.Context(), "a"))
		r.wantState("a", telemetry.StateRunning)
	})
}

// TestSuspensionLasts over reloads and restarts, but for one by name, and for
// as long as the manifest has the group.
func TestSuspensionLasts(t *testing.T) {
	bubble(t, func(r *rig) {
		r.apply(group("a"), group("b"))
		r.must(r.fanout.Pause(r.Context(), "a", "op"))
		r.must(r.fanout.Stop(r.Context(), "b", "op"))
		still := func() {
			t.Helper()
			time.Sleep(time.Second)
			r.wantState("a", telemetry.StatePaused)
			r.wantState("b", telemetry.StateStopped)
		}
		slower := func(g *manifest.Group) { g.Timeout = 31 * time.Second }
		r.apply(group("a", slower), group("b", slower))
		still()
		r.must(r.fanout.Restart("a", telemetry.CauseSignal))
		r.must(r.fanout.Restart("b", telemetry.CauseSignal))
		still()
		r.fanout.RestartAll(telemetry.CauseLease)
		still()
		if len(r.sink("a").all()) > 0 {
			t.Error("a was called")
		}

		r.must(r.fanout.Restart("a", telemetry.CauseRequest))
		r.must(r.fanout.Restart("b", telemetry.CauseRequest))
		time.Sleep(time.Second)
		r.wantState("a", telemetry.StateRunning)
		r.wantState("b", telemetry.StateRunning)

		r.must(r.fanout.Stop(r.Context(), "b", "op"))
		r.apply(group("a", slower))
		r.apply(group("a", slower), group("b"))
		time.Sleep(time.Second)
		r.wantState("b", telemetry.StateRunning)
		if err := r.fanout.Pause(r.Context(), "c", "op"); !errors.Is(err, fanout.ErrUnknownGroup) {
			t.Errorf("pause of c: %v", err)
		}
	})
}

// TestPauseOfTroubledGroup: a group that backs off, or that a call does not let
// go, rests as well, and its resumption tries at once.
func TestPauseOfTroubledGroup(t *testing.T) {
	bubble(t, func(r *rig) {
		r.sink("deaf").answer = func(context.Context, *handler.Batch) error { r.deaf(time.Hour); return nil }
		r.apply(group("deaf"), group("bad"))
		time.Sleep(time.Second)
		r.setBuild(func(manifest.Group) error { return errSink })
		r.must(r.fanout.Restart("bad", telemetry.CauseRequest))
		r.add(10)
		time.Sleep(time.Minute)
		r.wantState("bad", telemetry.StateTripped)
		r.must(r.fanout.Pause(r.Context(), "bad", "op"))
		r.wantState("bad", telemetry.StatePaused)

		short, cancel := context.WithTimeout(r.Context(), time.Second)
		defer cancel()
		if err := r.fanout.Pause(short, "deaf", "op"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v, want that it takes longer", err)
		}
		r.wantState("deaf", telemetry.StateDraining)
		r.must(r.fanout.Pause(r.Context(), "deaf", "op"))
		if s := r.status("deaf"); s.State != telemetry.StatePaused || s.Abandoned == 0 {
			t.Errorf("state %s with %d abandoned calls", s.State, s.Abandoned)
		}

		began := time.Now()
		r.must(r.fanout.Resume(r.Context(), "bad"))
		r.wantState("bad", telemetry.StateBackingOff)
		r.setBuild(nil)
		r.must(r.fanout.Pause(r.Context(), "bad", "op"))
		r.must(r.fanout.Resume(r.Context(), "bad"))
		r.wantState("bad", telemetry.StateRunning)
		if took := time.Since(began); took > time.Second {
			t.Errorf("resumption took %v", took)
		}
	})
}

// TestHeld: what relies on a group that rests has it so until it is done.
func TestHeld(t *testing.T) {
	bubble(t, func(r *rig) {
		r.sink("a").answer = func(ctx context.Context, _ *handler.Batch) error { return wait(ctx, 2*time.Second) }
		r.apply(group("a"))
		time.Sleep(time.Second)
		do := func(_ fanout.Remote, prefix string) error {
			if prefix != "host-" {
				t.Errorf("prefix %q", prefix)
			}
			for name, err := range map[string]error{
				"resume":  r.fanout.Resume(r.Context(), "a"),
				"start":   r.fanout.Start(r.Context(), "a"),
				"restart": r.fanout.Restart("a", telemetry.CauseRequest),
			} {
				if !errors.Is(err, fanout.ErrHeld) {
					t.Errorf("%s: %v, want ErrHeld", name, err)
				}
			}
			return errSink
		}
		if err := r.fanout.Held("a", do); !errors.Is(err, fanout.ErrNotSuspended) {
			t.Errorf("error of a running group %v", err)
		}
		r.add(1)
		time.Sleep(time.Second)
		short, cancel := context.WithTimeout(r.Context(), 100*time.Millisecond)
		defer cancel()
		_ = r.fanout.Pause(short, "a", "op")
		if err := r.fanout.Held("a", do); !errors.Is(err, fanout.ErrNotSuspended) {
			t.Errorf("error of a group that drains %v", err)
		}
		r.must(r.fanout.Pause(r.Context(), "a", "op"))
		if err := r.fanout.Held("a", do); !errors.Is(err, errSink) {
			t.Errorf("error %v", err)
		}
		r.must(r.fanout.Resume(r.Context(), "a"))
	})
}
