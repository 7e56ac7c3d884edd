package consumer_test

import (
	"context"
	"testing"
	"time"

	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/stream"
)

// TestFind: a consumer tells of what it holds since when it has it, how often it
// was tried, and what it waits for; of everything else it knows nothing.
func TestFind(t *testing.T) {
	bubble(t, func(r *rig) {
		bad := r.add(1)[0]
		h := &recorder{answer: func(ctx context.Context, b *handler.Batch) error {
			if has(b, bad) {
				return errSink
			}
			return pause(ctx, 2*time.Second)
		}}
		c := r.start("c", h, func(cfg *config) {
			cfg.Retry.Backoff.Min, cfg.Retry.Backoff.Max = time.Hour, time.Hour
		})
		began := time.Now()
		pass(time.Second)
		if held := c.Find(r.ctx, bad); held == nil || held.Fails != 1 || held.Since.Before(began) || held.Since.After(time.Now()) ||
			!held.Running.IsZero() || !held.Next.After(time.Now().Add(time.Minute)) {
			t.Errorf("what failed once is %+v", held)
		}
		slow := r.add(1)
		pass(time.Second)
		if held := c.Find(r.ctx, slow[0]); held == nil || held.Fails != 0 || held.Running.IsZero() || held.Since.After(held.Running) || !held.Next.IsZero() {
			t.Errorf("what is handled is %+v", held)
		}
		pass(5 * time.Second)
		for what, id := range map[string]stream.ID{"settled": slow[0], "not there": {Ms: 1 << 60}} {
			if held := c.Find(r.ctx, id); held != nil {
				t.Errorf("what is %s is %+v", what, held)
			}
		}
		_ = c.stop(handler.ErrStopping)
		if held := c.Find(r.ctx, bad); held != nil {
			t.Errorf("a consumer that has ended holds %+v", held)
		}
	})
}
