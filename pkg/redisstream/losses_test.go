package redisstream_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"example.com/fanout/pkg/redisstream"
	"example.com/fanout/pkg/stream"
	"example.com/fanout/test/redistest"
)

// told calls Losses and gives what this process was to tell, without the times.
func told(t *testing.T, g *redisstream.Group) []stream.Loss {
	t.Helper()
	var all []stream.Loss
	_, err := g.Losses(t.Context(), func(l stream.Loss) {
		if age := time.Since(l.At); age < -time.Second || age > time.Minute {
			t.Errorf("found at %v", l.At)
		}
		all = append(all, l)
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

var sameLoss = cmp.Options{cmpopts.IgnoreFields(stream.Loss{}, "At", "Note"), cmpopts.EquateEmpty()}

func idOf(text string) stream.ID {
	id, err := stream.ParseID(text)
	if err != nil {
		panic(err)
	}
	return id
}

// loss is one with its range; entries -1 is an unknown number.
func loss(reason string, certain bool, entries int64, first, last string) stream.Loss {
	return stream.Loss{Reason: reason, Certain: certain, Entries: entries, First: idOf(first), Last: idOf(last)}
}

const maxSeq = "-18446744073709551615"

// What is gone without having been delivered is told once, with its number where
// that can be known, and what was delivered is not.
func TestLosses(t *testing.T) {
	t.Parallel()
	trim := func(minID string) func(*scene) {
		return func(s *scene) { s.do("XTRIM", key, "MINID", minID) }
	}
	del := func(ids ...any) func(*scene) {
		return func(s *scene) { s.do(append([]any{"XDEL", key}, ids...)...) }
	}
	readOn := func(n int) func(*scene) {
		return func(s *scene) { s.do("XREADGROUP", "GROUP", group, "b", "COUNT", n, "STREAMS", key, ">") }
	}
	add := func(from, to int) func(*scene) { return func(s *scene) { s.add(from, to) } }
	setBack := func(s *scene) { s.do("XGROUP", "SETID", key, group, "1-0") }
	const trimmed, deleted = stream.LossTrimmed, stream.LossDeleted
	tests := map[string]struct {
		steps []func(*scene)
		want  []stream.Loss
	}{
		"nothing":                     {nil, nil},
		"what was read":               {[]func(*scene){trim("4-0")}, nil},
		"two unread":                  {[]func(*scene){trim("6-0")}, []stream.Loss{loss(trimmed, true, 2, "3-1", "5"+maxSeq)}},
		"everything":                  {[]func(*scene){trim("100-0")}, []stream.Loss{loss(trimmed, true, 7, "3-1", "10-0")}},
		"two unread, then read on":    {[]func(*scene){trim("6-0"), readOn(100)}, []stream.Loss{loss(trimmed, true, 2, "3-1", "5"+maxSeq)}},
		"two unread, then some more":  {[]func(*scene){trim("6-0"), readOn(1)}, []stream.Loss{loss(trimmed, true, 2, "3-1", "5"+maxSeq)}},
		"twice":                       {[]func(*scene){trim("5-0"), readOn(2), trim("8-0")}, []stream.Loss{loss(trimmed, true, 2, "3-1", "7"+maxSeq)}},
		"deleted in the middle":       {[]func(*scene){del("5-0", "7-0")}, []stream.Loss{loss(deleted, true, 2, "3-1", "7-0")}},
		"deleted first":               {[]func(*scene){del("4-0")}, []stream.Loss{loss(deleted, true, 1, "3-1", "4-0")}},
		"deleted last":                {[]func(*scene){del("10-0")}, []stream.Loss{loss(deleted, true, 1, "3-1", "10-0")}},
		"deleted all":                 {[]func(*scene){del("4-0", "5-0", "6-0", "7-0", "8-0", "9-0", "10-0")}, []stream.Loss{loss(deleted, true, 7, "3-1", "10-0")}},
		"deleted behind":              {[]func(*scene){del("1-0", "3-0")}, nil},
		"deleted behind and trimmed":  {[]func(*scene){del("2-0"), trim("6-0")}, []stream.Loss{loss(trimmed, true, 2, "3-1", "5"+maxSeq)}},
		"deleted, then read past":     {[]func(*scene){del("5-0"), readOn(3)}, []stream.Loss{loss(deleted, false, 1, "3-1", "5-0")}},
		"deleted, then read to end":   {[]func(*scene){del("5-0", "6-0"), readOn(100)}, []stream.Loss{loss(deleted, false, 2, "3-1", "6-0")}},
		"read, then deleted behind":   {[]func(*scene){readOn(100), del("5-0")}, []stream.Loss{loss(deleted, false, 1, "3-1", "5-0")}},
		"read, then deleted ahead":    {[]func(*scene){readOn(1), del("6-0")}, []stream.Loss{loss(deleted, true, 1, "3-1", "6-0")}},
		"deleted and trimmed":         {[]func(*scene){del("8-0"), trim("6-0")}, []stream.Loss{loss(deleted, true, 3, "3-1", "8-0")}},
		"added meanwhile and deleted": {[]func(*scene){add(11, 14), del("12-0")}, []stream.Loss{loss(deleted, true, 1, "3-1", "12-0")}},
		"set back by hand":            {[]func(*scene){setBack}, nil},
		"set back by hand, trimmed":   {[]func(*scene){setBack, trim("3-0")}, []stream.Loss{loss(trimmed, false, -1, "1-1", "2"+maxSeq)}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			s.add(1, 10)
			g := s.group(redisstream.Start{})
			ensure(t, g)
			src := g.Source("a", g.Epoch())
			t.Cleanup(func() { _ = src.Close() })
			s.take(src, 3)
			if got := told(t, g); len(got) > 0 {
				t.Fatalf("lost %+v before anything is gone", got)
			}
			for _, step := range test.steps {
				step(s)
			}
			other := open(t, s.server).Group(config()) // another process, or the next one
			if diff := cmp.Diff(test.want, told(t, other), sameLoss); diff != "" {
				t.Fatalf("(-want +got):\n%s", diff)
			}
			none := func() {
				t.Helper()
				if got := append(told(t, g), told(t, other)...); len(got) > 0 {
					t.Fatalf("lost %+v, want nothing more", got)
				}
			}
			none()
			// The group catches up; later trims of what it has read are no loss,
			// and the lag is right.
			readOn(100)(s)
			none()
			s.add(101, 110)
			readOn(5)(s)
			none()
			readOn(100)(s)
			s.do("XTRIM", key, "MINID", "109-0")
			none()
			s.add(111, 112)
			info, err := g.Info(t.Context())
			if err != nil || !info.LagKnown || info.Lag != 2 {
				t.Fatalf("lag %d, known %v, %v, want 2", info.Lag, info.LagKnown, err)
			}
			s.do("XTRIM", key, "MAXLEN", 0)
			if diff := cmp.Diff([]stream.Loss{loss(trimmed, true, 2, "110-1", "112-0")}, told(t, g), sameLoss); diff != "" {
				t.Fatalf("(-want +got):\n%s", diff)
			}
		})
	}
}

// Redis stops to count what a group reads before a hole. What is trimmed later is
// certain all the same.
func TestLossesAfterAHole(t *testing.T) {
	t.Parallel()
	for name, ahead := range map[string]bool{"beyond it": false, "before it, at rest": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			g := s.group(redisstream.Start{})
			ensure(t, g)
			s.add(1, 30)
			readOn := func(n int) { s.do("XREADGROUP", "GROUP", group, "b", "COUNT", n, "STREAMS", key, ">") }
			readOn(3)
			told(t, g)
			s.do("XDEL", key, "10-0", "12-0")
			told(t, g)
			readOn(4)
			at := 7
			if !ahead {
				readOn(10)
				at = 19
			}
			told(t, g)
			if got := told(t, g); len(got) > 0 {
				t.Fatalf("lost %+v, want nothing more", got)
			}
			if !ahead {
				if info, err := g.Info(t.Context()); err != nil || !info.LagKnown || info.Lag != 11 {
					t.Fatalf("lag %d, known %v, %v, want 11", info.Lag, info.LagKnown, err)
				}
			}
			s.do("XTRIM", key, "MINID", fmt.Sprint(at+3, "-0"))
			want := []stream.Loss{loss(stream.LossTrimmed, true, 2, fmt.Sprint(at, "-1"), fmt.Sprint(at+2, maxSeq))}
			if ahead { // the two deleted ones are between
				want[0].Last = idOf("12-0")
			}
			if diff := cmp.Diff(want, told(t, g), sameLoss); diff != "" {
				t.Fatalf("(-want +got):\n%s", diff)
			}
		})
	}
}

// A server that was started again has a wrong number of entries that were read.
// What is trimmed then is certain all the same, and what was read is no loss.
func TestLossesAfterARestart(t *testing.T) {
	t.Parallel()
	for name, read := range map[string]int{"behind": 20, "at the end": 30} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t, redistest.WithPersistence())
			s := &scene{T: t, server: server, client: open(t, server), store: &memoryStore{}}
			g := s.group(redisstream.Start{})
			ensure(t, g)
			s.add(1, 30)
			s.do("XREADGROUP", "GROUP", group, "b", "COUNT", read, "STREAMS", key, ">")
			told(t, g)
			server.Kill(t)
			server.Restart(t)
			told(t, g)
			if info, err := g.Info(t.Context()); err != nil || !info.LagKnown || info.Lag != int64(30-read) {
				t.Errorf("lag %d, known %v, %v, want %d", info.Lag, info.LagKnown, err, 30-read)
			}
			s.add(31, 40)
			s.do("XREADGROUP", "GROUP", group, "b", "COUNT", 3, "STREAMS", key, ">")
			s.do("XTRIM", key, "MINID", "36-0")
			got := told(t, g)
			if len(got) != 1 || !got[0].Certain || got[0].Entries != int64(35-read-3) {
				t.Errorf("lost %+v, want %d for certain", got, 35-read-3)
			}
		})
	}
}

// A group that was made by hand, without entries-read, may have lost something:
// that is told once.
func TestLossesUnknown(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.add(1, 10)
	s.do("XTRIM", key, "MINID", "6-0")
	s.do("XGROUP", "CREATE", key, group, "0")
	g := s.group(redisstream.Start{})
	if diff := cmp.Diff([]stream.Loss{loss(stream.LossTrimmed, false, -1, "0-1", "5"+maxSeq)}, told(t, g), sameLoss); diff != "" {
		t.Fatalf("(-want +got):\n%s", diff)
	}
	if got := told(t, g); len(got) > 0 {
		t.Fatalf("lost %+v, want nothing more", got)
	}
}

// Where Redis does not know how many a group has read, what was counted once
// tells of what is lost later.
func TestLossesBeforeAHole(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.add(1, 10)
	s.do("XDEL", key, "8-0")
	s.do("XGROUP", "CREATE", key, group, "3-0")
	g := s.group(redisstream.Start{})
	if got := told(t, g); len(got) > 0 {
		t.Fatalf("lost %+v before the group was there", got)
	}
	s.do("XDEL", key, "6-0")
	if diff := cmp.Diff([]stream.Loss{loss(stream.LossDeleted, true, 1, "3-1", "8-0")}, told(t, g), sameLoss); diff != "" {
		t.Fatalf("(-want +got):\n%s", diff)
	}
}

// A group that is far behind is told the least that is lost at once, and the
// rest when it can be counted.
func TestLossesOfAGroupFarBehind(t *testing.T) {
	t.Parallel()
	const many = 22_000
	s := newScene(t)
	pipe := s.server.Client().Pipeline()
	for i := 1; i <= many; i++ {
		pipe.Do(t.Context(), "XADD", key, fmt.Sprint(i, "-0"), "a", "b")
	}
	if _, err := pipe.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	g := s.group(redisstream.Start{})
	ensure(t, g)
	src := g.Source("a", g.Epoch())
	t.Cleanup(func() { _ = src.Close() })
	s.take(src, 3)
	told(t, g)
	s.do("XTRIM", key, "MINID", "101-0")
	s.do("XREADGROUP", "GROUP", group, "b", "COUNT", 10, "STREAMS", key, ">")
	// 97 are gone; the group has read ten beyond, and the first is told of 97-9.
	if got := told(t, g); len(got) != 1 || !got[0].Certain || got[0].Entries != 88 {
		t.Fatalf("lost %+v, want 88 for the present", got)
	}
	s.do("XREADGROUP", "GROUP", group, "b", "COUNT", many, "STREAMS", key, ">")
	s.do("HDEL", "{events}:fanout:losses:g", "again") // its time has come
	if diff := cmp.Diff([]stream.Loss{loss(stream.LossTrimmed, true, 9, "3-1", "100"+maxSeq)}, told(t, g), sameLoss); diff != "" {
		t.Fatalf("(-want +got):\n%s", diff)
	}
}

// Entries of many bytes are not fetched to be counted.
func TestLossesAmongGreatEntries(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	g := s.group(redisstream.Start{})
	ensure(t, g)
	great := string(make([]byte, 2<<20))
	for i := range 40 {
		s.do("XADD", key, fmt.Sprint(i+1, "-0"), "a", great)
	}
	src := g.Source("a", g.Epoch())
	t.Cleanup(func() { _ = src.Close() })
	s.take(src, 1)
	told(t, g)
	s.do("XDEL", key, "30-0")
	if got := told(t, g); len(got) != 1 || got[0].Certain || got[0].Entries != 1 {
		t.Fatalf("lost %+v, want 1 at most", got)
	}
}

// Losses that may be none are told with those of the next minute.
func TestPossibleLossesAreToldOnceAMinute(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.add(1, 3)
	g := s.group(redisstream.Start{})
	ensure(t, g)
	told(t, g)
	readAndDelete := func(id string) {
		s.do("XREADGROUP", "GROUP", group, "b", "STREAMS", key, ">")
		s.do("XDEL", key, id)
	}
	readAndDelete("2-0")
	if got := told(t, g); len(got) != 1 || got[0].Certain {
		t.Fatalf("lost %+v, want one that is possible", got)
	}
	for i := 4; i < 9; i++ {
		s.add(i, i)
		readAndDelete(fmt.Sprint(i, "-0"))
		if got := told(t, g); len(got) > 0 {
			t.Fatalf("lost %+v, want nothing yet", got)
		}
	}
	s.do("HSET", "{events}:fanout:losses:g", "doubt", 0) // a minute later
	if diff := cmp.Diff([]stream.Loss{loss(stream.LossDeleted, false, 5, "3-1", "8-0")}, told(t, g), sameLoss); diff != "" {
		t.Fatalf("(-want +got):\n%s", diff)
	}
}

// Who ends before it has told is stood in for, and a reply that was lost costs
// nothing.
func TestLossesAreTold(t *testing.T) {
	t.Parallel()
	const book = "{events}:fanout:losses:g"
	s := newScene(t)
	s.add(1, 10)
	g := s.group(redisstream.Start{})
	ensure(t, g)
	told(t, g)
	s.do("XTRIM", key, "MINID", "6-0")
	if got := told(t, g); len(got) != 1 {
		t.Fatalf("lost %+v", got)
	}
	var id string
	for field := range s.do("HGETALL", book).(map[any]any) {
		if text := field.(string); len(text) > 5 && text[:5] == "loss:" {
			id = text[5:]
		}
	}
	s.do("HSET", book, "tell:"+id, fmt.Sprint("somebody ", time.Now().UnixMilli()))
	if got := told(t, g); len(got) > 0 {
		t.Fatalf("told %+v, another is about to", got)
	}
	s.do("HSET", book, "tell:"+id, fmt.Sprint("somebody ", time.Now().Add(-time.Minute).UnixMilli()))
	if got := told(t, g); len(got) != 1 || got[0].Entries != 5 {
		t.Fatalf("told %+v, want that of a process that has ended", got)
	}
	if got := told(t, g); len(got) > 0 {
		t.Fatalf("told %+v again", got)
	}
}

// What a process has noted that has ended since is told by another, and the last
// 16 losses are kept.
func TestLossesAreKept(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	g := s.group(redisstream.Start{})
	ensure(t, g)
	at := time.Now().Add(-time.Hour).Truncate(time.Millisecond)
	for i := range 20 {
		// As somebody has noted it who has ended since.
		text := fmt.Sprintf(`{"reason": "deleted", "certain": true, "entries": %d, "first": "%d-0", "last": "%d-0", "at": %d, "note": "it was \"pending\""}`,
			i, i+1, i+2, at.Add(time.Duration(i)*time.Second).UnixMilli())
		s.do("HSET", "{events}:fanout:losses:g", fmt.Sprint("gone:", i), text)
		n := 0
		if _, err := g.Losses(t.Context(), func(stream.Loss) { n++ }); err != nil || n != 1 {
			t.Fatalf("told %d times, %v", n, err)
		}
	}
	recent, err := open(t, s.server).Group(config()).Losses(t.Context(), nil)
	if err != nil || len(recent) != 16 {
		t.Fatalf("%d are kept, %v, want 16", len(recent), err)
	}
	for i, l := range recent {
		want := loss(stream.LossDeleted, true, int64(i+4), fmt.Sprint(i+5), fmt.Sprint(i+6))
		want.At, want.Note = at.Add(time.Duration(i+4)*time.Second), "it was \"pending\""
		if diff := cmp.Diff(want, l); diff != "" {
			t.Fatalf("loss %d (-want +got):\n%s", i, diff)
		}
	}
	s.do("HSET", "{events}:fanout:losses:g", "loss:of somebody", "{torn", "loss:", "17", "at", "?", "removed", "", "again", "x", "doubt", "-", "tell:", "", "gone:", "x", "gone:x", "{}")
	if recent, err := g.Losses(t.Context(), nil); err != nil || len(recent) != 16 {
		t.Fatalf("%d are kept beside what is not ours, %v, want 16", len(recent), err)
	} else if known, err := g.KnownLosses(t.Context()); err != nil || !cmp.Equal(recent, known) {
		t.Fatalf("known are %+v, %v, want %+v", known, err, recent)
	}
}

// What has vanished while it was pending is told by who has found it, as one loss.
func TestVanished(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	g, other := s.group(redisstream.Start{}), open(t, s.server).Group(config())
	ensure(t, g)
	s.add(1, 9)
	a, b := g.Source("a", g.Epoch()), g.Source("b", g.Epoch())
	t.Cleanup(func() { _, _ = a.Close(), b.Close() })
	s.take(a, 6)
	told(t, g)
	s.do("XDEL", key, "2-0", "3-0", "5-0")
	if page, err := a.Own(t.Context(), idOf("2-0"), 10); err != nil || len(page.Vanished) != 2 {
		t.Fatalf("page %+v, %v, want two vanished", page, err)
	}
	if page, err := b.Claim(t.Context(), stream.ID{}, 0, 10); err != nil || len(page.Vanished) != 1 {
		t.Fatalf("page %+v, %v, want one vanished", page, err)
	}
	if got := told(t, other); len(got) > 0 {
		t.Fatalf("another process has told %+v", got)
	}
	for _, want := range [][]stream.Loss{{loss(stream.LossDeleted, true, 3, "2-0", "5-0")}, nil} {
		if diff := cmp.Diff(want, told(t, g), sameLoss); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
	}
}

// Entries that a trim took while they were pending are told as trimmed, beside
// those that were deleted one by one.
func TestVanishedByTrim(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		cut  func(*scene)
		want []stream.Loss
	}{
		"trimmed":            {func(s *scene) { s.do("XTRIM", key, "MINID", "4-0") }, []stream.Loss{loss(stream.LossTrimmed, true, 3, "1-0", "3-0")}},
		"trimmed to nothing": {func(s *scene) { s.do("XTRIM", key, "MAXLEN", "0") }, []stream.Loss{loss(stream.LossTrimmed, true, 6, "1-0", "6-0")}},
		"the first deleted":  {func(s *scene) { s.do("XDEL", key, "1-0") }, []stream.Loss{loss(stream.LossDeleted, true, 1, "1-0", "1-0")}},
		"deleted and trimmed": {
			func(s *scene) { s.do("XDEL", key, "1-0"); s.do("XTRIM", key, "MINID", "3-0") },
			[]stream.Loss{loss(stream.LossDeleted, true, 1, "1-0", "1-0"), loss(stream.LossTrimmed, true, 1, "2-0", "2-0")},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			g := s.group(redisstream.Start{})
			ensure(t, g)
			s.add(1, 6)
			a := g.Source("a", g.Epoch())
			t.Cleanup(func() { _ = a.Close() })
			s.take(a, 6)
			told(t, g)
			test.cut(s)
			if _, err := a.Own(t.Context(), stream.ID{}, 10); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, told(t, g), sameLoss); diff != "" {
				t.Fatalf("(-want +got):\n%s", diff)
			}
		})
	}
}

// A server that came back with an older state has lost what it had confirmed.
func TestRolledBack(t *testing.T) {
	t.Parallel()
	back := func(s *scene, again func()) {
		// The same stream without its last entries: Redis keeps the greatest ID
		// that was ever given only as long as it knows it.
		s.do("COPY", key, "copy")
		s.add(4, 8)
		again()
		s.do("RENAME", "copy", key)
	}
	tests := map[string]struct {
		then func(*scene)
		want []stream.Loss
	}{
		"at once":              {func(*scene) {}, []stream.Loss{loss(stream.LossRolledBack, false, -1, "3-1", "8-0")}},
		"after more was added": {func(s *scene) { s.add(20, 30) }, []stream.Loss{loss(stream.LossRolledBack, false, -1, "3-1", "19"+maxSeq)}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			s.add(1, 3)
			g, other := s.group(redisstream.Start{}), open(t, s.server).Group(config())
			ensure(t, g)
			told(t, g)
			back(s, func() { told(t, g); told(t, other) })
			test.then(s)
			if diff := cmp.Diff(test.want, told(t, g), sameLoss); diff != "" {
				t.Fatalf("(-want +got):\n%s", diff)
			}
			if got := append(told(t, other), told(t, g)...); len(got) > 0 {
				t.Fatalf("told %+v again", got)
			}
		})
	}
}
