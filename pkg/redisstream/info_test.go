package redisstream_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/fanout/pkg/consumer/consumertest"
	"example.com/fanout/pkg/redisstream"
	"example.com/fanout/pkg/stream"
)

// take reads n entries without settling them.
func (s *scene) take(src *redisstream.Source, n int) []stream.ID {
	s.Helper()
	got, err := consumertest.Take(s.Context(), src, n, 0)
	if err != nil || len(got) != n {
		s.Fatalf("read %d, %v, want %d", len(got), err, n)
	}
	ids := make([]stream.ID, n)
	for i, d := range got {
		ids[i] = d.Ref
	}
	return ids
}

func TestInfo(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.add(1, 10)
	g := s.group(redisstream.Start{})
	ensure(t, g)
	src := g.Source("a", g.Epoch())
	t.Cleanup(func() { _ = src.Close() })
	s.take(src, 4)
	s.do("XACK", key, group, "1-0")
	got, err := g.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := stream.GroupInfo{
		Stream: key, Group: group, Length: 10, EntriesAdded: 10,
		LastGenerated: stream.ID{Ms: 10}, FirstEntry: stream.ID{Ms: 1}, LastDelivered: stream.ID{Ms: 4},
		EntriesRead: 4, Pending: 3, OldestPending: stream.ID{Ms: 2}, Lag: 6, LagKnown: true,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("(-want +got):\n%s", diff)
	}
	if low, err := g.Checkpoint(t.Context()); err != nil || low != got.LowWater() {
		t.Fatalf("checkpoint %v, %v, want %v", low, err, got.LowWater())
	}
}

// Where Redis tells no lag, or a wrong one, ours is right or unknown.
func TestInfoLag(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		start redisstream.Start
		read  int
		then  func(*scene)
		lag   int64 // -1 unknown
	}{
		"plain":                             {redisstream.Start{}, 3, func(*scene) {}, 7},
		"made in the middle":                {at(4), 0, func(*scene) {}, -1},
		"made in the middle, at the end":    {at(4), 6, func(*scene) {}, 0},
		"made in the middle, then trimmed":  {at(4), 0, func(s *scene) { s.do("XTRIM", key, "MINID", "8-0") }, 3},
		"deleted behind":                    {redisstream.Start{}, 5, func(s *scene) { s.do("XDEL", key, "2-0") }, 5},
		"deleted ahead":                     {redisstream.Start{}, 5, func(s *scene) { s.do("XDEL", key, "7-0") }, -1},
		"deleted before anything was read":  {redisstream.Start{}, 0, func(s *scene) { s.do("XDEL", key, "7-0") }, 9},
		"the last deleted, all others read": {redisstream.Start{}, 9, func(s *scene) { s.do("XDEL", key, "10-0") }, 0},
		"trimmed past the group":            {redisstream.Start{}, 3, func(s *scene) { s.do("XTRIM", key, "MINID", "9-0") }, 2},
		"trimmed to nothing":                {redisstream.Start{}, 3, func(s *scene) { s.do("XTRIM", key, "MAXLEN", 0) }, 0},
		"one trimmed unread, then read on": {redisstream.Start{}, 6, func(s *scene) {
			s.do("XTRIM", key, "MINID", "8-0")
			s.do("XREADGROUP", "GROUP", group, "b", "COUNT", 1, "STREAMS", key, ">")
		}, -1},
		"trimmed past, then read on": {redisstream.Start{}, 3, func(s *scene) {
			s.do("XTRIM", key, "MINID", "8-0")
			s.do("XREADGROUP", "GROUP", group, "b", "COUNT", 2, "STREAMS", key, ">")
		}, -1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			s.add(1, 10)
			g := s.group(test.start)
			ensure(t, g)
			src := g.Source("a", g.Epoch())
			t.Cleanup(func() { _ = src.Close() })
			if test.read > 0 {
				s.take(src, test.read)
			}
			test.then(s)
			info, err := g.Info(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if info.LagKnown != (test.lag >= 0) || info.LagKnown && info.Lag != test.lag {
				t.Fatalf("lag %d, known %v, want %d", info.Lag, info.LagKnown, test.lag)
			}
		})
	}
}

// Consumers go only when they have nothing pending and are idle; never those
// that are to be kept.
func TestReap(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.add(1, 3)
	g := s.group(redisstream.Start{})
	ensure(t, g)
	busy := g.Source("busy", g.Epoch())
	t.Cleanup(func() { _ = busy.Close() })
	s.take(busy, 1)
	for _, name := range []string{"gone", "kept", "a name with \n spaces"} {
		s.do("XGROUP", "CREATECONSUMER", key, group, name)
	}
	reap := func(idle time.Duration, want int) {
		t.Helper()
		deleted, err := g.Reap(t.Context(), idle, []string{"kept", "unheard of"})
		if err != nil || len(deleted) != want {
			t.Fatalf("deleted %q, %v, want %d", deleted, err, want)
		}
	}
	reap(time.Hour, 0)
	eventually(t, func() bool {
		list, err := g.Consumers(t.Context())
		return err == nil && len(list) == 4 && list[0].Idle > 10*time.Millisecond && list[2].Idle > 10*time.Millisecond
	})
	reap(10*time.Millisecond, 2)
	list, err := g.Consumers(t.Context())
	if err != nil || len(list) != 2 || list[0].Name != "busy" || list[0].Pending != 1 || list[1].Name != "kept" || list[1].Idle <= 0 {
		t.Fatalf("left %+v, %v, want busy and kept", list, err)
	}
}
