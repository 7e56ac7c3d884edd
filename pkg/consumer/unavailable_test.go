package consumer_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"example.com/fanout/pkg/consumer"
	"example.com/fanout/pkg/handler"
)

// TestUnavailable: while the sink is down a consumer holds what it has, takes no
// more, probes now and then with one call, buries nothing and counts nothing.
func TestUnavailable(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err         error
		least, most int // calls in the ten minutes of the outage
	}{
		"backs off up to max_backoff": {handler.Unavailable(errSink), 600, 820},
		"asked for less than that":    {handler.RetryAfter(handler.Unavailable(errSink), time.Millisecond), 600, 820},
		"asked for more":              {handler.RetryAfter(handler.Unavailable(errSink), time.Hour), 580, 600},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(r *rig) {
				down := func() bool { return r.at() > time.Second && r.at() < 10*time.Minute }
				h := &recorder{answer: func(ctx context.Context, _ *handler.Batch) error {
					time.Sleep(time.Millisecond)
					if down() {
						return c.err
					}
					return nil
				}}
				running := r.start("c-0", h, func(cfg *config) { cfg.Concurrency, cfg.BatchSize = 4, 2 })
				time.Sleep(2 * time.Second)
				ids := r.add(5)
				time.Sleep(5 * time.Second)
				ids = append(ids, r.add(500)...)
				time.Sleep(10*time.Minute - 10*time.Second)
				s := running.Status()
				if s.Hold.Kind != consumer.SinkDown || !strings.Contains(s.Hold.Error, errSink.Error()) || !s.Hold.Since.Equal(r.began.Add(2*time.Second+time.Millisecond)) || s.Hold.Next.IsZero() {
					t.Errorf("status %+v, want it holding since the outage began", s)
				}
				if n := len(r.server.Pending(groupName)); n != 5 {
					t.Errorf("%d are taken, want no more than at the begin of the outage", n)
				}
				if got := r.steal(minIdle); len(got) > 0 {
					t.Errorf("claimable: %v", got)
				}
				calls := h.all()
				if n := len(calls); n < c.least || n > c.most {
					t.Errorf("%d calls, want %d to %d", n, c.least, c.most)
				}
				for i, call := range calls[5:] {
					if call.began.Before(calls[5+i-1].ended) {
						t.Fatalf("two probes at once: %+v", call)
					}
				}
				time.Sleep(10 * time.Second)
				r.wantAcked(ids...)
				for _, call := range h.all() {
					for _, n := range call.attempts {
						if n != 1 {
							t.Fatalf("attempt %d, want none counted", n)
						}
					}
				}
				if s := running.Status(); s.Hold != (consumer.Hold{}) {
					t.Errorf("status %+v, want no hold", s)
				}
				_ = running.stop(handler.ErrStopping)
				r.wantAccounted()
			})
		})
	}
}

// TestSinkAnswers: any other answer than Unavailable says that the sink is
// there, but for one that took too long.
func TestSinkAnswers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer func(ctx context.Context) error // of the second call
		up     bool
	}{
		"success":   {func(context.Context) error { return nil }, true},
		"failure":   {func(context.Context) error { return errSink }, true},
		"permanent": {func(context.Context) error { return handler.Permanent(errSink) }, true},
		"timeout":   {func(ctx context.Context) error { return pause(ctx, time.Hour) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(r *rig) {
				h := &recorder{}
				h.answer = func(ctx context.Context, _ *handler.Batch) error {
					switch len(h.all()) {
					case 1:
						return handler.Unavailable(errSink)
					case 2:
						return c.answer(ctx)
					}
					return handler.RetryAfter(errSink, time.Hour)
				}
				running := r.start("c-0", h, func(cfg *config) { cfg.BatchSize, cfg.Timeout, cfg.Retry.Min = 1, 2*time.Second, time.Second })
				r.add(1)
				time.Sleep(500 * time.Millisecond)
				if running.Status().Hold.Kind == "" {
					t.Fatal("no hold after the first call")
				}
				time.Sleep(2600 * time.Millisecond)
				if up := running.Status().Hold.Kind == ""; up != c.up || len(h.all()) < 2 {
					t.Errorf("up %v after %d calls, want %v", up, len(h.all()), c.up)
				}
			})
		})
	}
}

// An outage that the handler tells of single deliveries is seen as one, for as
// long as nothing gets through.
func TestNamedOutageIsSeen(t *testing.T) {
	bubble(t, func(r *rig) {
		down := func() bool { return r.at() < time.Minute }
		h := &recorder{answer: func(_ context.Context, b *handler.Batch) error {
			named := &handler.BatchError{}
			for i := range b.Deliveries {
				if down() {
					named.Fail(i, handler.Unavailable(errSink))
				}
			}
			return named.Err()
		}}
		running := r.start("c-0", h)
		ids := r.add(5)
		time.Sleep(30 * time.Second)
		if s := running.Status(); s.Hold.Kind != consumer.NoneThrough || !strings.Contains(s.Hold.Error, errSink.Error()) || s.Hold.Since.IsZero() || s.LastFailure == "" {
			t.Errorf("while nothing gets through: %+v", s)
		}
		time.Sleep(2 * time.Minute)
		if s := running.Status(); s.Hold != (consumer.Hold{}) {
			t.Errorf("afterwards: %+v", s)
		}
		r.wantAcked(ids...)
		_ = running.stop(handler.ErrStopping)
		r.wantAccounted()
	})
}
