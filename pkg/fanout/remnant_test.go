package fanout_test

import (
	"context"
	"testing"
	"time"

	"example.com/fanout/pkg/consumer/consumertest"
	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/manifest"
	"example.com/fanout/pkg/telemetry"
)

func away(consumertest.Call) consumertest.Fault { return consumertest.Fault{Fail: errAway} }

// TestRemnant: a call outlives the restart, the replacement or the removal of
// its group. It keeps its consumer's name and its entries until it returns; what
// else that consumer had is the successor's at once.
func TestRemnant(t *testing.T) {
	t.Parallel()
	changed := group("a", func(g *manifest.Group) { g.Where = "n >= 0" })
	for name, again := range map[string]func(r *rig){
		"restart":            func(r *rig) { _ = r.fanout.Restart("a", telemetry.CauseRequest); time.Sleep(7 * time.Second) },
		"replacement":        func(r *rig) { r.apply(changed) },
		"removal, and back":  func(r *rig) { r.apply(); r.apply(group("a")) },
		"under another name": func(r *rig) { r.apply(group("b", func(g *manifest.Group) { g.Group = "a" })) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(r *rig) {
				s := r.sink("a")
				s.answer = func(context.Context, *handler.Batch) error {
					if len(s.all()) == 1 {
						r.deaf(10 * time.Minute)
					}
					return nil
				}
				r.apply(group("a", consumers(1)))
				ids := r.add(20)
				time.Sleep(time.Second)
				held := r.server.Pending("a")
				n := s.all()[0].n
				if len(held) != 20 || n == 20 {
					t.Fatalf("%d pending, %d of them in the call", len(held), n)
				}
				again(r)
				name := "a"
				if len(r.fanout.Manifest().Groups) == 1 {
					name = r.fanout.Manifest().Groups[0].Name
				}
				time.Sleep(3 * time.Second)
				st := r.status(name)
				if st.State != telemetry.StateRunning || st.Abandoned != 1 {
					t.Errorf("state %s with %d abandoned calls, want running with 1", st.State, st.Abandoned)
				}
				for _, c := range st.Consumers {
					if c.Name == "host-0" {
						t.Errorf("consumers %s: one has the name of the remnant", r.names(name))
					}
				}
				r.wantDone(name, ids[n:]...)
				time.Sleep(5 * time.Minute)
				for _, id := range ids[:n] {
					if got := s.times(id) + r.sink("b").times(id); got != 0 {
						t.Errorf("%s is handled again while its call runs", id)
					}
				}
				time.Sleep(6 * time.Minute)
				if name == "a" {
					r.wantDone("a", ids...)
				}
				if left := r.server.Pending("a"); len(left) > 0 {
					t.Errorf("left pending: %v", left)
				}
				if st := r.status(name); st.Abandoned != 0 {
					t.Errorf("%d abandoned calls, want none", st.Abandoned)
				}
				_ = r.fanout.Restart(name, telemetry.CauseRequest)
				time.Sleep(time.Second)
				if st := r.status(name); st.Consumers[0].Name != "host-0" {
					t.Errorf("consumers %s, want the old names again", r.names(name))
				}
			})
		})
	}
}

// TestStuck: with more abandoned calls than consumers a group is tripped, until
// some have returned.
func TestStuck(t *testing.T) {
	bubble(t, func(r *rig) {
		s := r.sink("a")
		s.answer = func(context.Context, *handler.Batch) error {
			if len(s.all()) <= 2 {
				r.deaf(10 * time.Minute)
			}
			return nil
		}
		r.apply(group("a", consumers(1)))
		for range 2 {
			r.add(1)
			time.Sleep(time.Second)
			_ = r.fanout.Restart("a", telemetry.CauseRequest)
			time.Sleep(10 * time.Second)
		}
		r.wantState("a", telemetry.StateTripped)
		r.wantProblem("a", "stuck")
		ids := r.add(5)
		_ = r.fanout.Restart("a", telemetry.CauseRequest)
		time.Sleep(time.Minute)
		r.wantState("a", telemetry.StateTripped)
		if n := len(s.all()); n != 2 {
			t.Errorf("%d calls, want none beside the stuck ones", n)
		}
		r.apply(group("a", consumers(2)))
		time.Sleep(time.Second)
		r.wantState("a", telemetry.StateRunning)
		r.wantDone("a", ids...)
		if st := r.status("a"); len(st.Problems) > 0 {
			t.Errorf("problems %q, want none", st.Problems)
		}
		time.Sleep(11 * time.Minute)
		if st := r.status("a"); st.Abandoned != 0 {
			t.Errorf("%d abandoned calls, want none", st.Abandoned)
		}
	})
}

// TestStuckHeals when its calls return.
func TestStuckHeals(t *testing.T) {
	bubble(t, func(r *rig) {
		s := r.sink("a")
		s.answer = func(context.Context, *handler.Batch) error {
			if len(s.all()) <= 2 {
				r.deaf(2 * time.Minute)
			}
			return nil
		}
		r.apply(group("a", consumers(1)))
		for range 2 {
			r.add(1)
			time.Sleep(time.Second)
			_ = r.fanout.Restart("a", telemetry.CauseRequest)
			time.Sleep(10 * time.Second)
		}
		r.wantState("a", telemetry.StateTripped)
		ids := r.add(5)
		r.setBuild(func(manifest.Group) error { return errSink })
		time.Sleep(2 * time.Minute)
		if st := r.status("a"); len(st.Problems) > 0 || st.LastError == "" {
			t.Errorf("problems %q, last error %q, want no more than that its handler cannot be built", st.Problems, st.LastError)
		}
		r.setBuild(nil)
		_ = r.fanout.Restart("a", telemetry.CauseRequest)
		time.Sleep(time.Second)
		r.wantState("a", telemetry.StateRunning)
		r.wantDone("a", ids...)
	})
}

// TestAdopt: what former consumers of this instance have left is handled at
// once; what is another instance's is left to it.
func TestAdopt(t *testing.T) {
	bubble(t, func(r *rig) {
		a := group("a")
		same := r.leave(a, "host-1", 3)
		former := r.leave(a, "host-7", 600)
		for _, other := range []string{"host-2-0", "other-0", "host-x", "hosts-3"} {
			r.leave(a, other, 2)
		}
		r.apply(a)
		time.Sleep(3 * time.Second)
		r.wantDone("a", append(same, former...)...)
		if left := r.server.Pending("a"); len(left) != 8 {
			t.Errorf("%d left pending, want those of others: %v", len(left), left)
		}
		time.Sleep(minIdle + 40*time.Second)
		if left := r.server.Pending("a"); len(left) > 0 {
			t.Errorf("left pending after min_idle: %v", left)
		}
	})
}

// TestNewInstance: an instance that has lost its name goes on under another.
func TestNewInstance(t *testing.T) {
	bubble(t, func(r *rig) {
		r.apply(group("a"))
		time.Sleep(time.Second)
		r.mu.Lock()
		r.instance = "host.2"
		r.mu.Unlock()
		r.fanout.RestartAll(telemetry.CauseLease)
		time.Sleep(time.Second)
		if r.names("a") != "host.2-0 host.2-1" {
			t.Errorf("consumers %s, want those of host.2", r.names("a"))
		}
	})
}
