package consumer_test

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"time"

	"example.com/fanout/pkg/deadletter"
	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/telemetry"
)

// hostile is an error that cannot be looked at.
type hostile struct{}

func (hostile) Error() string { panic("no text") }

func always(err error) func(int) error { return func(int) error { return err } }

// times answers err n times, and then that all is done.
func times(n int, err error) func(int) error {
	return func(call int) error {
		if call <= n {
			return err
		}
		return nil
	}
}

// TestVerdict gives an entry to a handler whose n-th answer is answer(n), alone.
func TestVerdict(t *testing.T) {
	t.Parallel()
	named := func(err error) error {
		return &handler.BatchError{Failed: map[int]error{0: err}}
	}
	for name, c := range map[string]struct {
		answer   func(call int) error
		calls    int
		attempts int              // of the last call, from 1
		buried   deadletter.Stage // empty: acknowledged
		reason   telemetry.Reason
	}{
		"success":               {always(nil), 1, 1, "", 0},
		"failure":               {always(errSink), 3, 3, deadletter.Handle, telemetry.ReasonError},
		"failure, then success": {times(2, errSink), 3, 3, "", telemetry.ReasonError},
		"permanent":             {always(handler.Permanent(errSink)), 1, 1, deadletter.Handle, telemetry.ReasonPermanent},
		"unavailable":           {times(7, handler.Unavailable(errSink)), 8, 1, "", telemetry.ReasonUnavailable},
		"later":                 {always(handler.RetryAfter(errSink, time.Hour)), 3, 3, deadletter.Handle, telemetry.ReasonError},
		"named":                 {always(named(errSink)), 3, 3, deadletter.Handle, telemetry.ReasonError},
		"named permanent":       {always(named(handler.Permanent(errSink))), 1, 1, deadletter.Handle, telemetry.ReasonPermanent},
		"named unavailable":     {times(7, named(handler.Unavailable(errSink))), 8, 1, "", telemetry.ReasonUnavailable},
		"panic":                 {func(int) error { panic("handler panics") }, 3, 3, deadletter.Panic, telemetry.ReasonPanic},
		"panic of the error":    {always(hostile{}), 3, 3, deadletter.Panic, telemetry.ReasonPanic},
		"panic of a named one":  {always(named(hostile{})), 3, 3, deadletter.Panic, telemetry.ReasonPanic},
		"end of the goroutine":  {func(int) error { runtime.Goexit(); return nil }, 3, 3, deadletter.Panic, telemetry.ReasonPanic},
		"nil BatchError":        {always((*handler.BatchError)(nil)), 3, 3, deadletter.Handle, telemetry.ReasonError},
		"empty BatchError":      {always(&handler.BatchError{}), 3, 3, deadletter.Handle, telemetry.ReasonError},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(r *rig) {
				h := &recorder{}
				h.answer = func(context.Context, *handler.Batch) error { return c.answer(len(h.all())) }
				running := r.start("c-0", h)
				id := r.add(1)[0]
				time.Sleep(time.Minute)

				calls := h.of(id)
				if len(calls) != c.calls || calls[len(calls)-1].attempts[0] != c.attempts {
					t.Errorf("calls %+v, want %d, the last one attempt %d", calls, c.calls, c.attempts)
				}
				letters := r.server.Letters(groupName)
				if c.buried == "" {
					r.wantAcked(id)
					if len(letters) > 0 {
						t.Errorf("buried as %+v", letters)
					}
				} else if len(letters) != 1 || letters[0].Stage != c.buried || letters[0].Attempts != c.attempts || letters[0].ID != id {
					t.Errorf("letters %s, want one of stage %s after %d attempts", brief(letters), c.buried, c.attempts)
				}
				failed := c.calls
				if c.buried == "" {
					failed--
				}
				if n := r.metrics.HandleErrors[c.reason].Load(); n != int64(failed) {
					t.Errorf("%d failed calls for reason %d, want %d", n, c.reason, failed)
				}
				if n := r.metrics.Retries.Load(); n != int64(c.calls-1) {
					t.Errorf("%d retries, want %d", n, c.calls-1)
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

// TestRetryWaits looks at the time between attempts.
func TestRetryWaits(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err  error
		from []time.Duration // least wait before each retry
		to   []time.Duration // longest
	}{
		"doubling up to max_backoff": {
			errSink,
			[]time.Duration{75 * time.Millisecond, 150 * time.Millisecond, 300 * time.Millisecond, 600 * time.Millisecond, 750 * time.Millisecond, 750 * time.Millisecond},
			[]time.Duration{100 * time.Millisecond, 200 * time.Millisecond, 400 * time.Millisecond, 800 * time.Millisecond, time.Second, time.Second},
		},
		"as asked": {
			handler.RetryAfter(errSink, 900*time.Millisecond),
			[]time.Duration{900 * time.Millisecond, 900 * time.Millisecond},
			[]time.Duration{900 * time.Millisecond, 900 * time.Millisecond},
		},
		"asked for more than max_backoff": {
			handler.RetryAfter(errSink, time.Hour),
			[]time.Duration{time.Second, time.Second},
			[]time.Duration{time.Second, time.Second},
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(r *rig) {
				h := &recorder{answer: func(context.Context, *handler.Batch) error { return c.err }}
				r.start("c-0", h, attempts(len(c.from)+1))
				r.add(1)
				time.Sleep(80 * time.Millisecond)
				if n := r.metrics.Retrying.Load(); len(h.all()) == 1 && n != 1 {
					t.Errorf("%d wait for their next attempt, want 1", n)
				}
				time.Sleep(time.Minute)
				calls := h.all()
				if len(calls) != len(c.from)+1 {
					t.Fatalf("%d calls, want %d", len(calls), len(c.from)+1)
				}
				for i := range c.from {
					if wait := calls[i+1].began.Sub(calls[i].ended); wait < c.from[i] || wait > c.to[i] {
						t.Errorf("retry %d came after %s, want %s to %s", i+1, wait, c.from[i], c.to[i])
					}
				}
			})
		})
	}
}

// TestRetryKeepsOthersGoing: what waits for its next attempt takes up no slot.
func TestRetryKeepsOthersGoing(t *testing.T) {
	bubble(t, func(r *rig) {
		bad := r.add(1)[0]
		h := &recorder{answer: func(_ context.Context, b *handler.Batch) error {
			if has(b, bad) {
				return handler.RetryAfter(errSink, time.Second)
			}
			return nil
		}}
		r.start("c-0", h, attempts(1000), func(cfg *config) { cfg.Concurrency = 1 })
		time.Sleep(100 * time.Millisecond)
		good := r.add(50)
		time.Sleep(100 * time.Millisecond)
		r.wantAcked(good...)
		if n := len(h.of(bad)); n != 1 {
			t.Errorf("%d calls with the failing one, want 1 so far", n)
		}
	})
}

func attempts(n int) func(*config) { return func(cfg *config) { cfg.Retry.Attempts = n } }

// TestLetterTells: a dead letter says what has happened to its entry.
func TestLetterTells(t *testing.T) {
	bubble(t, func(r *rig) {
		h := &recorder{answer: func(context.Context, *handler.Batch) error { return errors.New("no such market") }}
		r.start("c-0", h)
		id := r.server.Add(streamName, "event", `{"n":1}`, "also", "again", "also", "\xff")
		time.Sleep(time.Minute)
		letters := r.server.Letters(groupName)
		if len(letters) != 1 {
			t.Fatalf("%d letters, want 1", len(letters))
		}
		l, calls := letters[0], h.all()
		if l.ID != id || l.Stream != streamName || l.Epoch != r.server.Epoch() || l.Group != groupName || l.Consumer != "c-0" ||
			l.Handler != "test" || l.Error != "no such market" || l.Deliveries != 1 {
			t.Errorf("letter %+v", l)
		}
		if !l.FirstFailure.Equal(calls[0].ended) || !l.LastFailure.Equal(calls[2].ended) {
			t.Errorf("failed from %s to %s, want from %s to %s", l.FirstFailure, l.LastFailure, calls[0].ended, calls[2].ended)
		}
		if len(l.Entry.Fields) != 3 || string(l.Entry.Fields[1].Value) != "again" || string(l.Entry.Fields[2].Value) != "\xff" {
			t.Errorf("fields %q", l.Entry.Fields)
		}
	})
}
