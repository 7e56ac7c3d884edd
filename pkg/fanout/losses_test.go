package fanout_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"example.com/fanout/pkg/consumer/consumertest"
	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/stream"
	"example.com/fanout/pkg/telemetry"
)

func loss(reason string, certain bool, entries int64) stream.Loss {
	return stream.Loss{
		Reason: reason, Certain: certain, Entries: entries, At: time.Now(),
		First: stream.ID{Ms: 5}, Last: stream.ID{Ms: 9},
	}
}

// lose makes Redis find a loss.
func (b *broker) lose(l stream.Loss) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.untold = append(b.untold, l)
}

// TestLoss: each loss is one line at level error, is counted when its number is
// certain, and makes the group not ready for ten minutes.
func TestLoss(t *testing.T) {
	t.Parallel()
	missing := loss(stream.LossGroupMissing, false, 4)
	missing.RepeatsFrom, missing.RepeatsTo, missing.Note = stream.ID{Ms: 1}, stream.ID{Ms: 4}, "it stood at 4-0"
	harmless := missing
	harmless.First, harmless.Last, harmless.Entries = stream.ID{}, stream.ID{}, stream.Unknown
	for name, c := range map[string]struct {
		loss    stream.Loss
		line    string
		count   telemetry.Loss
		counted int64
		problem string
	}{
		"trimmed": {
			loss(stream.LossTrimmed, true, 3), `msg="entries lost" group=a stream=events_stream reason=trimmed entries=3 first=5-0 last=9-0`,
			telemetry.LostTrimmed, 3, "3 entries lost (trimmed) from 5-0 to 9-0, found at 00:0",
		},
		"perhaps deleted": {
			loss(stream.LossDeleted, false, 3), `msg="entries may be lost" group=a stream=events_stream reason=deleted entries=3 first=5-0 last=9-0`,
			telemetry.LostDeleted, 0, "up to 3 entries may be lost (deleted) from 5-0 to 9-0",
		},
		"rolled back": {
			loss(stream.LossRolledBack, false, stream.Unknown), `msg="entries may be lost" group=a stream=events_stream reason=rolled_back first=5-0 last=9-0`,
			telemetry.LostRolledBack, 0, "entries may be lost (rolled_back) from 5-0 to 9-0",
		},
		"with the group": {
			missing, `msg="group was missing in redis and was created again" group=a stream=events_stream reason=group_missing entries=4 ` +
				`first=5-0 last=9-0 repeats_from=1-0 repeats_to=4-0 note="it stood at 4-0"`,
			telemetry.LostGroupMissing, 4, "up to 4 entries may be lost (group_missing) from 5-0 to 9-0",
		},
		"nothing with the group": {
			harmless, `msg="group was missing in redis and was created again" group=a stream=events_stream reason=group_missing repeats_from=1-0`,
			telemetry.LostGroupMissing, 0, "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(r *rig) {
				r.apply(group("a"))
				time.Sleep(time.Second)
				c.loss.At = time.Now()
				r.lose(c.loss)
				time.Sleep(6 * time.Second) // a group that does not move is looked at as a whole every few
				if c.problem != "" {
					r.wantProblem("a", c.problem)
				}
				s := r.status("a")
				if len(s.Losses) != 1 || len(s.Problems) > 0 && c.problem == "" {
					t.Errorf("losses %+v, problems %q", s.Losses, s.Problems)
				}
				if n := s.Telemetry.Lost[c.count].Load(); n != c.counted {
					t.Errorf("%d counted, want %d", n, c.counted)
				}
				time.Sleep(10 * time.Minute)
				if s := r.status("a"); len(s.Losses) != 1 || len(s.Problems) > 0 {
					t.Errorf("after ten minutes: losses %+v, problems %q", s.Losses, s.Problems)
				}
				if r.log.count("level=ERROR") != 1 || r.log.count(c.line) != 1 {
					t.Errorf("log:\n%s\nwant one line %s", &r.log.text, c.line)
				}
			})
		})
	}
}

// TestVanished: pending entries that were deleted are one loss a look, whatever
// consumer has found them.
func TestVanished(t *testing.T) {
	bubble(t, func(r *rig) {
		m := group("a")
		ids := append(r.leave(m, "host-0", 5), r.leave(m, "gone", 5)...)
		r.server.Delete(consumertest.Stream, ids[1:8]...)
		r.apply(m)
		time.Sleep(2 * minIdle)
		if n := r.log.count("entries lost"); n < 1 || n > 2 {
			t.Errorf("%d lines:\n%s", n, &r.log.text)
		}
		s := r.status("a")
		lost := int64(0)
		for _, l := range s.Losses {
			lost += l.Entries
			if l.Reason != stream.LossDeleted || !l.Certain || l.First.Before(ids[1]) || ids[7].Before(l.Last) {
				t.Errorf("loss %+v, want it from %s to %s", l, ids[1], ids[7])
			}
		}
		if counted := s.Telemetry.Lost[telemetry.LostDeleted].Load(); lost != 7 || counted != 7 {
			t.Errorf("%d lost, %d counted, want 7", lost, counted)
		}
	})
}

// TestReplaysVanish: a replay that is gone is no loss, its dead letter is there.
func TestReplaysVanish(t *testing.T) {
	bubble(t, func(r *rig) {
		m := group("a")
		r.leave(m, "other", 1)
		id := r.server.Add(replays+m.Stream, "of", "1-0")
		src := r.server.Source(replays+m.Group, "host-replay", minIdle)
		if ds, err := consumertest.Take(context.Background(), src, 1, 0); err != nil || len(ds) != 1 {
			t.Fatalf("%d replays, %v, want 1", len(ds), err)
		}
		_ = src.Close()
		r.server.Delete(replays+m.Stream, id)
		r.apply(m)
		time.Sleep(2 * time.Second)
		if s := r.status("a"); len(s.Losses) > 0 || r.log.count("replays vanished") != 1 || r.log.count("level=ERROR") > 0 {
			t.Errorf("losses %+v, log:\n%s", s.Losses, &r.log.text)
		}
	})
}

// TestLossesCannotBeLookedFor: that is said once, unless Redis is away
// altogether.
func TestLossesCannotBeLookedFor(t *testing.T) {
	bubble(t, func(r *rig) {
		r.apply(group("a"))
		time.Sleep(time.Second)
		r.fail(errAway, "Losses", "Info")
		time.Sleep(20 * time.Second)
		if n := r.log.count("losses cannot"); n != 0 {
			t.Errorf("%d lines while nothing works", n)
		}
		r.fail(nil, "Info")
		time.Sleep(20 * time.Second)
		r.wantProblem("a", "losses cannot be looked for: ")
		r.fail(nil, "Losses")
		time.Sleep(2 * time.Second)
		if s := r.status("a"); len(s.Problems) > 0 {
			t.Errorf("problems %q", s.Problems)
		}
		if begun, ended := r.log.count("losses cannot be looked for"), r.log.count("losses are looked for again"); begun != 1 || ended != 1 {
			t.Errorf("%d and %d lines, want one and one:\n%s", begun, ended, &r.log.text)
		}
	})
}

// TestGroupIsNotCreated: a group that Redis has lost and that is not to be
// created again says so once, waits, and comes up by itself.
func TestGroupIsNotCreated(t *testing.T) {
	bubble(t, func(r *rig) {
		r.fail(stream.ErrGroupLost, "Ensure")
		r.apply(group("a"))
		time.Sleep(20 * time.Second)
		r.wantState("a", telemetry.StateStarting)
		r.wantProblem("a", "not created again")
		r.fail(nil, "Ensure")
		time.Sleep(6 * time.Second)
		r.wantState("a", telemetry.StateRunning)
		if errors := r.log.count("level=ERROR"); errors != 1 || !strings.Contains(r.log.text.String(), "group is there again") {
			t.Errorf("%d lines at level error:\n%s", errors, &r.log.text)
		}
	})
}

// TestHoldsAreOne: a sink that is down is one sentence for the whole group.
func TestHoldsAreOne(t *testing.T) {
	bubble(t, func(r *rig) {
		r.sink("a").answer = func(context.Context, *handler.Batch) error { return handler.Unavailable(errSink) }
		r.apply(group("a", consumers(4)))
		time.Sleep(time.Second)
		r.add(100)
		time.Sleep(10 * time.Second)
		for range 20 { // whoever is next to try
			time.Sleep(700 * time.Millisecond)
			s := r.status("a")
			first, next := time.Now(), time.Now().Add(time.Hour)
			for _, c := range s.Consumers {
				if c.Hold.Kind == "" {
					continue
				}
				if c.Hold.Since.Before(first) {
					first = c.Hold.Since
				}
				if c.Hold.Next.Before(next) {
					next = c.Hold.Next
				}
			}
			want := fmt.Sprintf("sink unavailable since %s, next try in %s: sink fails",
				first.Format(time.TimeOnly), max(0, time.Until(next)).Round(100*time.Millisecond))
			if len(s.Problems) != 1 || s.Problems[0] != want {
				t.Errorf("problems %q, want %q", s.Problems, want)
			}
		}
	})
}
