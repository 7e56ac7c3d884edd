package consumertest

import (
	"context"
	"errors"
	"math"
	"testing"
	"time"

	"example.com/fanout/pkg/consumer"
	"example.com/fanout/pkg/stream"
)

var groupCases = []sourceCase{
	{"every method tells that the group is missing", groupMissing},
	{"a waiting read tells that the group is missing", groupDestroyed},
	{"a method returns soon when its ctx is done", groupDone},
	{"IDs beyond the exact range of a float are told apart", groupGreatIDs},
}

// calls are all methods with an error for an answer, on one entry.
func calls(r *rig, src consumer.Source, d stream.Delivery) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"read":  func(ctx context.Context) error { _, err := Take(ctx, src, 10, 0); return err },
		"wait":  func(ctx context.Context) error { _, err := Take(ctx, src, 10, guard); return err },
		"own":   func(ctx context.Context) error { _, err := src.Own(ctx, stream.ID{}, 10); return err },
		"claim": func(ctx context.Context) error { _, err := src.Claim(ctx, stream.ID{}, 0, 10); return err },
		"ack": func(ctx context.Context) error {
			_, err := src.Ack(ctx, refs([]stream.Delivery{d}), []stream.ID{d.Ref})
			return err
		},
		"hold": func(ctx context.Context) error {
			_, err := src.Hold(ctx, []stream.Hold{{Ref: d.Ref, Count: 1}})
			return err
		},
		"bury": func(ctx context.Context) error { _, err := src.Bury(ctx, d.Ref, letterOf(d)); return err },
	}
}

func groupMissing(t *testing.T, r *rig) {
	r.add(3)
	src := r.open("a")
	got := r.readN(src, 3)
	r.DestroyGroup()
	for name, call := range calls(r, src, got[0]) {
		if err := call(r.ctx()); !errors.Is(err, stream.ErrNoGroup) {
			t.Errorf("%s: %v, want %v", name, err, stream.ErrNoGroup)
		}
	}
	r.wantLetters()
}

func groupDestroyed(t *testing.T, r *rig) {
	src := r.open("a")
	result := readBehind(r.ctx(), src.Read, 10, guard)
	r.Wait(50 * time.Millisecond)
	r.DestroyGroup()
	destroyed := time.Now()
	if got := <-result; !errors.Is(got.err, stream.ErrNoGroup) {
		t.Errorf("read: %d deliveries and error %v, want %v", len(got.deliveries), got.err, stream.ErrNoGroup)
	}
	if took := time.Since(destroyed); took > guard/4 {
		t.Errorf("read returned %s after the group was gone", took)
	}
}

func groupDone(t *testing.T, r *rig) {
	r.add(3)
	src := r.open("a")
	got := r.readN(src, 3)
	ctx, cancel := context.WithCancel(r.ctx())
	cancel()
	for name, call := range calls(r, src, got[0]) {
		begin := time.Now()
		if err := call(ctx); err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, want the error of ctx, if any", name, err)
		}
		if took := time.Since(begin); took > soon {
			t.Errorf("%s took %s with its ctx done", name, took)
		}
	}
}

// groupGreatIDs works with IDs that are equal as floating-point numbers.
func groupGreatIDs(t *testing.T, r *rig) {
	const most = math.MaxUint64
	ids := []stream.ID{
		{Ms: 1<<53 - 1, Seq: 7},
		{Ms: 1 << 53, Seq: 7},
		{Ms: 1<<53 + 1, Seq: 7},
		{Ms: most - 1, Seq: 5},
		{Ms: most, Seq: 5},
		{Ms: most, Seq: most - 2},
		{Ms: most, Seq: most - 1},
		{Ms: most, Seq: most},
	}
	for _, id := range ids {
		r.AddAt(id, "event", id.String())
	}
	a, b := r.open("a"), r.open("b")
	var got []stream.Delivery
	for range ids {
		one, err := Take(r.ctx(), a, 1, 0)
		if err != nil {
			t.Fatalf("read: %v", err)
		}
		got = append(got, one...)
	}
	r.wantIDs("read", refs(got), ids)
	for _, limit := range []int{1, 2, 100} {
		r.wantIDs("own", refs(r.own(a, limit).Deliveries), ids)
	}

	r.hold(a, stream.Hold{Ref: ids[6], Count: 9, Free: true}, stream.Hold{Ref: ids[1], Count: 8, Free: true})
	claimed := r.claim(b, never, 1).Deliveries
	r.wantIDs("claimed", refs(claimed), []stream.ID{ids[1], ids[6]})
	for _, d := range append(claimed, got...) {
		wantFields(t, d.Entry, []string{"event", d.ID.String()})
	}
	lost := r.hold(a, stream.Hold{Ref: ids[7], Count: 6}, stream.Hold{Ref: ids[6], Count: 6}, stream.Hold{Ref: ids[5], Count: 6})
	r.wantIDs("lost", lost, ids[6:7])
	for i, want := range map[int]int64{0: 1, 1: 8, 2: 1, 3: 1, 4: 1, 5: 6, 6: 9, 7: 6} {
		if n := r.entry(ids[i]).Count; n != want {
			t.Errorf("%s: count %d, want %d", ids[i], n, want)
		}
	}

	r.wantBury(a, got[6], stream.NotOurs)
	r.wantBury(a, got[7], stream.Buried)
	r.wantLetters(got[7])
	r.wantPending("a", ids[0], ids[2], ids[3], ids[4], ids[5])
	if n := r.ack(a, ids[6], ids...); n != 5 {
		t.Errorf("acked %d, want 5", n)
	}
	r.wantPending("b", ids[1], ids[6])
	if n := r.ack(b, ids[6], ids[6]); n != 1 {
		t.Errorf("acked %d, want 1", n)
	}
	r.wantPending("b", ids[1])
	page, err := a.Own(r.ctx(), stream.MaxID, 10)
	if err != nil || !page.Done || len(page.Deliveries) > 0 {
		t.Errorf("own after the greatest ID: %+v and error %v, want nothing, done", page, err)
	}
}
