package redisstream_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/fanout/pkg/redisstream"
	"example.com/fanout/pkg/stream"
)

const bookKey = "{events}:fanout:losses:g"

// What goes with a group is told once, by one of several processes: what may be
// gone, and what may come again.
func TestLossOfAGroup(t *testing.T) {
	t.Parallel()
	const stood = 4 // of 8 entries
	missing := func(entries int64, ids ...string) stream.Loss {
		l := stream.Loss{Reason: stream.LossGroupMissing, Entries: entries}
		for i, to := range []*stream.ID{&l.First, &l.Last, &l.RepeatsFrom, &l.RepeatsTo} {
			if i < len(ids) && ids[i] != "" {
				*to = idOf(ids[i])
			}
		}
		return l
	}
	destroy := func(s *scene) { s.do("XGROUP", "DESTROY", key, group) }
	tests := map[string]struct {
		loss func(*scene)
		want stream.Loss
	}{
		"XGROUP DESTROY":             {destroy, missing(-1, "", "", "4-1", "8-0")},
		"destroyed and trimmed":      {func(s *scene) { destroy(s); s.do("XTRIM", key, "MINID", "7-0") }, missing(4, "4-1", "6"+maxSeq, "7-0", "8-0")},
		"destroyed and trimmed late": {func(s *scene) { destroy(s); s.do("XTRIM", key, "MINID", "3-0") }, missing(-1, "", "", "4-1", "8-0")},
		"destroyed and emptied":      {func(s *scene) { destroy(s); s.do("XTRIM", key, "MAXLEN", 0) }, missing(4, "4-1", "8-0")},
		"destroyed and one deleted":  {func(s *scene) { destroy(s); s.do("XDEL", key, "6-0") }, missing(1, "4-1", "6-0", "4-1", "8-0")},
		"DEL":                        {func(s *scene) { s.do("DEL", key) }, missing(4, "4-1", "8-0")},
		"DEL, no local checkpoint":   {func(s *scene) { s.do("DEL", key); s.store.kept = nil }, missing(4, "4-1", "8-0")},
		"DEL, then higher IDs":       {func(s *scene) { s.do("DEL", key); s.add(20, 22) }, missing(4, "4-1", "19"+maxSeq)},
		"DEL, then more than before": {func(s *scene) { s.do("DEL", key); s.add(20, 40) }, missing(4, "4-1", "19"+maxSeq)},
		"FLUSHALL":                   {func(s *scene) { s.do("FLUSHALL") }, missing(4, "4-1", "8-0")},
		"FLUSHALL, the same again":   {func(s *scene) { s.do("FLUSHALL"); s.add(1, 8) }, missing(4, "4-1", "8-0", "1-0", "4-0")},
		"FLUSHALL, made by others": {func(s *scene) {
			s.do("FLUSHALL")
			s.add(100, 130)
			s.do("XGROUP", "CREATE", key, group, "$")
		}, missing(4, "4-1", "99"+maxSeq)},
		"DEL, made by others": {func(s *scene) {
			s.do("DEL", key)
			s.add(100, 130)
			s.do("XGROUP", "CREATE", key, group, "0")
		}, missing(4, "4-1", "99"+maxSeq)},
		"both checkpoints": {func(s *scene) {
			destroy(s)
			s.do("DEL", checkpointKey)
			s.store.kept = nil
		}, missing(-1, "", "", "1-0", "8-0")},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			s.add(1, 8)
			s.work(stood)
			told(t, s.group(redisstream.Start{}))
			test.loss(s)
			g, cfg := s.group(redisstream.Start{}), config()
			cfg.Checkpoints = s.store
			other := open(t, s.server).Group(cfg)
			ensure(t, g)
			ensure(t, other)
			if got := told(t, other); len(got) > 0 {
				t.Fatalf("told by another process: %+v", got)
			}
			got := told(t, g)
			if diff := cmp.Diff([]stream.Loss{test.want}, got, sameLoss); diff != "" {
				t.Fatalf("(-want +got):\n%s", diff)
			}
			if name != "both checkpoints" && !strings.Contains(got[0].Note, "4-0") {
				t.Errorf("note %q does not say where it stood", got[0].Note)
			}
			if got := append(told(t, g), told(t, other)...); len(got) > 0 {
				t.Fatalf("told again: %+v", got)
			}
		})
	}
}

// With IDs that are times, the range that is gone with a stream reaches to the
// present: what was added since the last look is in it.
func TestLossReachesToThePresent(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.do("XADD", key, "*", "event", "{}")
	g := s.group(redisstream.Start{})
	ensure(t, g)
	if _, err := g.Checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * time.Millisecond) // the next ID must be of another millisecond
	last := parseID(t, s.do("XADD", key, "*", "event", "{}"))
	s.do("FLUSHALL")
	ensure(t, g)
	got := told(t, g)
	if len(got) != 1 || got[0].Last.Before(last) || !got[0].First.Before(last) || time.Until(got[0].Last.Time()) > time.Second {
		t.Fatalf("%+v, want a range with %s in it", got, last)
	}
}

// The process itself knows where its group stood when nothing else does.
func TestCheckpointOfTheProcess(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.add(1, 8)
	g := s.client.Group(config()) // without a local store
	ensure(t, g)
	s.do("XREADGROUP", "GROUP", group, "b", "COUNT", 4, "NOACK", "STREAMS", key, ">")
	if _, err := g.Checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.do("XGROUP", "DESTROY", key, group)
	s.do("DEL", checkpointKey, epochKey, bookKey)
	if o := ensure(t, g); !o.Recreated || o.Checkpoint != (stream.ID{Ms: 4}) {
		t.Fatalf("%+v, want recreated with what the process knew", o)
	}
}

// A group that was lost with every checkpoint begins where it is told to. That
// it has existed is known by what it has left.
func TestWithoutCheckpoint(t *testing.T) {
	t.Parallel()
	latest := redisstream.Start{Latest: true}
	traces := map[string]func(*scene){
		"a broken checkpoint":       func(s *scene) { s.do("HSET", checkpointKey, "id", "nonsense", "epoch", "e") },
		"a checkpoint without any":  func(s *scene) { s.do("HSET", checkpointKey, "last", "3-0") },
		"a record of its losses":    func(s *scene) { s.do("HSET", bookKey, "at", "3-0") },
		"dead letters":              func(s *scene) { s.do("XADD", dead, "*", "a", "b") },
		"replays":                   func(s *scene) { s.do("XADD", "{events}:replay:g", "*", "a", "b") },
		"nothing, as of a new one":  func(*scene) {},
		"an epoch, as of a new one": func(s *scene) { s.do("SET", epochKey, "e") },
	}
	const refused = -1
	for name, leave := range traces {
		for _, c := range []struct {
			start redisstream.Start
			way   redisstream.WithoutCheckpoint
			at    int // refused: not created
		}{
			{at(3), "", 3},
			{at(3), redisstream.AtStart, 3},
			{at(3), redisstream.AtEarliest, 0},
			{at(3), redisstream.AtLatest, 8},
			{at(3), redisstream.Fail, refused},
			{latest, redisstream.Fail, refused},
			{latest, redisstream.AtEarliest, 0},
		} {
			t.Run(name+"/"+c.start.String()+" "+string(c.way), func(t *testing.T) {
				t.Parallel()
				s := newScene(t)
				s.add(1, 8)
				leave(s)
				cfg := config()
				cfg.Start, cfg.WithoutCheckpoint = c.start, c.way
				g := s.client.Group(cfg)
				want, isNew := c.at, strings.HasSuffix(name, "new one")
				switch {
				case isNew && c.start.Latest:
					want = 8
				case isNew:
					want = 3
				}
				o, err := g.Ensure(t.Context())
				if want == refused {
					if !errors.Is(err, stream.ErrGroupLost) || !strings.Contains(redisstream.Describe(err), "XGROUP CREATE events g 0 MKSTREAM") {
						t.Fatalf("%+v, %v, want %v and what to do", o, err, stream.ErrGroupLost)
					}
					s.do("XGROUP", "CREATE", key, group, "5-0")
					want = 5
					if o, err = g.Ensure(t.Context()); err != nil || o.Created {
						t.Fatalf("made by hand: %+v, %v", o, err)
					}
				} else if err != nil || o.Recreated == isNew {
					t.Fatalf("%+v, %v, want it known before: %v", o, err, !isNew)
				}
				if o.Created && o.At != (stream.ID{Ms: uint64(want)}) {
					t.Fatalf("begins after %v, want %d-0", o.At, want)
				}
				if losses := told(t, g); len(losses) > 1 || c.at != refused && (len(losses) == 1) == isNew {
					t.Fatalf("told %+v", losses)
				}
			})
		}
	}
}

// A group that is not to be created again is left alone until somebody makes it;
// a new one is created all the same.
func TestKeepMissing(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		loss func(*scene)
		want string
	}{
		"destroyed": {func(s *scene) { s.do("XGROUP", "DESTROY", key, group) }, "it stood at 4-0; create it where it is to go on, such as XGROUP CREATE events g 4-0 MKSTREAM"},
		"deleted":   {func(s *scene) { s.do("DEL", key) }, "it stood at 4-0 of a stream that is gone or another one now; create it where it is to go on, such as XGROUP CREATE events g 0 MKSTREAM"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			s.add(1, 8)
			cfg := config()
			cfg.Checkpoints, cfg.KeepMissing = s.store, true
			if o, err := s.client.Group(cfg).Ensure(t.Context()); err != nil || !o.Created {
				t.Fatalf("a new group: %+v, %v, want it created", o, err)
			}
			s.work(4)
			test.loss(s)
			g := s.client.Group(cfg)
			for range 2 {
				if _, err := g.Ensure(t.Context()); !errors.Is(err, stream.ErrGroupLost) || !strings.Contains(redisstream.Describe(err), test.want) {
					t.Fatalf("error %v, want %v and %q", err, stream.ErrGroupLost, test.want)
				}
			}
			if name == "deleted" && s.do("EXISTS", key) != int64(0) {
				t.Error("the stream was made")
			}
			s.do("XGROUP", "CREATE", key, group, "0", "MKSTREAM")
			if o := ensure(t, g); o.Created || o.Epoch == "" {
				t.Fatalf("%+v, want the group that was made by hand", o)
			}
		})
	}
}

// An error of one script leaves nothing half done: out of memory no group is
// made, and no loss is forgotten.
func TestLossesOutOfMemory(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.add(1, 10)
	g := s.group(redisstream.Start{})
	ensure(t, g)
	told(t, g)
	s.do("CONFIG", "SET", "maxmemory", 1)
	s.do("XTRIM", key, "MINID", "6-0")
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if _, err := g.Losses(ctx, func(l stream.Loss) { t.Errorf("told %+v", l) }); err == nil || !strings.Contains(redisstream.Describe(err), "out of memory") {
		t.Fatalf("error %v", err)
	}
	s.do("CONFIG", "SET", "maxmemory", 0)
	if got := told(t, g); len(got) != 1 || got[0].Entries != 5 {
		t.Fatalf("told %+v, want 5 lost", got)
	}
}
