package consumer_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/stream"
)

// TestOutageCountsNothing: what waits for a sink that is down has the delivery
// count that it had before, so that processes which die meanwhile, however many,
// tell nothing against it; and each call is counted before it begins.
func TestOutageCountsNothing(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(b *handler.Batch) error{
		"of the whole call": func(*handler.Batch) error { return handler.Unavailable(errSink) },
		"by name": func(b *handler.Batch) error {
			named := &handler.BatchError{}
			for i := range b.Deliveries {
				named.Fail(i, handler.Unavailable(errSink))
			}
			return named.Err()
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(r *rig) {
				want := map[stream.ID]int64{}
				for i, id := range r.leave("c-0", false, 0, 1, 2, 1) {
					want[id] = []int64{0, 1, 2, 1}[i]
				}
				for _, id := range r.add(3) {
					want[id] = 0
				}
				h := &recorder{answer: func(_ context.Context, b *handler.Batch) error {
					counts := map[stream.ID]int64{}
					for _, p := range r.server.Pending(groupName) {
						counts[p.ID] = p.Count
					}
					for _, d := range b.Deliveries {
						if counts[d.ID] != want[d.ID]+1 || d.Count != want[d.ID]+1 {
							r.Errorf("%s is called with count %d, and %d in redis, want %d", d.ID, d.Count, counts[d.ID], want[d.ID]+1)
						}
					}
					if r.at() < time.Minute {
						return answer(b)
					}
					return nil
				}}
				c := r.start("c-0", h, func(cfg *config) { cfg.BatchSize = 2 })
				time.Sleep(30 * time.Second)
				if len(h.all()) < 10 {
					t.Fatalf("%d calls, want a probe now and then", len(h.all()))
				}
				got := map[stream.ID]int64{}
				for _, p := range r.server.Pending(groupName) {
					got[p.ID] = p.Count
				}
				for id, n := range got {
					if n > max(want[id], 1) { // what was never called has the count of its read
						t.Errorf("%s has count %d while it waits, had %d before", id, n, want[id])
					}
				}
				if len(got) != len(want) {
					t.Errorf("pending %v, want %v", fmt.Sprint(got), fmt.Sprint(want))
				}
				time.Sleep(time.Minute)
				for id := range want {
					r.wantAcked(id)
				}
				_ = c.stop(handler.ErrStopping)
				r.wantAccounted()
			})
		})
	}
}

// TestFullLettersCountNothing: what waits for room among the dead letters has
// come back, too.
func TestFullLettersCountNothing(t *testing.T) {
	bubble(t, func(r *rig) {
		r.server.LimitLetters(1)
		first := r.server.AddEvent(`{"truncated`)
		r.start("c-0", &recorder{answer: func(context.Context, *handler.Batch) error { return handler.Permanent(errSink) }})
		time.Sleep(time.Second)
		ids := r.leave("c-0", false, 1, 2)
		free := r.leave("former", true, 1, 2)
		r.running[0].Claim()
		time.Sleep(time.Minute)
		r.wantPending(map[stream.ID]int64{free[0]: 1, free[1]: 2, ids[0]: 1, ids[1]: 2})
		if letters := r.server.Letters(groupName); len(letters) != 1 || letters[0].ID != first {
			t.Errorf("letters %s", brief(letters))
		}
	})
}
