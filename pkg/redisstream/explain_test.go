package redisstream_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"example.com/fanout/pkg/redisstream"
	"example.com/fanout/pkg/stream"
)

func TestEntry(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	none, err := s.client.Entry(t.Context(), key, stream.ID{Ms: 1})
	if err != nil || none.There || len(none.Groups) > 0 {
		t.Errorf("without a stream: %+v, %v", none, err)
	}
	s.add(1, 10)
	g := s.group(redisstream.Start{})
	ensure(t, g)
	s.read(g, 6, 2)
	s.do("XGROUP", "CREATE", key, "behind", "1-0")
	s.do("XDEL", key, "4-0")
	for id, want := range map[uint64]redisstream.Entry{
		2: {There: true, Groups: []redisstream.EntryInGroup{{Group: "behind"}, {Group: group}}},
		3: {There: true, Groups: []redisstream.EntryInGroup{{Group: "behind"}, {Group: group, Consumer: "host-0", Deliveries: 1}}},
		4: {Groups: []redisstream.EntryInGroup{{Group: "behind"}, {Group: group, Consumer: "host-0", Deliveries: 1}}},
		9: {There: true, Groups: []redisstream.EntryInGroup{{Group: "behind"}, {Group: group}}},
	} {
		want.Gone, want.First, want.LastGenerated = 1, stream.ID{Ms: 1}, stream.ID{Ms: 10}
		want.Groups[0].LastDelivered, want.Groups[1].LastDelivered = stream.ID{Ms: 1}, stream.ID{Ms: 6}
		got, err := s.client.Entry(t.Context(), key, stream.ID{Ms: id})
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(redisstream.EntryInGroup{}, "Idle")); diff != "" || err != nil {
			t.Errorf("entry %d: %v (-want +got):\n%s", id, err, diff)
		}
	}
}

// TestLetterOf finds the last letter of an entry and no other, however many
// there are.
func TestLetterOf(t *testing.T) {
	t.Parallel()
	y := newGraveyard(t, nil)
	for range 300 {
		y.srv.Do(t, "XADD", dead, "*", "letter", `{"stream":"events","id":"7-7","group":"g","error":"not about 1-1"}`)
	}
	wanted, letter := y.bury("event", "{}")
	y.srv.Do(t, "XADD", dead, "*", "letter", fmt.Sprintf(`{"stream":"other","id":"%s","group":"g"}`, wanted))
	y.srv.Do(t, "XADD", dead, "*", "foreign", fmt.Sprintf(`"%s"`, wanted))
	l, found, all, err := y.g.LetterOf(t.Context(), wanted)
	if err != nil || !found || !all || l.ID != letter || l.Replaying || l.Head.ID != wanted {
		t.Errorf("letter %+v, found %v, all %v, %v, want %s", l, found, all, err, letter)
	}
	if _, err := y.g.Replay(t.Context(), y.letters()[300:301]); err != nil {
		t.Fatal(err)
	}
	if l, _, _, err := y.g.LetterOf(t.Context(), wanted); err != nil || !l.Replaying {
		t.Errorf("replaying %v, %v", l.Replaying, err)
	}
	if l, found, all, err := y.g.LetterOf(t.Context(), stream.ID{Ms: 1, Seq: 1}); err != nil || found || !all {
		t.Errorf("an entry that was not buried: %+v, %v, %v, %v", l, found, all, err)
	}
}

func TestPendingList(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.add(1, 10)
	g := s.group(redisstream.Start{})
	ensure(t, g)
	empty, err := g.PendingTotals(t.Context())
	if err != nil || empty.Entries != 0 || len(empty.Consumers) > 0 {
		t.Errorf("nothing pending: %+v, %v", empty, err)
	}
	s.read(g, 6, 2)
	s.do("XCLAIM", key, group, "b", 0, "4-0", "5-0", "IDLE", 3_600_000, "RETRYCOUNT", 7)
	totals, err := g.PendingTotals(t.Context())
	want := redisstream.PendingTotals{
		Entries: 4, Oldest: stream.ID{Ms: 3}, Newest: stream.ID{Ms: 6},
		Consumers: []redisstream.PendingOfName{{Consumer: "b", Entries: 2}, {Consumer: "host-0", Entries: 2}},
	}
	if diff := cmp.Diff(want, totals); diff != "" || err != nil {
		t.Errorf("totals: %v (-want +got):\n%s", err, diff)
	}
	for _, tt := range []struct {
		consumer string
		minIdle  time.Duration
		pages    string // of at most 2
	}{
		{"", 0, "[3-0 4-0] [5-0 6-0] []"},
		{"b", 0, "[4-0 5-0] []"},
		{"host-0", 0, "[3-0 6-0] []"},
		{"", time.Minute, "[4-0 5-0] []"},
		{"host-0", time.Minute, "[]"},
		{"nobody", 0, "[]"},
	} {
		var pages []string
		for after, done := (stream.ID{}), false; !done; {
			var page []redisstream.PendingEntry
			var err error
			if page, after, done, err = g.PendingPage(t.Context(), after, tt.consumer, tt.minIdle, 2); err != nil {
				t.Fatal(err)
			}
			ids := []stream.ID{}
			for _, p := range page {
				ids = append(ids, p.ID)
				if p.Consumer == "b" && (p.Deliveries != 7 || p.Idle < time.Hour) {
					t.Errorf("entry %+v", p)
				}
			}
			pages = append(pages, fmt.Sprint(ids))
		}
		if got := fmt.Sprint(pages); got != "["+tt.pages+"]" {
			t.Errorf("%q idle for %v: %s, want %s", tt.consumer, tt.minIdle, got, tt.pages)
		}
	}
}
