package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/stream"
)

// TestSplit gives a handler batches that it fails as a whole because of a few
// entries.
func TestSplit(t *testing.T) {
	t.Parallel()
	whole := func(*handler.Batch, int) error { return errSink }
	for name, c := range map[string]struct {
		size   int
		poison []int
		fail   func(b *handler.Batch, bad int) error // for a batch with bad in it
	}{
		"one of ten":       {10, []int{4}, whole},
		"the first":        {10, []int{0}, whole},
		"the last":         {10, []int{9}, whole},
		"neighbours":       {10, []int{4, 5, 6}, whole},
		"all":              {10, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, whole},
		"one of two":       {2, []int{1}, whole},
		"one of 257":       {257, []int{128}, whole},
		"by panic":         {10, []int{3}, func(*handler.Batch, int) error { panic("handler panics") }},
		"told to wait":     {10, []int{3}, func(*handler.Batch, int) error { return handler.RetryAfter(errSink, time.Second) }},
		"index too great":  {10, []int{3}, unusable(func(b *handler.Batch, bad int) int { return len(b.Deliveries) })},
		"index below zero": {10, []int{3}, unusable(func(b *handler.Batch, bad int) int { return bad - len(b.Deliveries) - 1 })},
		"an empty BatchError": {10, []int{3}, func(*handler.Batch, int) error {
			return fmt.Errorf("write: %w", &handler.BatchError{})
		}},
		"a nil BatchError": {10, []int{3}, func(*handler.Batch, int) error { return (*handler.BatchError)(nil) }},
		"a BatchError beside another error": {10, []int{3}, func(b *handler.Batch, bad int) error {
			named := &handler.BatchError{Failed: map[int]error{(bad + 1) % len(b.Deliveries): handler.Permanent(errSink)}}
			return errors.Join(named, errSink)
		}},
		"named nil": {10, []int{3}, func(_ *handler.Batch, bad int) error {
			return &handler.BatchError{Failed: map[int]error{bad: nil}}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(r *rig) {
				ids := r.add(c.size)
				bad := map[stream.ID]bool{}
				for _, i := range c.poison {
					bad[ids[i]] = true
				}
				h := &recorder{answer: func(_ context.Context, b *handler.Batch) error {
					for i, d := range b.Deliveries {
						if bad[d.ID] {
							return c.fail(b, i)
						}
					}
					return nil
				}}
				running := r.start("c-0", h, func(cfg *config) { cfg.BatchSize = c.size })
				time.Sleep(time.Minute)

				var buried []stream.ID
				for _, l := range r.server.Letters(groupName) {
					buried = append(buried, l.ID)
					if l.Attempts != 3 {
						t.Errorf("%s is buried after %d attempts, want 3", l.ID, l.Attempts)
					}
				}
				for _, id := range ids {
					if bad[id] != slices.Contains(buried, id) {
						t.Errorf("%s: at fault %v, buried %v", id, bad[id], !bad[id])
					}
					alone := 0
					for _, call := range h.of(id) {
						i := slices.Index(call.ids, id)
						if len(call.ids) > 1 && call.attempts[i] != 1 {
							t.Errorf("%s: attempt %d in a call of %d: a split counts none", id, call.attempts[i], len(call.ids))
						}
						if len(call.ids) == 1 {
							alone++
						}
					}
					if bad[id] && alone != 3 {
						t.Errorf("%s failed alone %d times, want 3", id, alone)
					}
					if !bad[id] {
						r.wantAcked(id)
					}
				}
				if err := running.stop(handler.ErrStopping); err != nil {
					t.Error(err)
				}
				r.wantPending(nil)
				r.wantAccounted()
			})
		})
	}
}

// unusable is a BatchError that would bury what it names, were it usable.
func unusable(index func(b *handler.Batch, bad int) int) func(*handler.Batch, int) error {
	return func(b *handler.Batch, bad int) error {
		return &handler.BatchError{Failed: map[int]error{
			bad:           handler.Permanent(errSink),
			index(b, bad): handler.Permanent(errSink),
		}}
	}
}

// TestNamedFailures: a BatchError settles what it does not name.
func TestNamedFailures(t *testing.T) {
	bubble(t, func(r *rig) {
		ids := r.add(10)
		want := map[stream.ID]int{ids[2]: 3, ids[5]: 1, ids[7]: 5} // calls
		h := &recorder{}
		h.answer = func(_ context.Context, b *handler.Batch) error {
			failed := &handler.BatchError{}
			for i, d := range b.Deliveries {
				switch n := len(h.of(d.ID)); d.ID {
				case ids[2]:
					failed.Fail(i, errSink)
				case ids[5]:
					failed.Fail(i, handler.Permanent(errSink))
				case ids[7]:
					if n < 5 {
						failed.Fail(i, handler.Unavailable(errSink))
					}
				}
			}
			return failed.Err()
		}
		r.start("c-0", h)
		time.Sleep(time.Minute)
		for i, id := range ids {
			n := len(h.of(id))
			if w := max(1, want[id]); n != w {
				t.Errorf("entry %d is in %d calls, want %d", i, n, w)
			}
			if i != 2 && i != 5 {
				r.wantAcked(id)
			}
		}
		if n := len(r.server.Letters(groupName)); n != 2 {
			t.Errorf("%d letters, want 2", n)
		}
	})
}

// TestSplitKeepsOrder: the halves of a batch come in its order, before
// anything that came later.
func TestSplitKeepsOrder(t *testing.T) {
	bubble(t, func(r *rig) {
		ids := r.add(20)
		var done []stream.ID
		h := &recorder{answer: func(_ context.Context, b *handler.Batch) error {
			if len(b.Deliveries) > 1 {
				return errSink
			}
			done = append(done, b.Deliveries[0].ID)
			return nil
		}}
		r.start("c-0", h, func(cfg *config) { cfg.Concurrency = 1 })
		pass(time.Minute)
		if !slices.Equal(done, ids) {
			t.Errorf("done in the order %v, want %v", done, ids)
		}
	})
}
