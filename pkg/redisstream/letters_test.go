package redisstream_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"example.com/fanout/pkg/deadletter"
	"example.com/fanout/pkg/redisstream"
	"example.com/fanout/pkg/stream"
)

func (y graveyard) purge(force bool, ids ...stream.ID) redisstream.Purged {
	y.t.Helper()
	p, err := y.g.Purge(y.t.Context(), ids, force)
	if err != nil {
		y.t.Fatal(err)
	}
	return p
}

func idsOf(letters []redisstream.Letter) []stream.ID {
	ids := make([]stream.ID, len(letters))
	for i, l := range letters {
		ids[i] = l.ID
	}
	return ids
}

func TestLettersInPages(t *testing.T) {
	t.Parallel()
	y := newGraveyard(t, nil)
	if got := y.letters(); len(got) != 0 {
		t.Fatalf("letters of a stream that is not there: %v", got)
	}
	var want []stream.ID
	for i := range 230 {
		if i == 100 {
			y.srv.Do(t, "XADD", dead, "*", "event", strings.Repeat("x", 6<<20)) // larger than a page
			continue
		}
		y.srv.Do(t, "XADD", dead, "*", "letter", fmt.Sprintf(`{"stream":"events","group":"g","id":"1-%d"}`, i+1), "event", "{}")
	}
	for _, l := range y.letters() {
		want = append(want, l.ID)
		if foreign := l.Err != nil; foreign != (len(want) == 101) || foreign != errors.Is(l.Err, deadletter.ErrNotLetter) {
			t.Errorf("letter %d: %+v", len(want), l)
		}
	}
	if len(want) != 230 || !slices.IsSortedFunc(want, stream.ID.Compare) {
		t.Fatalf("%d letters in order %v, want 230", len(want), want)
	}
	for _, max := range []int{1, 7, 1000} {
		var got []stream.ID
		from := want[10]
		for done := false; !done; {
			page, end, err := y.g.Letters(t.Context(), from, want[200], max)
			if err != nil || len(page) > max || len(page) == 0 && !end {
				t.Fatalf("a page of %d, done %v, %v", len(page), end, err)
			}
			got, done = append(got, idsOf(page)...), end
			if len(page) > 0 {
				from = page[len(page)-1].ID.Next()
			}
		}
		if !slices.Equal(got, want[10:201]) {
			t.Errorf("pages of %d: %d letters, want %d", max, len(got), 191)
		}
	}
}

func TestLetterWithAllFields(t *testing.T) {
	t.Parallel()
	y := newGraveyard(t, nil)
	entry, id := y.bury("event", "\x00\xff", "event", "2")
	l, raw, err := y.g.Letter(t.Context(), id)
	if err != nil || l.Err != nil {
		t.Fatal(err, l.Err)
	}
	if f := l.Head.Entry.Fields; l.Head.ID != entry || len(f) != 2 || string(f[0].Value) != "\x00\xff" || len(raw.Fields) != 3 {
		t.Errorf("letter %+v", l.Head.Letter)
	}
	if l.Size != int64(raw.Size()) || l.Size != y.letters()[0].Size {
		t.Errorf("size %d, in the list %d, want %d", l.Size, y.letters()[0].Size, raw.Size())
	}
	if _, _, err := y.g.Letter(t.Context(), id.Next()); !errors.Is(err, redisstream.ErrNoLetter) {
		t.Errorf("a letter that is not there: %v", err)
	}
	foreign := parseID(t, y.srv.Do(t, "XADD", dead, "*", "a", "b"))
	l, raw, err = y.g.Letter(t.Context(), foreign)
	if err != nil || !errors.Is(l.Err, deadletter.ErrNotLetter) || len(raw.Fields) != 1 {
		t.Errorf("a foreign entry: %+v, %v, %v", l, raw, err)
	}
	if _, err := y.g.Replay(t.Context(), []redisstream.Letter{l}); !errors.Is(err, deadletter.ErrNotLetter) {
		t.Errorf("replay of a foreign entry: %v", err)
	}
}

func TestPurge(t *testing.T) {
	t.Parallel()
	y := newGraveyard(t, nil)
	for range 3 {
		y.bury("event", "1")
	}
	all := y.letters()
	y.replay(all[1])
	ids := append(idsOf(all), stream.ID{Ms: 1})
	if p := y.purge(false, ids...); p != (redisstream.Purged{Deleted: 2, Replaying: 1, Gone: 1}) {
		t.Errorf("purged %+v", p)
	}
	if rest := y.letters(); len(rest) != 1 || rest[0].ID != ids[1] {
		t.Fatalf("left %+v", rest)
	}

	d := y.read("a-replay")[0]
	if p := y.purge(true, ids[1]); p != (redisstream.Purged{Deleted: 1}) {
		t.Errorf("purged %+v with its replay", p)
	}
	src := y.g.ReplaySource("a-replay")
	if lost, err := src.Hold(t.Context(), []stream.Hold{{Ref: d.Ref, Count: stream.KeepCount}}); len(lost) != 1 || err != nil {
		t.Errorf("the replay is still held: %v, %v", lost, err)
	}
	if n, err := src.Ack(t.Context(), nil, []stream.ID{d.Ref}); n != 0 || err != nil {
		t.Errorf("acked %d, %v", n, err)
	}
	for _, k := range []string{dead, replays} {
		if n := y.srv.Do(t, "XLEN", k); n != int64(0) {
			t.Errorf("%s still has %v entries", k, n)
		}
	}
}

// Where the oldest are dropped a burial never holds, and says how many went.
func TestDropOldest(t *testing.T) {
	t.Parallel()
	var dropped int64
	y := newGraveyard(t, func(c *redisstream.GroupConfig) {
		c.MaxDeadLetters, c.DropOldest = 2, true
		c.Dropped = func(n int64) { dropped += n }
	})
	var ids []stream.ID
	for range 5 {
		_, id := y.bury("event", "1")
		ids = append(ids, id)
	}
	if got := idsOf(y.letters()); !slices.Equal(got, ids[3:]) || dropped != 3 {
		t.Errorf("letters %v and %d dropped, want %v and 3", got, dropped, ids[3:])
	}

	// A limit that was lowered costs more than one; a replay replaces its own.
	for range 4 {
		y.srv.Do(t, "XADD", dead, "*", "letter", `{"stream":"events","group":"g","id":"1-1"}`)
	}
	dropped = 0
	last := y.letters()[5]
	y.replay(last)
	d := y.read("a-replay")[0]
	if b, err := y.g.ReplaySource("a-replay").Bury(t.Context(), d.Ref, letterFor(d, "again")); b != stream.Buried || err != nil {
		t.Fatalf("bury: %v, %v", b, err)
	}
	if n := len(y.letters()); n != 6 || dropped != 0 {
		t.Errorf("%d letters and %d dropped after a replay failed, want 6 and 0", n, dropped)
	}
	y.bury("event", "1")
	if n := len(y.letters()); n != 2 || dropped != 5 {
		t.Errorf("%d letters and %d dropped, want 2 and 5", n, dropped)
	}
}
