package consumer_test

import (
	"context"
	"testing"
	"time"

	"example.com/fanout/pkg/consumer/consumertest"
	"example.com/fanout/pkg/handler"
)

// TestBacklogFillsBatches: a small batch, such as the first, leaves no small ones
// behind it for as long as there is enough to read.
func TestBacklogFillsBatches(t *testing.T) {
	t.Parallel()
	const size, entries = 100, 5000
	for name, took := range map[string]struct{ read, handle, ack time.Duration }{
		"slow handler":         {2, 20, 3},
		"slow acknowledgement": {2, 5, 20},
		"slow reads":           {20, 5, 2},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(r *rig) {
				r.server.SetFaults(func(c consumertest.Call) consumertest.Fault {
					switch c.Op {
					case consumertest.Read:
						return consumertest.Fault{Delay: took.read * time.Millisecond}
					case consumertest.Ack:
						return consumertest.Fault{Delay: took.ack * time.Millisecond}
					}
					return consumertest.Fault{}
				})
				h := &recorder{answer: func(ctx context.Context, _ *handler.Batch) error {
					return pause(ctx, took.handle*time.Millisecond)
				}}
				ids := r.add(entries)
				r.start("c-0", h, func(cfg *config) { cfg.BatchSize, cfg.Concurrency = size, 1 })
				time.Sleep(time.Minute)
				r.wantAcked(ids...)
				var small []int
				before := 0
				for _, call := range h.all() {
					if n := len(call.ids); n < size && before > entries/5 && before+n < entries {
						small = append(small, n)
					}
					before += len(call.ids)
				}
				if len(small) > 0 {
					t.Errorf("calls of %v entries in a backlog of %d, want batches of %d", small, entries, size)
				}
			})
		})
	}
}

// TestRetriesLeaveRoomToRead: entries that wait for their retry take up room; a
// read of what little is left is not put off for them.
func TestRetriesLeaveRoomToRead(t *testing.T) {
	bubble(t, func(r *rig) {
		const size = 10
		h := &recorder{answer: func(_ context.Context, b *handler.Batch) error {
			var failed handler.BatchError
			for i, d := range b.Deliveries {
				if d.ID.Seq%8 != 0 || r.at() > 5*time.Minute {
					continue
				}
				failed.Fail(i, handler.RetryAfter(errSink, time.Minute))
			}
			return failed.Err()
		}}
		ids := r.add(100)
		r.start("c-0", h, func(cfg *config) {
			cfg.BatchSize, cfg.Concurrency = size, 1
			cfg.Retry.Max, cfg.Retry.Attempts = 10*time.Minute, 1000
		})
		pass(30 * time.Second)
		seen := 0
		for _, call := range h.all() {
			seen += len(call.ids)
		}
		if seen < len(ids) {
			t.Errorf("%d of %d entries handled while some wait for their retry", seen, len(ids))
		}
	})
}
