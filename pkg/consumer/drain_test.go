package consumer_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"example.com/fanout/pkg/consumer"
	"example.com/fanout/pkg/consumer/consumertest"
	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/stream"
	"example.com/fanout/pkg/telemetry"
)

// TestDrain stops a consumer during a call of ten entries, with ten more at
// hand.
func TestDrain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cause    error
		drain    time.Duration
		call     time.Duration // how long the call would take
		heedless bool          // it does not look at its context, but ends soon
		answer   error         // of a cancelled call
		took     time.Duration // the drain
		acked    int
		free     bool // what is left can be claimed by others at once
	}{
		"stop, the call ends in time":    {handler.ErrStopping, drain, 2 * time.Second, false, nil, 2 * time.Second, 10, true},
		"stop, the call is cancelled":    {handler.ErrStopping, drain, time.Hour, false, nil, drain, 0, true},
		"stop, it ignores that a while":  {handler.ErrStopping, drain, drain + 700*time.Millisecond, true, errSink, drain + 700*time.Millisecond, 0, true},
		"stop, it is done all the same":  {handler.ErrStopping, drain, drain + 700*time.Millisecond, true, nil, drain + 700*time.Millisecond, 10, true},
		"stop, it has done some":         {handler.ErrStopping, drain, time.Hour, false, &handler.BatchError{Failed: map[int]error{3: errSink}}, drain, 9, true},
		"stop, it says permanent":        {handler.ErrStopping, drain, time.Hour, false, handler.Permanent(errSink), drain, 0, true},
		"stop without a drain":           {handler.ErrStopping, 0, time.Hour, false, nil, 0, 0, true},
		"restart, the call ends in time": {errRestart, drain, 2 * time.Second, false, nil, 2 * time.Second, 10, false},
		"restart, it is cancelled":       {errRestart, drain, time.Hour, false, nil, drain, 0, false},
		"restart without a drain":        {errRestart, 0, time.Hour, false, nil, 0, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(r *rig) {
				ids := r.add(20)
				h := &recorder{answer: func(ctx context.Context, _ *handler.Batch) error {
					if c.heedless {
						r.deaf(c.call)
						return c.answer
					}
					if err := pause(ctx, c.call); err != nil {
						if c.answer != nil {
							return c.answer
						}
						return err
					}
					return nil
				}}
				running := r.start("c-0", h, func(cfg *config) {
					cfg.Concurrency, cfg.DrainTimeout, cfg.Timeout = 1, c.drain, 2*time.Hour
				})
				time.Sleep(100 * time.Nanosecond)
				began := time.Now()
				if err := running.stop(c.cause); err != nil {
					t.Error(err)
				}
				if took := time.Since(began).Round(time.Microsecond); took != c.took {
					t.Errorf("the drain took %s, want %s", took, c.took)
				}
				calls := h.all()
				if len(calls) != 1 {
					t.Errorf("%d calls, want one: none begins during the drain", len(calls))
				}
				if cancelled := c.call > c.drain; cancelled != errors.Is(calls[0].cause, handler.ErrStopping) {
					t.Errorf("cause of the call's context %v, cancelled %v", calls[0].cause, cancelled)
				}
				if got := len(ids) - len(r.counts()); got != c.acked {
					t.Errorf("%d acknowledged, want %d", got, c.acked)
				}
				for id, n := range r.counts() {
					if n != 0 {
						t.Errorf("%s is left with count %d, want it undone to 0", id, n)
					}
				}
				if s := running.Status(); s.State != consumer.Stopped || s.InFlight != 0 {
					t.Errorf("status %+v, want stopped with nothing in flight", s)
				}
				r.wantSettled(telemetry.Released, int64(20-c.acked))
				r.wantAccounted()
				if got := len(r.steal(time.Hour)); c.free != (got > 0) || c.free && got != 20-c.acked {
					t.Errorf("%d can be claimed at once, free %v", got, c.free)
				}
			})
		})
	}
}

// TestStopEverywhere stops a consumer while an entry waits in one of the places
// where it can be.
func TestStopEverywhere(t *testing.T) {
	t.Parallel()
	blocking := func(ctx context.Context, _ *handler.Batch) error { return pause(ctx, time.Hour) }
	for name, c := range map[string]struct {
		left   int64 // as in TestCountAfterStop
		answer func(ctx context.Context, b *handler.Batch) error
		change func(*config)
		faults func(consumertest.Call) consumertest.Fault
		want   int64 // delivery count
	}{
		"lingering": {left: -1, change: func(cfg *config) { cfg.Linger = time.Minute }},
		"waiting for its retry": {
			left:   -1,
			answer: func(context.Context, *handler.Batch) error { return handler.RetryAfter(errSink, time.Hour) },
			change: func(cfg *config) { cfg.Retry.Max = time.Hour },
		},
		"held for the sink": {
			left:   -1,
			answer: func(context.Context, *handler.Batch) error { return handler.Unavailable(errSink) },
		},
		"its count is being raised": {
			left: 1, want: 1,
			faults: func(c consumertest.Call) consumertest.Fault {
				if c.Op == consumertest.Hold && c.N == 2 { // the first was that of leave
					return consumertest.Fault{Delay: 2 * time.Second}
				}
				return consumertest.Fault{}
			},
		},
		"raising its count fails": {
			left: 1, want: 1,
			faults: func(c consumertest.Call) consumertest.Fault {
				if c.Op == consumertest.Hold && c.N < 8 {
					return consumertest.Fault{Lose: errAway}
				}
				return consumertest.Fault{}
			},
		},
		"a suspect's count is being raised": {
			left: 2, want: 2,
			faults: func(c consumertest.Call) consumertest.Fault {
				if c.Op == consumertest.Hold && c.N < 8 {
					return consumertest.Fault{Delay: 2 * time.Second, Lose: errAway}
				}
				return consumertest.Fault{}
			},
		},
		"on its way from redis": {
			left: -1,
			change: rewire(func(s *rewired) {
				s.read = func(_ context.Context, c *stream.Chunk, limit int, wait time.Duration) error {
					err := s.Source.Read(context.Background(), c, limit, wait)
					time.Sleep(2 * time.Second)
					return err
				}
			}),
		},
		"on its way from the own list": {
			left: 1, want: 1,
			change: rewire(func(s *rewired) {
				s.own = func(_ context.Context, after stream.ID, limit int) (stream.Page, error) {
					page, err := s.Source.Own(context.Background(), after, limit)
					time.Sleep(2 * time.Second)
					return page, err
				}
			}),
		},
		"in a page of the own list that was read before it was given back": {
			left: -1,
			change: func(cfg *config) {
				cfg.AuditInterval, cfg.DrainTimeout = 500*time.Millisecond, 0
				rewire(func(s *rewired) {
					s.own = func(_ context.Context, after stream.ID, limit int) (stream.Page, error) {
						page, err := s.Source.Own(context.Background(), after, limit)
						if len(page.Deliveries) > 0 {
							time.Sleep(2 * time.Second)
						}
						return page, err
					}
				})(cfg)
			},
			answer: blocking,
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(r *rig) {
				var id stream.ID
				if c.left < 0 {
					id = r.add(1)[0]
				} else {
					id = r.leave("c-0", false, c.left)[0]
				}
				r.server.SetFaults(c.faults)
				h := &recorder{answer: c.answer}
				change := c.change
				if change == nil {
					change = func(*config) {}
				}
				running := r.start("c-0", h, change)
				time.Sleep(time.Second + time.Millisecond)
				calls := len(h.all())
				if err := running.stop(handler.ErrStopping); err != nil {
					t.Error(err)
				}
				if n := len(h.all()); n != calls {
					t.Errorf("%d calls after the stop", n-calls)
				}
				r.wantPending(map[stream.ID]int64{id: c.want})
				if got := r.steal(time.Hour); len(got) != 1 {
					t.Errorf("claimable at once: %v, want it", got)
				}
				r.wantSettled(telemetry.Released, 1)
				r.wantAccounted()
			})
		})
	}
}

// TestLongRestart: what a restart keeps is nobody else's while a call drains.
func TestLongRestart(t *testing.T) {
	bubble(t, func(r *rig) {
		ids := r.add(20)
		h := &recorder{answer: func(context.Context, *handler.Batch) error {
			r.deaf(2 * time.Minute)
			return nil
		}}
		long := func(cfg *config) { cfg.Concurrency, cfg.DrainTimeout, cfg.Timeout = 1, 5*time.Minute, time.Hour }
		c := r.start("c-0", h, long)
		time.Sleep(time.Second)
		c.cancel(errRestart)
		for range 100 {
			time.Sleep(time.Second)
			if got := r.steal(minIdle); len(got) > 0 {
				t.Fatalf("claimable after %s: %v", r.at(), got)
			}
		}
		<-c.done
		r.wantAcked(ids[:10]...)
		again := &recorder{}
		r.start("c-0", again)
		time.Sleep(time.Second)
		r.wantAcked(ids...)
		if calls := again.all(); len(calls) != 1 || len(calls[0].ids) != 10 {
			t.Errorf("the successor's calls %+v, want one with the ten that were kept", calls)
		}
	})
}

// TestStopWithoutRedis: a stop does not wait for ever, and says what it does not
// know.
func TestStopWithoutRedis(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault  consumertest.Fault
		on     consumertest.Op
		within time.Duration
		err    error
	}{
		"acknowledgements fail":       {consumertest.Fault{Fail: errAway}, consumertest.Ack, drain + time.Second, consumer.ErrUnconfirmed},
		"their replies are lost":      {consumertest.Fault{Lose: errAway}, consumertest.Ack, drain + time.Second, consumer.ErrUnconfirmed},
		"acknowledgements hang":       {consumertest.Fault{Block: true}, consumertest.Ack, drain + 12*time.Second, consumer.ErrUnconfirmed},
		"they are slow":               {consumertest.Fault{Delay: 4 * time.Second}, consumertest.Ack, 8 * time.Second, nil},
		"they are too slow":           {consumertest.Fault{Delay: 9 * time.Second}, consumertest.Ack, drain + 11*time.Second, consumer.ErrUnconfirmed},
		"giving back fails":           {consumertest.Fault{Fail: errAway}, consumertest.Hold, drain + time.Second, nil},
		"the read does not come back": {consumertest.Fault{Block: true}, consumertest.Read, time.Second + time.Millisecond, nil},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(r *rig) {
				ids := r.add(30) // two calls, and the rest at hand
				release := make(chan struct{})
				h := &recorder{answer: func(ctx context.Context, b *handler.Batch) error {
					select {
					case <-release:
						if has(b, ids[10:20]...) { // its acknowledgements wait for those of the other
							time.Sleep(time.Second)
						}
						return nil
					case <-ctx.Done():
						return context.Cause(ctx)
					}
				}}
				running := r.start("c-0", h)
				time.Sleep(time.Second)
				r.server.SetFaults(func(call consumertest.Call) consumertest.Fault {
					if call.Op == c.on {
						return c.fault
					}
					return consumertest.Fault{}
				})
				time.Sleep(time.Second)
				began := time.Now()
				running.cancel(handler.ErrStopping)
				close(release)
				<-running.done
				if took := time.Since(began); took > c.within+10*time.Millisecond {
					t.Errorf("the stop took %s, want at most %s", took, c.within)
				}
				if !errors.Is(running.err, c.err) || c.err == nil && running.err != nil {
					t.Errorf("error %v, want %v", running.err, c.err)
				}
				for _, id := range ids {
					if n := len(h.of(id)); n > 1 {
						t.Errorf("%s is handled %d times", id, n)
					}
				}
				r.wantAccounted()
			})
		})
	}
}
