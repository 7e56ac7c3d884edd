package fanout_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"example.com/fanout/pkg/consumer"
	"example.com/fanout/pkg/consumer/consumertest"
	"example.com/fanout/pkg/fanout"
	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/manifest"
	"example.com/fanout/pkg/telemetry"
)

// TestApply changes, adds and removes groups. Those that stay as they are do
// not notice.
func TestApply(t *testing.T) {
	bubble(t, func(r *rig) {
		first := of()
		first.Redis.URL = "redis://elsewhere"
		if p, err := r.fanout.Prepare(first, true); err != nil || len(p.Plan.Warnings) > 0 {
			t.Errorf("the first plan: %v, warnings %q, want none", err, p.Plan.Warnings)
		}
		r.apply(group("kept"), group("changed"), group("removed"), group("disabled"))
		before := r.add(10)
		time.Sleep(time.Second)
		disabled := group("disabled")
		disabled.Enabled = false
		changed := group("changed", func(g *manifest.Group) { g.Where = "n > 4" })
		r.apply(group("kept"), changed, disabled, group("new"))
		if n := len(r.fanout.Status()); n != 3 {
			t.Errorf("%d groups run, want 3", n)
		}
		after := r.add(10)
		time.Sleep(time.Second)

		r.wantDone("kept", append(before, after...)...)
		r.wantDone("new", append(before, after...)...)
		r.wantDone("changed", append(before, after[5:]...)...)
		for _, name := range []string{"removed", "disabled"} {
			r.wantDone(name, before...)
			if n := r.sink(name).times(after[0]); n != 0 {
				t.Errorf("%s goes on", name)
			}
		}
		for name, want := range map[string][2]int{"kept": {1, 0}, "changed": {2, 1}, "removed": {1, 1}, "disabled": {1, 1}, "new": {1, 0}} {
			if built, closed := r.sink(name).counts(); built != want[0] || closed != want[1] {
				t.Errorf("%s: %d handlers built, %d closed, want %v", name, built, closed, want)
			}
		}
		if r.status("kept").Incarnation != 1 || r.status("changed").RestartCause != "" {
			t.Errorf("kept: incarnation %d; changed: cause %q", r.status("kept").Incarnation, r.status("changed").RestartCause)
		}
		if n := len(r.fanout.Manifest().Groups); n != 4 {
			t.Errorf("%d groups in the manifest, want 4", n)
		}
	})
}

// TestPrepareChangesNothing when a handler cannot be built.
func TestPrepareChangesNothing(t *testing.T) {
	bubble(t, func(r *rig) {
		r.apply(group("a"), group("b"))
		before := r.fanout.Manifest()
		r.setBuild(func(g manifest.Group) error {
			switch g.Name {
			case "bad":
				return errSink
			case "worse":
				panic("constructor panics")
			}
			return nil
		})
		changed := group("a", func(g *manifest.Group) { g.Where = "n > 4" })
		_, err := r.fanout.Prepare(of(changed, group("bad"), group("worse"), group("new")), true)
		for _, part := range []string{"groups.bad: ", errSink.Error(), "groups.worse: ", "constructor panics"} {
			if err == nil || !strings.Contains(err.Error(), part) {
				t.Errorf("error %v, want %q in it", err, part)
			}
		}
		ids := r.add(10)
		time.Sleep(time.Second)
		r.wantDone("a", ids...)
		r.wantDone("b", ids...)
		if built, closed := r.sink("a").counts(); built != 2 || closed != 1 {
			t.Errorf("a: %d handlers built, %d closed, want the new one closed again", built, closed)
		}
		if built, closed := r.sink("new").counts(); built != 1 || closed != 1 {
			t.Errorf("new: %d handlers built, %d closed, want it closed again", built, closed)
		}
		if r.fanout.Manifest() != before || r.status("a").Incarnation != 1 {
			t.Error("something has changed")
		}
	})
}

// TestWarningsStay: what takes a new process is said by every plan until there
// is one, or until the file is as it was.
func TestWarningsStay(t *testing.T) {
	bubble(t, func(r *rig) {
		plan := func(change func(*manifest.Manifest)) []string {
			m := of(group("a"))
			change(m)
			p, err := r.fanout.Prepare(m, true)
			if err != nil {
				t.Fatal(err)
			}
			if err := r.fanout.Apply(context.Background(), p); err != nil {
				t.Fatal(err)
			}
			return p.Plan.Warnings
		}
		plan(func(*manifest.Manifest) {})
		for range 2 {
			for key, change := range map[string]func(*manifest.Manifest){
				"redis": func(m *manifest.Manifest) { m.Redis.URL = "redis://elsewhere" },
				"admin": func(m *manifest.Manifest) { m.Admin.Listen = "off" },
				"state": func(m *manifest.Manifest) { m.State = "elsewhere.json" },
			} {
				for range 2 {
					if got := plan(change); len(got) != 1 || !strings.HasPrefix(got[0], key+" has changed") {
						t.Errorf("%s has changed: warnings %q", key, got)
					}
				}
			}
		}
		if got := plan(func(*manifest.Manifest) {}); len(got) > 0 {
			t.Errorf("the file is as it was: warnings %q", got)
		}
	})
}

// TestOutdated: what was prepared before another manifest was applied is refused.
func TestOutdated(t *testing.T) {
	bubble(t, func(r *rig) {
		r.apply(group("a"))
		old, err := r.fanout.Prepare(of(group("b")), true)
		if err != nil {
			t.Fatal(err)
		}
		again, err := r.fanout.Prepare(of(group("a"), group("c")), true)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.fanout.Apply(context.Background(), again); err != nil {
			t.Fatal(err)
		}
		again.Discard() // does nothing: its handlers are in use
		if err := r.fanout.Apply(context.Background(), old); !errors.Is(err, fanout.ErrOutdated) {
			t.Errorf("apply: %v, want ErrOutdated", err)
		}
		if built, closed := r.sink("b").counts(); built != 1 || closed != 1 {
			t.Errorf("b: %d handlers built, %d closed, want it closed", built, closed)
		}
		ids := r.add(5)
		time.Sleep(time.Second)
		r.wantDone("a", ids...)
		r.wantDone("c", ids...)
	})
}

// TestApplyWaitsItsTurn: one Apply runs at a time, and the next can be given up.
func TestApplyWaitsItsTurn(t *testing.T) {
	bubble(t, func(r *rig) {
		r.sink("a").answer = func(ctx context.Context, _ *handler.Batch) error { return wait(ctx, 3*time.Second) }
		r.apply(group("a"))
		r.add(1)
		time.Sleep(time.Second)
		first, _ := r.fanout.Prepare(of(), true)
		second, _ := r.fanout.Prepare(of(group("b")), true)
		draining := make(chan error)
		go func() { draining <- r.fanout.Apply(context.Background(), first) }()
		time.Sleep(time.Second)
		r.wantState("a", telemetry.StateDraining)
		ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
		defer cancel()
		if err := r.fanout.Apply(ctx, second); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("apply: %v, want that its time ran out", err)
		}
		if built, closed := r.sink("b").counts(); built != 1 || closed != 1 {
			t.Errorf("b: %d handlers built, %d closed, want it closed", built, closed)
		}
		if err := <-draining; err != nil {
			t.Error(err)
		}
	})
}

// TestScale changes the number of consumers without a restart.
func TestScale(t *testing.T) {
	bubble(t, func(r *rig) {
		r.sink("a").answer = func(ctx context.Context, _ *handler.Batch) error { return wait(ctx, 4*time.Second) }
		r.apply(group("a", consumers(1)))
		ids := r.add(3)
		time.Sleep(time.Second)
		r.apply(group("a", consumers(4)))
		time.Sleep(time.Second)
		if r.names("a") != "host-0 host-1 host-2 host-3" || r.status("a").Telemetry.ConsumersRunning.Load() != 4 {
			t.Errorf("consumers %s, %d counted", r.names("a"), r.status("a").Telemetry.ConsumersRunning.Load())
		}
		ids = append(ids, r.add(200)...)
		time.Sleep(100 * time.Millisecond)
		r.apply(group("a", consumers(2)))
		time.Sleep(30 * time.Second) // what those two held is claimed at once, not after min_idle
		if r.names("a") != "host-0 host-1" || r.status("a").Telemetry.ConsumersRunning.Load() != 2 {
			t.Errorf("consumers %s, %d counted", r.names("a"), r.status("a").Telemetry.ConsumersRunning.Load())
		}
		time.Sleep(20 * time.Second)
		r.wantDone("a", ids...)
		if s := r.status("a"); s.Incarnation != 1 || s.RestartCause != "" {
			t.Errorf("incarnation %d, cause %q", s.Incarnation, s.RestartCause)
		}
		if built, _ := r.sink("a").counts(); built != 1 {
			t.Errorf("%d handlers built, want 1", built)
		}
	})
}

// TestScaleWithoutRedis: a consumer that cannot confirm what it has done is
// removed all the same, and the group goes on.
func TestScaleWithoutRedis(t *testing.T) {
	bubble(t, func(r *rig) {
		r.sink("a").answer = func(ctx context.Context, _ *handler.Batch) error { return wait(ctx, 2*time.Second) }
		r.apply(group("a", consumers(2)))
		r.add(40)
		time.Sleep(time.Second)
		r.server.SetFaults(away)
		r.apply(group("a", consumers(1)))
		time.Sleep(20 * time.Second)
		r.server.SetFaults(nil)
		time.Sleep(10 * time.Second)
		r.wantState("a", telemetry.StateRunning)
		if s := r.status("a"); s.Incarnation != 1 || s.LastError != "" || r.names("a") != "host-0" {
			t.Errorf("incarnation %d, last error %q, consumers %s", s.Incarnation, s.LastError, r.names("a"))
		}
		time.Sleep(3 * time.Minute)
		if left := r.server.Pending("a"); len(left) > 0 {
			t.Errorf("left pending: %v", left)
		}
	})
}

// TestScaleFrees: what a removed consumer had not even seen is claimed at once.
func TestScaleFrees(t *testing.T) {
	bubble(t, func(r *rig) {
		a := group("a", consumers(2))
		ids := r.leave(a, "host-1", 5)
		r.server.SetFaults(func(c consumertest.Call) consumertest.Fault {
			if c.Consumer == "host-1" {
				return away(c)
			}
			return consumertest.Fault{}
		})
		r.apply(a)
		time.Sleep(20 * time.Second) // its backoff is long by now
		r.server.SetFaults(nil)
		r.apply(group("a", consumers(1)))
		time.Sleep(17 * time.Second)
		r.wantDone("a", ids...)
	})
}

// TestServeEnds: Serve returns when everything has stopped, and says what was
// left undone.
func TestServeEnds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer func(r *rig, ctx context.Context) error
		away   bool
		took   time.Duration
		err    error
	}{
		"at rest":                  {func(*rig, context.Context) error { return nil }, false, 0, nil},
		"the call ends in time":    {func(_ *rig, ctx context.Context) error { return wait(ctx, 3*time.Second) }, false, 2 * time.Second, nil},
		"the call is cancelled":    {func(_ *rig, ctx context.Context) error { return wait(ctx, time.Hour) }, false, 5 * time.Second, nil},
		"the call is deaf":         {func(r *rig, _ context.Context) error { r.deaf(time.Hour); return nil }, false, 6 * time.Second, consumer.ErrUnreturned},
		"redis confirms nothing":   {func(_ *rig, ctx context.Context) error { return wait(ctx, 3*time.Second) }, true, 6 * time.Second, consumer.ErrUnconfirmed},
		"nor that, and it is deaf": {func(r *rig, _ context.Context) error { r.deaf(time.Hour); return nil }, true, 6 * time.Second, consumer.ErrUnreturned},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(r *rig) {
				r.sink("a").answer = func(ctx context.Context, _ *handler.Batch) error { return c.answer(r, ctx) }
				r.apply(group("a"), group("b"))
				r.add(5)
				time.Sleep(time.Second)
				if c.away {
					r.server.SetFaults(away)
				}
				began := time.Now()
				r.stop()
				<-r.done
				if took := time.Since(began).Round(100 * time.Millisecond); took != c.took {
					t.Errorf("it took %s, want %s", took, c.took)
				}
				if !errors.Is(r.err, c.err) || c.err == nil && r.err != nil {
					t.Errorf("error %v, want %v", r.err, c.err)
				}
				p, err := r.fanout.Prepare(of(group("c")), true)
				if err != nil {
					t.Fatal(err)
				}
				if err := r.fanout.Apply(context.Background(), p); !errors.Is(err, fanout.ErrStopping) {
					t.Errorf("apply: %v, want ErrStopping", err)
				}
			})
		})
	}
}
