package consumertest

import (
	"context"
	"slices"
	"testing"
	"time"

	"example.com/fanout/pkg/consumer"
	"example.com/fanout/pkg/deadletter"
	"example.com/fanout/pkg/stream"
)

// Rig is what the conformance suite works with: one group on a fresh stream,
// created from its first entry on. It fails its test when it cannot do what it
// is asked to.
type Rig interface {
	// Source makes a source of the group under this consumer's name. The suite
	// closes it.
	Source(consumer string) consumer.Source

	// Add appends an entry of names and values in turn; the server chooses the
	// ID. AddAt appends it at an ID.
	Add(fields ...string) stream.ID
	AddAt(id stream.ID, fields ...string)

	// Delete removes entries from the stream, pending or not.
	Delete(ids ...stream.ID)

	// DestroyGroup destroys the group.
	DestroyGroup()

	// Pending lists what is pending in the group, in order.
	Pending() []PendingEntry

	// Letters are the group's dead letters, in order, as they are stored.
	Letters() []deadletter.Letter

	// MaxLetters is at which number of them the dead letters are full: small,
	// at least 2.
	MaxLetters() int

	// MinIdle is the group's claim.min_idle: as small as it can be without a
	// slow machine being taken for an idle consumer, for example 200 ms.
	MinIdle() time.Duration

	// Wait lets time pass.
	Wait(d time.Duration)
}

// TestSource checks that the sources of a rig keep every promise of
// consumer.Source. newRig is called once for each case; the cases run in
// parallel. without names those that a source does not promise.
func TestSource(t *testing.T, newRig func(t *testing.T) Rig, without ...string) {
	t.Helper()
	left := slices.Clone(without)
	defer func() {
		if len(left) > 0 {
			t.Errorf("there are no cases %q", left)
		}
	}()
	for _, cases := range [][]sourceCase{readCases, ownCases, claimCases, ackCases, holdCases, buryCases, groupCases} {
		for _, c := range cases {
			if i := slices.Index(left, c.name); i >= 0 {
				left = slices.Delete(left, i, i+1)
				continue
			}
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				c.run(t, &rig{Rig: newRig(t), t: t})
			})
		}
	}
}

type sourceCase struct {
	name string
	run  func(t *testing.T, r *rig)
}

const (
	// soon is how long a call may take that has nothing to wait for, on a busy
	// machine. It is half the longest block of a reader, so that one which does
	// not notice the end of its context is caught.
	soon = time.Second

	// never is a min_idle that no entry of a test reaches by waiting.
	never = 24 * time.Hour

	// clocks is how far a server's clock, which counts in whole ms, may be from
	// that of the test.
	clocks = 5 * time.Millisecond

	// guard ends a test that would hang.
	guard = 30 * time.Second
)

// rig adds to a Rig what the cases share.
type rig struct {
	Rig
	t *testing.T
}

// open makes a source and closes it at the end of the test.
func (r *rig) open(name string) consumer.Source {
	r.t.Helper()
	src := r.Source(name)
	r.t.Cleanup(func() {
		if err := src.Close(); err != nil {
			r.t.Errorf("close %s: %v", name, err)
		}
	})
	return src
}

// ctx ends with the test, or when the test hangs.
func (r *rig) ctx() context.Context {
	ctx, cancel := context.WithTimeout(r.t.Context(), guard)
	r.t.Cleanup(cancel)
	return ctx
}

// add appends n small entries.
func (r *rig) add(n int) []stream.ID {
	r.t.Helper()
	ids := make([]stream.ID, n)
	for i := range ids {
		ids[i] = r.Add("event", "{}")
	}
	return ids
}

// read reads until there is nothing new.
func (r *rig) read(src consumer.Source) []stream.Delivery {
	r.t.Helper()
	var all []stream.Delivery
	for {
		got, err := Take(r.ctx(), src, 1000, 0)
		if err != nil {
			r.t.Fatalf("read: %v", err)
		}
		if len(got) == 0 {
			return all
		}
		all = append(all, got...)
	}
}

// readN reads all that is new, which must be n entries.
func (r *rig) readN(src consumer.Source, n int) []stream.Delivery {
	r.t.Helper()
	got := r.read(src)
	if len(got) != n {
		r.t.Fatalf("read %d entries, want %d", len(got), n)
	}
	return got
}

// pages walks a list from its start to its end and returns all of it as one
// page.
func (r *rig) pages(limit int, page func(from stream.ID) (stream.Page, error)) stream.Page {
	r.t.Helper()
	var all stream.Page
	var from stream.ID
	for range 10_000 {
		p, err := page(from)
		if err != nil {
			r.t.Fatalf("list from %s: %v", from, err)
		}
		if len(p.Deliveries) > limit {
			r.t.Fatalf("a page of %d, want at most %d", len(p.Deliveries), limit)
		}
		all.Deliveries = append(all.Deliveries, p.Deliveries...)
		all.Vanished = append(all.Vanished, p.Vanished...)
		if p.Done {
			all.Done = true
			return all
		}
		if !from.Before(p.Next) {
			r.t.Fatalf("a page from %s goes on at %s", from, p.Next)
		}
		from = p.Next
	}
	r.t.Fatal("the pages do not end")
	return all
}

func (r *rig) own(src consumer.Source, limit int) stream.Page {
	r.t.Helper()
	return r.pages(limit, func(from stream.ID) (stream.Page, error) { return src.Own(r.ctx(), from, limit) })
}

func (r *rig) claim(src consumer.Source, minIdle time.Duration, limit int) stream.Page {
	r.t.Helper()
	return r.pages(limit, func(from stream.ID) (stream.Page, error) {
		return src.Claim(r.ctx(), from, minIdle, limit)
	})
}

func (r *rig) ack(src consumer.Source, probe stream.ID, refs ...stream.ID) int {
	r.t.Helper()
	return r.ackProbes(src, []stream.ID{probe}, refs)
}

func (r *rig) ackProbes(src consumer.Source, probes, refs []stream.ID) int {
	r.t.Helper()
	n, err := src.Ack(r.ctx(), probes, refs)
	if err != nil {
		r.t.Fatalf("ack: %v", err)
	}
	return n
}

func (r *rig) hold(src consumer.Source, holds ...stream.Hold) []stream.ID {
	r.t.Helper()
	lost, err := src.Hold(r.ctx(), holds)
	if err != nil {
		r.t.Fatalf("hold: %v", err)
	}
	return lost
}

// free makes entries claimable at once.
func (r *rig) free(src consumer.Source, ids ...stream.ID) {
	r.t.Helper()
	holds := make([]stream.Hold, len(ids))
	for i, id := range ids {
		holds[i] = stream.Hold{Ref: id, Count: stream.KeepCount, Free: true}
	}
	if lost := r.hold(src, holds...); len(lost) > 0 {
		r.t.Fatalf("free: lost %v", lost)
	}
}

// entry is the pending entry of that ID.
func (r *rig) entry(id stream.ID) PendingEntry {
	r.t.Helper()
	for _, p := range r.Pending() {
		if p.ID == id {
			return p
		}
	}
	r.t.Fatalf("%s is not pending", id)
	return PendingEntry{}
}

// wantPending checks what is pending under a name.
func (r *rig) wantPending(owner string, ids ...stream.ID) {
	r.t.Helper()
	var got []stream.ID
	for _, p := range r.Pending() {
		if p.Consumer == owner {
			got = append(got, p.ID)
		}
	}
	r.wantIDs("pending under "+owner, got, ids)
}

// letIdle waits until all that is pending has been idle for MinIdle.
func (r *rig) letIdle() { r.Wait(r.MinIdle() + clocks) }

// wantTouched checks that the idle time of an entry began again at 0 not
// before begin.
func (r *rig) wantTouched(id stream.ID, begin time.Time) {
	r.t.Helper()
	idle := r.entry(id).Idle
	if most := time.Since(begin) + clocks; idle > most {
		r.t.Errorf("%s is idle for %s, want at most %s", id, idle, most)
	}
}

func (r *rig) wantIDs(what string, got, want []stream.ID) {
	r.t.Helper()
	if !slices.Equal(got, want) {
		r.t.Fatalf("%s: got %v, want %v", what, brief(got), brief(want))
	}
}

// brief keeps a failure readable.
func brief(ids []stream.ID) any {
	if len(ids) <= 20 {
		return ids
	}
	return []any{len(ids), "from", ids[0], "to", ids[len(ids)-1]}
}

func refs(deliveries []stream.Delivery) []stream.ID {
	ids := make([]stream.ID, len(deliveries))
	for i, d := range deliveries {
		ids[i] = d.Ref
	}
	return ids
}

// sorted sorts ids in place.
func sorted(ids []stream.ID) []stream.ID {
	slices.SortFunc(ids, stream.ID.Compare)
	return ids
}
