package consumer_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"example.com/fanout/pkg/deadletter"
	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/stream"
	"example.com/fanout/pkg/telemetry"
)

// TestTimeout: a deadline counts as an attempt, whatever the handler says about
// it, unless it says that its sink is down.
func TestTimeout(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer func(ctx context.Context) error // after the deadline
		calls  int                             // in a minute; 0: without end
		buried deadletter.Stage
	}{
		"gives the cause":  {context.Cause, 3, deadletter.Timeout},
		"gives ctx.Err":    {func(ctx context.Context) error { return ctx.Err() }, 3, deadletter.Timeout},
		"another error":    {func(context.Context) error { return errSink }, 3, deadletter.Timeout},
		"panics":           {func(context.Context) error { panic("too late") }, 3, deadletter.Panic},
		"success, late":    {func(context.Context) error { return nil }, 1, ""},
		"permanent":        {func(context.Context) error { return handler.Permanent(errSink) }, 1, deadletter.Handle},
		"the sink is down": {func(ctx context.Context) error { return handler.Unavailable(ctx.Err()) }, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(r *rig) {
				h := &recorder{answer: func(ctx context.Context, _ *handler.Batch) error {
					<-ctx.Done()
					return c.answer(ctx)
				}}
				r.start("c-0", h)
				id := r.add(1)[0]
				time.Sleep(time.Minute)
				calls := h.all()
				if took := calls[0].ended.Sub(calls[0].began); took != timeout || !errors.Is(calls[0].cause, handler.ErrTimeout) {
					t.Errorf("ctx was done after %s with cause %v, want %s and ErrTimeout", took, calls[0].cause, timeout)
				}
				letters := r.server.Letters(groupName)
				switch {
				case c.calls == 0:
					if len(calls) < 10 || len(letters) > 0 {
						t.Errorf("%d calls and letters %s, want it held", len(calls), brief(letters))
					}
					return
				case len(calls) != c.calls:
					t.Errorf("%d calls, want %d", len(calls), c.calls)
				}
				if c.buried == "" {
					r.wantAcked(id)
				} else if len(letters) != 1 || letters[0].Stage != c.buried {
					t.Errorf("letters %s, want one of stage %s", brief(letters), c.buried)
				}
			})
		})
	}
}

// TestStuckCall: a call that ignores its deadline keeps its slot and its
// entries, and no verdict is passed while it runs.
func TestStuckCall(t *testing.T) {
	bubble(t, func(r *rig) {
		ids := r.add(10)
		h := &recorder{}
		h.answer = func(_ context.Context, b *handler.Batch) error {
			if len(h.all()) == 1 {
				r.deaf(10 * time.Minute)
				return errSink
			}
			return nil
		}
		c := r.start("c-0", h, func(cfg *config) { cfg.Concurrency = 1 })
		later := r.add(5)
		time.Sleep(timeout + 500*time.Millisecond)
		if n := r.metrics.StuckCalls.Load(); n != 0 || c.Status().Stuck != 0 {
			t.Errorf("stuck before its grace is over: %d calls, status %d", n, c.Status().Stuck)
		}
		time.Sleep(time.Second)
		if n := r.metrics.StuckCalls.Load(); n != 1 || c.Status().Stuck != 1 {
			t.Errorf("%d calls are stuck, status %d, want 1", n, c.Status().Stuck)
		}
		for range 100 {
			time.Sleep(5 * time.Second)
			if got := r.steal(minIdle); len(got) > 0 {
				t.Fatalf("claimable while the call runs: %v", got)
			}
		}
		if calls := h.all(); len(calls) != 1 {
			t.Errorf("%d calls, want one: its slot is the only one", len(calls))
		}
		time.Sleep(5 * time.Minute)
		if n := r.metrics.StuckCalls.Load(); n != 0 || c.Status().Stuck != 0 {
			t.Errorf("%d calls are stuck, status %d, want none", n, c.Status().Stuck)
		}
		if calls := h.all(); len(calls) < 2 || len(calls[1].ids) != 5 || !calls[1].began.Equal(calls[0].ended) {
			t.Errorf("calls %+v, want a half of the first one when that has returned", calls)
		}
		r.wantAcked(append(ids, later...)...)
	})
}

// TestCountAfterStop: what a stop gives back has the delivery count of before,
// but for what has passed a deadline.
func TestCountAfterStop(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		left   int64 // delivery count of what a former process has left; -1: a new entry
		answer func(ctx context.Context, call int) error
		want   int64
	}{
		"new, cancelled":                {-1, func(ctx context.Context, _ int) error { return pause(ctx, time.Hour) }, 0},
		"new, failed":                   {-1, func(context.Context, int) error { return errSink }, 0},
		"new, unavailable":              {-1, func(context.Context, int) error { return handler.Unavailable(errSink) }, 0},
		"new, timed out":                {-1, late, 1},
		"new, timed out, then failed":   {-1, once(late), 1},
		"left once, cancelled":          {1, func(ctx context.Context, _ int) error { return pause(ctx, time.Hour) }, 1},
		"left once, failed":             {1, func(context.Context, int) error { return errSink }, 1},
		"left once, timed out":          {1, late, 2},
		"suspect, failed":               {2, func(context.Context, int) error { return errSink }, 2},
		"suspect, timed out":            {2, late, 3},
		"suspect, timed out, cancelled": {2, once(late), 3},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(r *rig) {
				var ids []stream.ID
				if c.left < 0 {
					ids = r.add(1)
				} else {
					ids = r.leave("c-0", false, c.left)
				}
				h := &recorder{}
				h.answer = func(ctx context.Context, _ *handler.Batch) error { return c.answer(ctx, len(h.all())) }
				running := r.start("c-0", h, attempts(1000), func(cfg *config) {
					cfg.DrainTimeout = 0
					cfg.Timeout = time.Second
					if c.want == max(c.left, 0) {
						cfg.Timeout = time.Hour
					}
				})
				time.Sleep(3*time.Second + 10*time.Millisecond)
				if err := running.stop(handler.ErrStopping); err != nil {
					t.Error(err)
				}
				r.wantPending(map[stream.ID]int64{ids[0]: c.want})
				if got := r.steal(time.Hour); len(got) != 1 {
					t.Errorf("claimable at once: %v, want it", got)
				}
				r.wantSettled(telemetry.Released, 1)
				r.wantAccounted()
			})
		})
	}
}

func late(ctx context.Context, _ int) error {
	<-ctx.Done()
	return context.Cause(ctx)
}

// once is late in the first call and waits in all others.
func once(late func(context.Context, int) error) func(context.Context, int) error {
	return func(ctx context.Context, call int) error {
		if call == 1 {
			return late(ctx, call)
		}
		return errSink
	}
}

// TestTimedOutBatch: its entries keep their count when they are given back, and
// it is split no sooner than its call has returned.
func TestTimedOutBatch(t *testing.T) {
	bubble(t, func(r *rig) {
		ids := r.add(4)
		h := &recorder{}
		h.answer = func(_ context.Context, b *handler.Batch) error {
			if len(h.all()) == 1 {
				r.deaf(time.Minute)
			}
			return errSink
		}
		c := r.start("c-0", h)
		time.Sleep(59 * time.Second)
		if n := len(h.all()); n != 1 {
			t.Fatalf("%d calls before the first has returned", n)
		}
		time.Sleep(time.Second + 50*time.Millisecond)
		if n := len(h.all()); n < 3 {
			t.Errorf("%d calls after the first has returned, want its halves", n)
		}
		_ = c.stop(handler.ErrStopping)
		want := map[stream.ID]int64{}
		for _, id := range ids {
			want[id] = 1
		}
		r.wantPending(want)
	})
}
