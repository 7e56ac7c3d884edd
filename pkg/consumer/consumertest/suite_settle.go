package consumertest

import (
	"testing"
	"time"

	"example.com/fanout/pkg/stream"
)

var ackCases = []sourceCase{
	{"ack acknowledges all when the probes are fresh", ackFresh},
	{"ack acknowledges only this consumer's own", ackForeign},
	{"ack of what is not pending acknowledges nothing", ackUnknown},
	{"ack of entries without data", ackVanished},
	{"ack of 9000 entries in one call", ackMany},
}

var holdCases = []sourceCase{
	{"hold touches", holdTouch},
	{"hold sets the count", holdCount},
	{"hold frees for anybody at once", holdFree},
	{"hold returns what is not ours and leaves it", holdLost},
	{"hold leaves an entry without data", holdVanished},
	{"hold of 9000 entries in one call", holdMany},
}

func ackFresh(t *testing.T, r *rig) {
	ids := r.add(8)
	src := r.open("a")
	r.read(src)
	if n := r.ack(src, ids[1], ids[3], ids[1], ids[4]); n != 3 {
		t.Errorf("acked %d, want 3", n)
	}
	if n := r.ackProbes(src, []stream.ID{ids[6], ids[5]}, []stream.ID{ids[5], ids[6], ids[7]}); n != 3 {
		t.Errorf("acked %d with two probes, want 3", n)
	}
	r.wantPending("a", ids[0], ids[2])
	r.wantIDs("read again", refs(r.read(src)), nil)
}

func ackForeign(t *testing.T, r *rig) {
	// b claims the first three of six; a touches the fourth.
	for name, probes := range map[string][]int{
		"one that was claimed":          {0},
		"the second of two was claimed": {3, 1},
		"one that is ours, but idle":    {5},
		"the second of two is idle":     {3, 4},
		"none":                          {},
	} {
		a, b := r.open("a "+name), r.open("b "+name)
		ids := r.add(6)
		r.read(a)
		r.letIdle()
		page, err := b.Claim(r.ctx(), ids[0], r.MinIdle(), 3)
		if err != nil {
			t.Fatalf("claim: %v", err)
		}
		r.wantIDs("claimed", refs(page.Deliveries), ids[:3])
		r.hold(a, stream.Hold{Ref: ids[3], Count: stream.KeepCount})
		var p []stream.ID
		for _, i := range probes {
			p = append(p, ids[i])
		}
		if n := r.ackProbes(a, p, ids); n != 3 {
			t.Errorf("probes: %s: acked %d, want 3", name, n)
		}
		r.wantPending("a " + name)
		r.wantPending("b "+name, ids[:3]...)
		if n := r.ack(b, ids[0], ids...); n != 3 {
			t.Errorf("acked %d by the new owner, want 3", n)
		}
	}
}

func ackUnknown(t *testing.T, r *rig) {
	ids := r.add(4)
	src := r.open("a")
	if n := r.ack(src, ids[0], ids...); n != 0 {
		t.Errorf("acked %d that were not read yet", n)
	}
	r.read(src)
	unknown := stream.ID{Ms: 1, Seq: 2}
	if n := r.ack(src, ids[0], ids[0], unknown, ids[1]); n != 2 {
		t.Errorf("acked %d, want 2", n)
	}
	if n := r.ack(src, ids[0], ids[0], ids[1]); n != 0 {
		t.Errorf("acked %d again", n)
	}
	if n := r.ack(src, unknown, unknown, ids[2]); n != 1 {
		t.Errorf("acked %d beside an unknown probe, want 1", n)
	}
	r.wantPending("a", ids[3])
}

func ackVanished(t *testing.T, r *rig) {
	ids := r.add(3)
	src := r.open("a")
	r.read(src)
	r.Delete(ids...)
	if n := r.ack(src, ids[0], ids...); n != 3 {
		t.Errorf("acked %d, want 3", n)
	}
	r.wantPending("a")
}

func ackMany(t *testing.T, r *rig) {
	const total = 9000
	ids := r.add(total)
	a, b := r.open("a"), r.open("b")
	r.read(a)
	r.free(a, ids[0], ids[total/2]) // which makes ack look at each
	r.wantIDs("claimed", refs(r.claim(b, time.Hour, 1000).Deliveries), []stream.ID{ids[0], ids[total/2]})
	if n := r.ack(a, ids[0], ids...); n != total-2 {
		t.Errorf("acked %d, want %d", n, total-2)
	}
	if n := r.ack(b, ids[0], ids...); n != 2 {
		t.Errorf("acked %d by the other, want 2", n)
	}
	ids = r.add(total)
	r.read(a)
	r.hold(a, stream.Hold{Ref: ids[0], Count: stream.KeepCount})
	if n := r.ack(a, ids[0], ids...); n != total {
		t.Errorf("acked %d, want %d", n, total)
	}
	if n := len(r.Pending()); n != 0 {
		t.Errorf("%d pending, want none", n)
	}
}

func holdTouch(t *testing.T, r *rig) {
	const wait = 50 * time.Millisecond
	ids := r.add(3)
	src := r.open("a")
	r.read(src)
	r.hold(src, stream.Hold{Ref: ids[1], Count: 3})
	r.Wait(wait)
	begin := time.Now()
	lost := r.hold(src,
		stream.Hold{Ref: ids[1], Count: stream.KeepCount},
		stream.Hold{Ref: ids[2], Count: stream.KeepCount})
	r.wantIDs("lost", lost, nil)
	r.wantTouched(ids[1], begin)
	r.wantTouched(ids[2], begin)
	if idle := r.entry(ids[0]).Idle; idle < wait-clocks {
		t.Errorf("one that was not held is idle for %s, want at least %s", idle, wait)
	}
	if n, m := r.entry(ids[1]).Count, r.entry(ids[2]).Count; n != 3 || m != 1 {
		t.Errorf("counts %d and %d after a touch, want 3 and 1", n, m)
	}
	r.wantPending("a", ids...)
}

func holdCount(t *testing.T, r *rig) {
	ids := r.add(4)
	a, b := r.open("a"), r.open("b")
	r.read(a)
	want := []int64{0, 1, 2, 9_000_000}
	var holds []stream.Hold
	for i, id := range ids {
		holds = append(holds, stream.Hold{Ref: id, Count: want[i]})
	}
	r.hold(a, holds...)
	for i, d := range r.own(a, 10).Deliveries {
		if d.Count != want[i] {
			t.Errorf("own: count %d, want %d", d.Count, want[i])
		}
	}
	r.free(a, ids...)
	claimed := r.claim(b, never, 10).Deliveries
	r.wantIDs("claimed", refs(claimed), ids)
	for i, d := range claimed {
		if d.Count != want[i] {
			t.Errorf("claim: count %d, want %d", d.Count, want[i])
		}
	}
}

func holdFree(t *testing.T, r *rig) {
	ids := r.add(3)
	a, b := r.open("a"), r.open("b")
	r.read(a)
	r.hold(a, stream.Hold{Ref: ids[0], Count: 2}, stream.Hold{Ref: ids[1], Count: 2})
	lost := r.hold(a, stream.Hold{Ref: ids[1], Count: 1, Free: true})
	r.wantIDs("lost", lost, nil)
	r.wantPending("a", ids...) // a free entry is still pending under its name
	claimed := r.claim(b, never, 10).Deliveries
	r.wantIDs("claimed", refs(claimed), ids[1:2])
	if claimed[0].Count != 1 {
		t.Errorf("count %d, want it undone to 1", claimed[0].Count)
	}
	// Holding it again ends its freedom.
	r.free(b, ids[1])
	r.hold(b, stream.Hold{Ref: ids[1], Count: stream.KeepCount})
	r.wantIDs("claimed after a touch", refs(r.claim(a, never, 10).Deliveries), nil)
}

func holdLost(t *testing.T, r *rig) {
	const wait = 50 * time.Millisecond
	ids := r.add(5)
	a, b := r.open("a"), r.open("b")
	r.read(a)
	r.free(a, ids[1])
	r.wantIDs("claimed", refs(r.claim(b, never, 10).Deliveries), ids[1:2])
	r.ack(a, ids[3], ids[3])
	r.Wait(wait)
	unknown := stream.ID{Ms: 1}
	for _, free := range []bool{false, true} {
		lost := r.hold(a,
			stream.Hold{Ref: ids[0], Count: 3, Free: free},
			stream.Hold{Ref: ids[1], Count: 3, Free: free},
			stream.Hold{Ref: unknown, Count: 3, Free: free},
			stream.Hold{Ref: ids[3], Count: 3, Free: free},
			stream.Hold{Ref: ids[4], Count: 3, Free: free})
		r.wantIDs("lost", sorted(lost), []stream.ID{unknown, ids[1], ids[3]})
	}
	r.wantPending("a", ids[0], ids[2], ids[4])
	r.wantPending("b", ids[1])
	if p := r.entry(ids[1]); p.Count != 1 || p.Idle < wait-clocks || p.Idle > guard {
		t.Errorf("another consumer's entry was changed: count %d, idle %s", p.Count, p.Idle)
	}
}

func holdVanished(t *testing.T, r *rig) {
	ids := r.add(3)
	src := r.open("a")
	r.read(src)
	r.Delete(ids[1])
	lost := r.hold(src,
		stream.Hold{Ref: ids[0], Count: stream.KeepCount},
		stream.Hold{Ref: ids[1], Count: stream.KeepCount},
		stream.Hold{Ref: ids[2], Count: stream.KeepCount})
	r.wantIDs("lost", lost, nil)
	r.wantPending("a", ids...)
	if n := r.ack(src, ids[0], ids...); n != 3 {
		t.Errorf("acked %d, want all 3", n)
	}
}

func holdMany(t *testing.T, r *rig) {
	ids := r.add(9000)
	src := r.open("a")
	r.read(src)
	holds := make([]stream.Hold, len(ids))
	for i, id := range ids {
		holds[i] = stream.Hold{Ref: id, Count: int64(i % 5)}
	}
	r.wantIDs("lost", r.hold(src, holds...), nil)
	pending := r.Pending()
	if len(pending) != len(ids) {
		t.Fatalf("%d pending, want %d", len(pending), len(ids))
	}
	for i, p := range pending {
		if p.Count != int64(i%5) {
			t.Fatalf("entry %d: count %d, want %d", i, p.Count, i%5)
		}
	}
}
