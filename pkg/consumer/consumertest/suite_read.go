package consumertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.com/fanout/pkg/stream"
)

var readCases = []sourceCase{
	{"read in stream order, at most max", readOrder},
	{"read gives each entry to one consumer", readShares},
	{"read does not wait when wait is 0", readNoWait},
	{"read waits at most wait", readWait},
	{"read returns an entry that comes while it waits", readLate},
	{"read keeps the fields as they are", readFields},
	{"read keeps an entry of 1 MiB and one of 3000 fields", readBig},
	{"read leaves earlier deliveries alone", readKeeps},
	{"read stops at its limit, and the next goes on", readLimit},
	{"rest is what a read has left", readRest},
	{"read returns soon after ctx is done", readCancel},
	{"read returns soon when ctx is done before", readDone},
	{"read loses nothing when it is cancelled", readCancelRace},
	{"read and settle at once", readAndSettle},
}

func readOrder(t *testing.T, r *rig) {
	ids := r.add(10)
	src := r.open("a")
	var all []stream.Delivery
	for _, want := range []int{4, 4, 2, 0} {
		got, err := Take(r.ctx(), src, 4, 0)
		if err != nil || len(got) != want {
			t.Fatalf("read: %d deliveries and error %v, want %d", len(got), err, want)
		}
		all = append(all, got...)
	}
	r.wantIDs("read", refs(all), ids)
	for _, d := range all {
		if d.ID != d.Ref || d.Origin != stream.New || d.Count != 1 {
			t.Errorf("%s: ref %s, origin %s, count %d, want the same, new, 1", d.ID, d.Ref, d.Origin, d.Count)
		}
		if d.Stream == "" || d.Epoch == "" || d.Stream != all[0].Stream || d.Epoch != all[0].Epoch {
			t.Errorf("%s: stream %q and epoch %q, want some, the same for all", d.ID, d.Stream, d.Epoch)
		}
	}
	r.wantPending("a", ids...)
	for _, p := range r.Pending() {
		if p.Count != 1 {
			t.Errorf("%s: count %d in the pending list, want 1", p.ID, p.Count)
		}
	}
}

// addBig adds entries of about a thousand bytes.
func (r *rig) addBig(n int) (ids []stream.ID) {
	for i := range n {
		ids = append(ids, r.Add("n", strconv.Itoa(i), "event", strings.Repeat("x", 1000)))
	}
	return ids
}

func readLimit(t *testing.T, r *rig) {
	src := r.open("a")
	ids := r.addBig(10)
	c := stream.Chunk{Limit: 2500}
	var got []stream.ID
	for more := true; more || len(got) < len(ids); more = c.More {
		if err := src.Read(r.ctx(), &c, 10, 0); err != nil {
			t.Fatalf("read: %v", err)
		}
		if n := len(c.Deliveries); n < 1 || n > 3 {
			t.Fatalf("read: %d deliveries of 1000 bytes, the limit is 2500", n)
		}
		got = append(got, refs(c.Deliveries)...)
	}
	r.wantIDs("read", got, ids)
	r.wantPending("a", ids...)
	c.Limit = 1
	last := r.addBig(1)
	if err := src.Read(r.ctx(), &c, 10, 0); err != nil || len(c.Deliveries) != 1 || c.More {
		t.Fatalf("read with a limit below one entry: %d deliveries, more %v, error %v, want %v", len(c.Deliveries), c.More, err, last)
	}
}

func readRest(t *testing.T, r *rig) {
	src := r.open("a")
	ids := r.addBig(10)
	c := stream.Chunk{Limit: 1}
	if err := src.Read(r.ctx(), &c, 7, 0); err != nil || len(c.Deliveries) != 1 {
		t.Fatalf("read: %d deliveries, error %v, want 1", len(c.Deliveries), err)
	}
	rest, err := src.Rest(r.ctx())
	if err != nil || c.More != (len(rest) > 0) {
		t.Fatalf("rest: %v, error %v, though more is %v", rest, err, c.More)
	}
	taken := append(refs(c.Deliveries), rest...)
	r.wantPending("a", taken...)
	if again, err := src.Rest(r.ctx()); len(again) > 0 || err != nil {
		t.Errorf("rest again: %v, error %v", again, err)
	}
	r.wantIDs("read and rest", append(taken, refs(r.read(src))...), ids)
}

func readShares(t *testing.T, r *rig) {
	ids := r.add(6)
	a, b := r.open("a"), r.open("b")
	first, err := Take(r.ctx(), a, 2, 0)
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	second := r.read(b)
	r.wantIDs("read by a", refs(first), ids[:2])
	r.wantIDs("read by b", refs(second), ids[2:])
	r.wantPending("a", ids[:2]...)
	r.wantPending("b", ids[2:]...)
}

func readNoWait(t *testing.T, r *rig) {
	src := r.open("a")
	begin := time.Now()
	got, err := Take(r.ctx(), src, 10, 0)
	if len(got) != 0 || err != nil {
		t.Errorf("read: %d deliveries and error %v, want none", len(got), err)
	}
	if took := time.Since(begin); took > soon {
		t.Errorf("read took %s, want no wait", took)
	}
}

func readWait(t *testing.T, r *rig) {
	const wait = 100 * time.Millisecond
	src := r.open("a")
	begin := time.Now()
	got, err := Take(r.ctx(), src, 10, wait)
	if len(got) != 0 || err != nil {
		t.Errorf("read: %d deliveries and error %v, want none", len(got), err)
	}
	if took := time.Since(begin); took < wait/2 || took > wait+soon {
		t.Errorf("read took %s, want about %s", took, wait)
	}
}

func readLate(t *testing.T, r *rig) {
	src := r.open("a")
	for _, delay := range []time.Duration{0, 20 * time.Millisecond, 200 * time.Millisecond} {
		result := readBehind(r.ctx(), src.Read, 10, guard)
		r.Wait(delay)
		id := r.Add("event", "{}")
		added := time.Now()
		got := <-result
		if got.err != nil {
			t.Fatalf("read: %v", got.err)
		}
		r.wantIDs("read", refs(got.deliveries), []stream.ID{id})
		if took := time.Since(added); took > soon {
			t.Errorf("read returned %s after the entry came", took)
		}
	}
}

type readResult struct {
	deliveries []stream.Delivery
	err        error
}

// readBehind reads in a goroutine of its own.
func readBehind(
	ctx context.Context,
	read func(context.Context, *stream.Chunk, int, time.Duration) error,
	limit int,
	wait time.Duration,
) <-chan readResult {
	result := make(chan readResult, 1)
	go func() {
		var c stream.Chunk
		err := read(ctx, &c, limit, wait)
		result <- readResult{c.Deliveries, err}
	}()
	return result
}

// oddFields are names and values that a careless decoder changes.
var oddFields = []string{
	"event", `{"a": 1}`,
	"event", "again",
	"", "empty name",
	"empty value", "",
	"b", "\x00\xff\r\n$5\r\n\x80",
	"\r\n", "-ERR",
	"a", "after b",
	"event", "",
}

func readFields(t *testing.T, r *rig) {
	r.Add(oddFields...)
	wantFields(t, r.readN(r.open("a"), 1)[0].Entry, oddFields)
}

func wantFields(t *testing.T, e stream.Entry, want []string) {
	t.Helper()
	var got []string
	for _, f := range e.Fields {
		got = append(got, string(f.Name), string(f.Value))
	}
	if len(got) != len(want) {
		t.Errorf("%s has %d names and values, want %d", e.ID, len(got), len(want))
		return
	}
	for i := range got {
		if got[i] != want[i] {
			t.Errorf("%s: name or value %d is %.60q, want %.60q", e.ID, i, got[i], want[i])
			return
		}
	}
}

func readBig(t *testing.T, r *rig) {
	big := []string{"event", strings.Repeat("0123456789abcde\n", 1<<16)}
	wide := manyFields(3000)
	r.Add(big...)
	r.Add(wide...)
	src := r.open("a")
	for _, got := range [][]stream.Delivery{r.read(src), r.own(src, 10).Deliveries} {
		if len(got) != 2 {
			t.Fatalf("got %d entries, want 2", len(got))
		}
		wantFields(t, got[0].Entry, big)
		wantFields(t, got[1].Entry, wide)
	}
}

func manyFields(n int) []string {
	var fields []string
	for i := range n {
		fields = append(fields, fmt.Sprintf("name-%d", i%100), fmt.Sprintf("value-%d", i))
	}
	return fields
}

func readKeeps(t *testing.T, r *rig) {
	src := r.open("a")
	r.Add("event", strings.Repeat("x", 1000))
	kept := r.readN(src, 1)
	want := kept[0].Clone()
	for range 20 {
		r.Add("event", strings.Repeat("y", 1000))
		r.read(src)
	}
	r.own(src, 7)
	if !bytes.Equal(kept[0].Fields[0].Value, want.Fields[0].Value) || !bytes.Equal(kept[0].Fields[0].Name, want.Fields[0].Name) {
		t.Errorf("later reads changed an earlier delivery")
	}
}

func readCancel(t *testing.T, r *rig) {
	src := r.open("a")
	// Whatever a reader is doing at that moment, it has to notice.
	for _, delay := range []time.Duration{0, time.Millisecond, 20 * time.Millisecond, 300 * time.Millisecond} {
		ctx, cancel := context.WithCancel(r.ctx())
		result := readBehind(ctx, src.Read, 10, guard)
		r.Wait(delay)
		cancel()
		cancelled := time.Now()
		got := <-result
		if took := time.Since(cancelled); took > soon {
			t.Errorf("read returned %s after its ctx was done, which was %s after its begin", took, delay)
		}
		if len(got.deliveries) != 0 || got.err != nil && !errors.Is(got.err, context.Canceled) {
			t.Errorf("read: %d deliveries and error %v, want none and that of ctx", len(got.deliveries), got.err)
		}
	}
	id := r.Add("event", "{}")
	r.wantIDs("read after the cancelled ones", refs(r.read(src)), []stream.ID{id})
}

func readDone(t *testing.T, r *rig) {
	ids := r.add(3)
	src := r.open("a")
	ctx, cancel := context.WithCancel(r.ctx())
	cancel()
	begin := time.Now()
	got, err := Take(ctx, src, 10, guard)
	if took := time.Since(begin); took > soon {
		t.Errorf("read took %s with its ctx done", took)
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("read: %v, want the error of ctx", err)
	}
	rest := r.read(src)
	r.wantIDs("read, before and after", append(refs(got), refs(rest)...), ids)
}

func readCancelRace(t *testing.T, r *rig) {
	src := r.open("a")
	var got, added []stream.ID
	for i := range 60 {
		ctx, cancel := context.WithCancel(r.ctx())
		result := readBehind(ctx, src.Read, 10, guard)
		r.Wait(time.Duration(i%4) * time.Millisecond)
		go cancel()
		added = append(added, r.Add("event", "{}"))
		res := <-result
		if res.err != nil && !errors.Is(res.err, context.Canceled) {
			t.Fatalf("read: %v", res.err)
		}
		if res.err != nil && len(res.deliveries) > 0 {
			t.Errorf("read returned deliveries and an error")
		}
		got = append(got, refs(res.deliveries)...)
		cancel()
	}
	got = append(got, refs(r.read(src))...)
	r.wantIDs("read", got, added)
	r.wantPending("a", added...)
}

func readAndSettle(t *testing.T, r *rig) {
	src := r.open("a")
	result := readBehind(r.ctx(), src.Read, 10, guard)
	r.Wait(50 * time.Millisecond) // so that the read is likely to be waiting
	begin := time.Now()
	if n := r.ack(src, stream.ID{Ms: 1}, stream.ID{Ms: 1}); n != 0 {
		t.Errorf("acked %d unknown entries", n)
	}
	r.hold(src, stream.Hold{Ref: stream.ID{Ms: 1}, Count: stream.KeepCount})
	if took := time.Since(begin); took > soon {
		t.Errorf("ack and hold took %s while a read waited", took)
	}
	r.Add("event", "{}")
	first := <-result
	if first.err != nil {
		t.Fatalf("read: %v", first.err)
	}
	kept := len(first.deliveries) // none when the read's wait was over before the entry came

	total := 301 - kept
	read := make(chan []stream.Delivery, total)
	go func() {
		defer close(read)
		for seen := 0; seen < total; {
			got, err := Take(r.ctx(), src, 7, 20*time.Millisecond)
			if err != nil {
				t.Errorf("read: %v", err)
				return
			}
			seen += len(got)
			read <- got
		}
	}()
	go r.add(300)
	for got := range read {
		if len(got) > 0 && r.ack(src, got[0].Ref, refs(got)...) != len(got) {
			t.Errorf("acked less than was read")
		}
	}
	if len(r.Pending()) != kept {
		t.Errorf("%d pending, want %d", len(r.Pending()), kept)
	}
}
