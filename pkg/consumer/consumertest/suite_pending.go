package consumertest

import (
	"testing"
	"time"

	"example.com/fanout/pkg/stream"
)

var ownCases = []sourceCase{
	{"own lists this consumer's pending entries in order", ownPages},
	{"own neither counts nor touches", ownIsQuiet},
	{"own lists entries without data as vanished", ownVanished},
	{"own of nothing is done", ownNothing},
}

var claimCases = []sourceCase{
	{"claim takes over what is idle", claimIdle},
	{"claim leaves what is not idle", claimFresh},
	{"claim goes on over many entries that are not idle", claimCursor},
	{"claim takes this consumer's own idle entries too", claimOwn},
	{"claim reports entries without data as vanished", claimVanished},
}

func ownPages(t *testing.T, r *rig) {
	ids := r.add(20)
	a, b := r.open("a"), r.open("b")
	var mine []stream.ID
	for i := range ids { // in turn, so that pages have to leave some out
		src := a
		if i%2 == 1 {
			src = b
		}
		got, err := Take(r.ctx(), src, 1, 0)
		if err != nil || len(got) != 1 {
			t.Fatalf("read: %d deliveries and error %v, want 1", len(got), err)
		}
		if src == a {
			mine = append(mine, got[0].Ref)
		}
	}
	for _, limit := range []int{1, 3, 5, 10, 100} {
		page := r.own(a, limit)
		r.wantIDs("own", refs(page.Deliveries), mine)
		for _, d := range page.Deliveries {
			if d.Origin != stream.Own || d.Count != 1 || d.ID != d.Ref {
				t.Errorf("%s: ref %s, origin %s, count %d, want the same, own, 1", d.ID, d.Ref, d.Origin, d.Count)
			}
			wantFields(t, d.Entry, []string{"event", "{}"})
		}
	}
	page, err := a.Own(r.ctx(), mine[3], 3)
	if err != nil {
		t.Fatalf("own: %v", err)
	}
	r.wantIDs("own after the fourth", refs(page.Deliveries), mine[4:7])
	// A consumer of the same name sees what its predecessor left.
	r.wantIDs("own of a successor", refs(r.own(r.open("a"), 100).Deliveries), mine)
}

func ownIsQuiet(t *testing.T, r *rig) {
	const wait = 50 * time.Millisecond
	src := r.open("a")
	ids := r.add(5)
	r.read(src)
	r.Wait(wait)
	for range 3 {
		r.own(src, 2)
	}
	for _, p := range r.Pending() {
		if p.Count != 1 {
			t.Errorf("%s: count %d after own, want 1", p.ID, p.Count)
		}
		if p.Idle < wait-clocks {
			t.Errorf("%s: idle for %s after own, want at least %s", p.ID, p.Idle, wait)
		}
	}
	r.hold(src, stream.Hold{Ref: ids[2], Count: 7})
	for i, d := range r.own(src, 100).Deliveries {
		if want := []int64{1, 1, 7, 1, 1}[i]; d.Count != want {
			t.Errorf("%s: count %d, want %d", d.Ref, d.Count, want)
		}
	}
}

func ownVanished(t *testing.T, r *rig) {
	ids := r.add(8)
	src := r.open("a")
	r.read(src)
	r.Delete(ids[0], ids[3], ids[4], ids[7])
	page := r.own(src, 3)
	r.wantIDs("own", refs(page.Deliveries), []stream.ID{ids[1], ids[2], ids[5], ids[6]})
	r.wantIDs("vanished", sorted(page.Vanished), []stream.ID{ids[0], ids[3], ids[4], ids[7]})
	r.wantPending("a", ids[1], ids[2], ids[5], ids[6])
	if again := r.own(src, 3); len(again.Vanished) > 0 {
		t.Errorf("%v vanished twice", again.Vanished)
	}
	r.Delete(ids...)
	page = r.own(src, 2)
	r.wantIDs("vanished at last", sorted(page.Vanished), []stream.ID{ids[1], ids[2], ids[5], ids[6]})
	if n := len(page.Deliveries) + len(r.Pending()); n > 0 {
		t.Errorf("%d entries without data delivered or pending", n)
	}
}

func ownNothing(t *testing.T, r *rig) {
	src := r.open("a")
	r.add(3)
	r.read(r.open("b"))
	page, err := src.Own(r.ctx(), stream.ID{}, 10)
	if err != nil || !page.Done || len(page.Deliveries) > 0 || len(page.Vanished) > 0 {
		t.Errorf("own: %+v and error %v, want nothing, done", page, err)
	}
}

func claimIdle(t *testing.T, r *rig) {
	ids := r.add(10)
	a, b := r.open("a"), r.open("b")
	r.read(a)
	r.hold(a, stream.Hold{Ref: ids[2], Count: 4})
	r.letIdle()
	begin := time.Now()
	page := r.claim(b, r.MinIdle(), 3)
	r.wantIDs("claimed", refs(page.Deliveries), ids)
	r.wantPending("b", ids...)
	for i, d := range page.Deliveries {
		want := int64(1)
		if i == 2 {
			want = 4
		}
		if d.Origin != stream.Claimed || d.Count != want || d.ID != d.Ref {
			t.Errorf("%s: ref %s, origin %s, count %d, want the same, claimed, %d", d.ID, d.Ref, d.Origin, d.Count, want)
		}
		if d.Stream == "" || d.Epoch == "" {
			t.Errorf("%s: without stream or epoch", d.ID)
		}
		wantFields(t, d.Entry, []string{"event", "{}"})
		r.wantTouched(d.Ref, begin)
		if p := r.entry(d.Ref); p.Count != want {
			t.Errorf("%s: count %d in the pending list, want %d", d.Ref, p.Count, want)
		}
	}
}

func claimFresh(t *testing.T, r *rig) {
	ids := r.add(5)
	a, b := r.open("a"), r.open("b")
	r.read(a)
	r.free(a, ids[1], ids[3])
	r.wantIDs("claimed", refs(r.claim(b, time.Hour, 10).Deliveries), []stream.ID{ids[1], ids[3]})
	r.wantIDs("claimed again", refs(r.claim(b, time.Hour, 10).Deliveries), nil)
	r.wantPending("a", ids[0], ids[2], ids[4])
	r.wantPending("b", ids[1], ids[3])
}

func claimCursor(t *testing.T, r *rig) {
	ids := r.add(130)
	a, b := r.open("a"), r.open("b")
	r.read(a)
	free := []stream.ID{ids[0], ids[127], ids[128], ids[129]}
	r.free(a, free...)
	r.wantIDs("claimed", refs(r.claim(b, time.Hour, 2).Deliveries), free)
	r.free(b, free...)
	page, err := b.Claim(r.ctx(), ids[128], time.Hour, 10)
	if err != nil || !page.Done {
		t.Fatalf("claim: %+v and error %v, want done", page, err)
	}
	r.wantIDs("claimed from a cursor on", refs(page.Deliveries), free[2:])
}

func claimOwn(t *testing.T, r *rig) {
	ids := r.add(4)
	src := r.open("a")
	r.read(src)
	r.letIdle()
	begin := time.Now()
	r.wantIDs("claimed", refs(r.claim(src, r.MinIdle(), 10).Deliveries), ids)
	for _, id := range ids {
		r.wantTouched(id, begin)
	}
	r.wantPending("a", ids...)
}

func claimVanished(t *testing.T, r *rig) {
	ids := r.add(6)
	a, b := r.open("a"), r.open("b")
	r.read(a)
	r.free(a, ids...)
	gone := []stream.ID{ids[0], ids[3], ids[5]}
	rest := []stream.ID{ids[1], ids[2], ids[4]}
	r.Delete(gone...)
	page := r.claim(b, time.Hour, 2)
	r.wantIDs("claimed", refs(page.Deliveries), rest)
	r.wantIDs("vanished", sorted(page.Vanished), gone)
	r.wantPending("a")
	r.wantPending("b", rest...)
}
