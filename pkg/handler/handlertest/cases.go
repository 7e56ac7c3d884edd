package handlertest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/stream"
)

const (
	// soon is how long a call may go on after its ctx is done.
	soon = time.Second

	// guard ends a call that would hang.
	guard = 30 * time.Second
)

// open makes a handler and returns it with its Close, which may be called
// early and is called at the end of the test.
func (cfg Config) open(t *testing.T) (h handler.Handler, closeNow func()) {
	t.Helper()
	h = cfg.New(t)
	closeNow = sync.OnceFunc(func() {
		if err := h.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	t.Cleanup(closeNow)
	return h, closeNow
}

func (cfg Config) batch(t *testing.T, first, n int) *handler.Batch {
	t.Helper()
	return batchOf(t, Epoch, Group, cfg.Event, first, n)
}

// handle calls the handler and wants success.
func handle(t *testing.T, h handler.Handler, b *handler.Batch) {
	t.Helper()
	if err := call(t, h, b); err != nil {
		t.Fatalf("handle %d deliveries: %v", len(b.Deliveries), err)
	}
}

// call calls the handler with a ctx that has time enough.
func call(t *testing.T, h handler.Handler, b *handler.Batch) error {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), guard, handler.ErrTimeout)
	defer cancel()
	return await(t, func() error { return h.Handle(ctx, b) })
}

// await returns what f returns, and ends the test when f does not return even
// though its ctx has been done for a while.
func await(t *testing.T, f func() error) error {
	t.Helper()
	returned := make(chan error, 1)
	go func() { returned <- f() }()
	select {
	case err := <-returned:
		return err
	case <-time.After(guard + guard/2):
		t.Fatalf("handle does not return")
		return nil
	}
}

func (cfg Config) effects(t *testing.T, h handler.Handler) string {
	t.Helper()
	if cfg.Effects == nil {
		return ""
	}
	return cfg.Effects(t, h)
}

// again makes the deliveries of a batch those of a later delivery.
func again(b *handler.Batch, origin stream.Origin) *handler.Batch {
	for i := range b.Deliveries {
		d := &b.Deliveries[i]
		d.Origin, d.Count, d.Attempt = origin, d.Count+1, d.Attempt+1
	}
	return b
}

func batchesOfOne(t *testing.T, cfg Config) {
	h, _ := cfg.open(t)
	for i := range 5 {
		handle(t, h, cfg.batch(t, i, 1))
	}
}

func largeBatch(t *testing.T, cfg Config) {
	h, _ := cfg.open(t)
	handle(t, h, cfg.batch(t, 0, 1000))
	next := cfg.batch(t, 1000, 10)
	next.LowWater = ID(999)
	handle(t, h, next)
}

func concurrentCalls(t *testing.T, cfg Config) {
	const callers, calls, size = 8, 6, 20
	h, closeNow := cfg.open(t)
	ctx, cancel := context.WithTimeoutCause(t.Context(), guard, handler.ErrTimeout)
	defer cancel()
	var wg sync.WaitGroup
	for caller := range callers {
		var batches []*handler.Batch
		for i := range calls {
			batches = append(batches, cfg.batch(t, (caller*calls+i)*size, size))
		}
		// What another caller has as well: after a claim two may hold an entry.
		batches = append(batches, again(cfg.batch(t, 0, size), stream.Claimed))
		wg.Go(func() {
			for _, b := range batches {
				if err := h.Handle(ctx, b); err != nil {
					t.Errorf("handle: %v", err)
				}
			}
		})
	}
	_ = await(t, func() error { wg.Wait(); return nil })
	if !cfg.Once || t.Failed() {
		return
	}
	closeNow()
	alone, _ := cfg.open(t)
	handle(t, alone, cfg.batch(t, 0, callers*calls*size))
	if got, want := cfg.effects(t, h), cfg.effects(t, alone); got != want {
		t.Errorf("the effects of calls at once differ from those of one call:\n%.2000s\nwant\n%.2000s", got, want)
	}
}

func redelivery(t *testing.T, cfg Config) {
	h, _ := cfg.open(t)
	handle(t, h, cfg.batch(t, 0, 20))
	before := cfg.effects(t, h)
	handle(t, h, again(cfg.batch(t, 0, 20), stream.Own))
	handle(t, h, again(cfg.batch(t, 7, 1), stream.Claimed))
	low := again(cfg.batch(t, 5, 10), stream.Replayed)
	low.LowWater = ID(19)
	handle(t, h, low)
	if after := cfg.effects(t, h); cfg.Once && before != after {
		t.Errorf("a redelivery changed the effects:\n%.2000s\nwant\n%.2000s", after, before)
	}
	// Old and new ones in one batch: the new ones count.
	handle(t, h, cfg.batch(t, 10, 20))
	if !cfg.Once {
		return
	}
	fresh, _ := cfg.open(t)
	handle(t, fresh, cfg.batch(t, 0, 30))
	if got, want := cfg.effects(t, h), cfg.effects(t, fresh); got != want {
		t.Errorf("old and new entries in one batch gave\n%.2000s\nwant\n%.2000s", got, want)
	}
}

func otherEpoch(t *testing.T, cfg Config) {
	h, _ := cfg.open(t)
	handle(t, h, cfg.batch(t, 0, 5))
	before := cfg.effects(t, h)
	handle(t, h, batchOf(t, "epoch-2", Group, cfg.Event, 0, 5))
	if cfg.Effects != nil && cfg.effects(t, h) == before {
		t.Errorf("entries of another epoch had no effect")
	}
}

func batchUnchanged(t *testing.T, cfg Config) {
	h, _ := cfg.open(t)
	got, want := cfg.batch(t, 0, 20), cfg.batch(t, 0, 20)
	handle(t, h, got)
	if got.Group != want.Group || got.LowWater != want.LowWater || len(got.Deliveries) != len(want.Deliveries) {
		t.Fatalf("handle changed the batch")
	}
	for i := range want.Deliveries {
		if show(got.Deliveries[i]) != show(want.Deliveries[i]) {
			t.Errorf("handle changed delivery %d:\n%s\nwant\n%s", i, show(got.Deliveries[i]), show(want.Deliveries[i]))
		}
	}
}

func show(d handler.Delivery) string {
	return fmt.Sprintf("%s %s %s %s %s %d %d %q %q", d.ID, d.Ref, d.Stream, d.Epoch, d.Origin, d.Count, d.Attempt,
		d.Fields, d.Event.Raw())
}

// nothingKept gives a handler the same memory for every batch, as an engine
// may, and compares with one that gets fresh memory.
func nothingKept(t *testing.T, cfg Config) {
	h, closeNow := cfg.open(t)
	for i := range 4 {
		b := cfg.batch(t, i*5, 5)
		handle(t, h, b)
		scribble(b)
	}
	closeNow()
	fresh, closeFresh := cfg.open(t)
	for i := range 4 {
		handle(t, fresh, cfg.batch(t, i*5, 5))
	}
	closeFresh()
	if got, want := cfg.effects(t, h), cfg.effects(t, fresh); got != want {
		t.Errorf("the bytes of a batch were used after handle had returned:\n%.2000s\nwant\n%.2000s", got, want)
	}
}

// scribble overwrites every byte that a batch refers to, then the batch.
func scribble(b *handler.Batch) {
	for _, d := range b.Deliveries {
		fill(d.Event.Raw())
		for _, f := range d.Fields {
			fill(f.Name)
			fill(f.Value)
		}
		clear(d.Fields)
	}
	clear(b.Deliveries)
	*b = handler.Batch{}
}

func fill(b []byte) {
	for i := range b {
		b[i] = '#'
	}
}

func badEntry(t *testing.T, cfg Config) {
	if cfg.Bad == nil {
		return
	}
	h, _ := cfg.open(t)
	const bad = 3
	mixed := func(i int) []byte {
		if i == bad {
			return cfg.Bad(i)
		}
		return cfg.Event(i)
	}
	// Alone it is a permanent error, named or not.
	err := call(t, h, batchOf(t, Epoch, Group, mixed, bad, 1))
	if named := (*handler.BatchError)(nil); errors.As(err, &named) {
		wantNamed(t, named, 0)
		err = named.Failed[0]
	}
	if handler.MarkOf(err) != handler.MarkPermanent {
		t.Errorf("a bad entry alone: %v, want a permanent error", err)
	}

	// Among others either it is named, or the call fails as a whole and the
	// engine finds it by splitting; a permanent mark on the whole would bury
	// its neighbours.
	err = call(t, h, batchOf(t, Epoch, Group, mixed, 0, 10))
	if named := (*handler.BatchError)(nil); errors.As(err, &named) {
		wantNamed(t, named, bad)
		if mark := handler.MarkOf(named.Failed[bad]); mark != handler.MarkPermanent {
			t.Errorf("a bad entry among others: %v, want a permanent error", named.Failed[bad])
		}
	} else if err == nil || handler.MarkOf(err) != handler.Unmarked {
		t.Errorf("a bad entry among others: %v, want an error that names it or an unmarked one", err)
	}
	handle(t, h, cfg.batch(t, 20, 10))
}

func wantNamed(t *testing.T, err *handler.BatchError, want int) {
	t.Helper()
	if got := slices.Sorted(maps.Keys(err.Failed)); len(got) != 1 || got[0] != want {
		t.Errorf("deliveries %v are named as failed, want %d alone", got, want)
	}
}

func doneBefore(t *testing.T, cfg Config) {
	h, _ := cfg.open(t)
	for _, cause := range []error{handler.ErrStopping, handler.ErrTimeout} {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(cause)
		wantSoon(t, h, ctx, cfg.batch(t, 0, 100), time.Now())
	}
	handle(t, h, again(cfg.batch(t, 0, 100), stream.Own))
}

func doneMeanwhile(t *testing.T, cfg Config) {
	h, _ := cfg.open(t)
	for i, delay := range []time.Duration{0, 200 * time.Microsecond, time.Millisecond, 5 * time.Millisecond} {
		ctx, cancel := context.WithTimeoutCause(t.Context(), delay, handler.ErrTimeout)
		wantSoon(t, h, ctx, cfg.batch(t, i*1000, 1000), time.Now().Add(delay))
		cancel()
		// Whatever has become of it, the next try succeeds.
		handle(t, h, again(cfg.batch(t, i*1000, 1000), stream.Own))
	}
	if !cfg.Once {
		return
	}
	fresh, _ := cfg.open(t)
	for i := range 4 {
		handle(t, fresh, cfg.batch(t, i*1000, 1000))
	}
	if got, want := cfg.effects(t, h), cfg.effects(t, fresh); got != want {
		t.Errorf("an interrupted call left a half effect:\n%.2000s\nwant\n%.2000s", got, want)
	}
}

// wantSoon calls the handler with a ctx that is done at a time, and wants it to
// return soon after, with an error or without.
func wantSoon(t *testing.T, h handler.Handler, ctx context.Context, b *handler.Batch, done time.Time) {
	t.Helper()
	_ = await(t, func() error { return h.Handle(ctx, b) }) // success and failure are both right
	if late := time.Since(done); late > soon {
		t.Errorf("handle returned %s after its ctx was done, want at most %s", late, soon)
	}
}

func closeUnused(t *testing.T, cfg Config) {
	_, closeNow := cfg.open(t)
	closeNow()
}
