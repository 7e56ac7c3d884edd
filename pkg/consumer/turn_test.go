package consumer_test

import (
	"context"
	"testing"
	"time"

	"example.com/fanout/pkg/consumer/consumertest"
	"example.com/fanout/pkg/event"
	"example.com/fanout/pkg/handler"
)

// TestTurns counts the turns of a loop that has nothing to do, in each state in
// which it can wait: a few a second at most, and one each few seconds at least.
func TestTurns(t *testing.T) {
	t.Parallel()
	hang := func(r *rig) error { r.deaf(24 * time.Hour); return nil }
	for name, c := range map[string]struct {
		left   int64 // as in TestCountAfterStop; 0: nothing
		answer func(r *rig) error
		change func(*config)
		faults func(consumertest.Call) consumertest.Fault
		before func(r *rig)
		then   func(r *rig, c *running)
	}{
		"at rest":                {},
		"a call":                 {left: -1, answer: hang, change: func(cfg *config) { cfg.Timeout = 24 * time.Hour }},
		"a stuck call":           {left: -1, answer: hang},
		"stuck in every slot":    {left: -1, answer: hang, change: func(cfg *config) { cfg.Concurrency = 1 }},
		"a stuck suspect":        {left: 2, answer: hang, change: func(cfg *config) { cfg.Concurrency = 1 }},
		"a suspect at the gate":  {left: 2, before: otherSuspect},
		"a suspect and no slot":  {left: 2, answer: hang, change: func(cfg *config) { cfg.Concurrency = 1 }, then: func(r *rig, _ *running) { r.add(10) }},
		"no room":                {left: -1, answer: hang, change: func(cfg *config) { cfg.BatchSize, cfg.Concurrency = 1, 1 }, before: func(r *rig) { r.add(100) }},
		"a retry":                {left: -1, answer: func(*rig) error { return handler.RetryAfter(errSink, time.Hour) }, change: func(cfg *config) { cfg.Retry.Max = time.Hour }},
		"the sink is down":       {left: -1, answer: func(*rig) error { return handler.Unavailable(errSink) }},
		"it is, for a suspect":   {left: 2, answer: func(*rig) error { return handler.Unavailable(errSink) }},
		"it is, for hours":       {left: 2, answer: func(*rig) error { return handler.RetryAfter(handler.Unavailable(errSink), time.Hour) }, change: func(cfg *config) { cfg.Retry.Max = time.Hour }},
		"lingering":              {left: -1, change: func(cfg *config) { cfg.Linger = time.Hour }},
		"without redis":          {left: -1, answer: hang, faults: away},
		"acks fail":              {left: -1, faults: failing(consumertest.Ack)},
		"touches fail":           {left: -1, answer: hang, faults: failing(consumertest.Hold)},
		"burials fail":           {left: -1, answer: func(*rig) error { return handler.Permanent(errSink) }, faults: failing(consumertest.Bury)},
		"letters are full":       {left: -1, answer: func(*rig) error { return handler.Permanent(errSink) }, before: fullLetters},
		"draining":               {left: -1, answer: hang, change: func(cfg *config) { cfg.DrainTimeout = time.Hour }, then: func(_ *rig, c *running) { c.cancel(errRestart) }},
		"draining without redis": {left: -1, answer: hang, change: func(cfg *config) { cfg.DrainTimeout = time.Hour }, then: func(r *rig, c *running) { r.server.SetFaults(away); c.cancel(handler.ErrStopping) }},
		"a remnant":              {left: -1, answer: hang, then: func(r *rig, c *running) { _ = c.stop(errRestart) }},
		"a remnant of no redis":  {left: -1, answer: hang, then: func(r *rig, c *running) { r.server.SetFaults(away); _ = c.stop(errRestart) }},
		"its group is gone":      {left: -1, answer: hang, then: func(r *rig, _ *running) { r.server.DestroyGroup(groupName); time.Sleep(30 * time.Second) }},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(r *rig) {
				if c.before != nil {
					c.before(r)
				}
				switch {
				case c.left < 0:
					r.add(1)
				case c.left > 0:
					r.leave("c-0", false, c.left)
				}
				r.server.SetFaults(c.faults)
				h := &recorder{}
				if c.answer != nil {
					h.answer = func(context.Context, *handler.Batch) error { return c.answer(r) }
				}
				change := c.change
				if change == nil {
					change = func(*config) {}
				}
				running := r.start("c-0", h, change)
				time.Sleep(10 * time.Second)
				if c.then != nil {
					c.then(r, running)
				}
				time.Sleep(time.Minute) // backoffs are at their longest

				const watched = 12 * time.Second
				turns, last := 0, running.Beat()
				for began := time.Now(); time.Since(began) < watched; time.Sleep(5 * time.Millisecond) {
					beat := running.Beat()
					if beat.IsZero() {
						t.Fatal("the loop has ended")
					}
					if time.Since(beat) > 5*time.Second+10*time.Millisecond {
						t.Fatalf("no turn since %s", time.Since(beat))
					}
					if !beat.Equal(last) {
						turns++
						last = beat
					}
				}
				if most := 5 * int(watched/time.Second); turns > most {
					t.Errorf("%d turns in %s, want at most %d", turns, watched, most)
				}
			})
		})
	}
}

func failing(op consumertest.Op) func(consumertest.Call) consumertest.Fault {
	return func(c consumertest.Call) consumertest.Fault {
		if c.Op == op {
			return consumertest.Fault{Fail: errAway}
		}
		return consumertest.Fault{}
	}
}

// otherSuspect is in a call, so that nobody else passes the gate.
func otherSuspect(r *rig) {
	r.leave("other", false, 2)
	r.start("other", &recorder{answer: func(ctx context.Context, _ *handler.Batch) error { return pause(ctx, 24*time.Hour) }},
		func(cfg *config) { cfg.Timeout = 48 * time.Hour })
	time.Sleep(time.Second)
}

// fullLetters leaves no room for another dead letter.
func fullLetters(r *rig) {
	r.server.LimitLetters(1)
	c := r.start("poisoned", &recorder{})
	r.server.AddEvent(`{"truncated`)
	time.Sleep(time.Second)
	_ = c.stop(handler.ErrStopping)
}

// TestTimesAreKept: what becomes due while nothing else happens is done then,
// not when something else wakes the loop.
func TestTimesAreKept(t *testing.T) {
	bubble(t, func(r *rig) {
		h := &recorder{}
		h.answer = func(context.Context, *handler.Batch) error {
			if len(h.all()) < 3 {
				return handler.RetryAfter(errSink, 700*time.Millisecond)
			}
			return nil
		}
		r.start("c-0", h, func(cfg *config) {
			cfg.Linger, cfg.ReadWait, cfg.Decoder.Format = 300*time.Millisecond, time.Hour, event.Raw
		})
		time.Sleep(10 * time.Second)
		added := time.Now()
		id := r.add(1)[0]
		time.Sleep(10 * time.Second)
		calls := h.of(id)
		if len(calls) != 3 {
			t.Fatalf("%d calls, want 3", len(calls))
		}
		for i, want := range []time.Duration{300 * time.Millisecond, time.Second, 1700 * time.Millisecond} {
			if got := calls[i].began.Sub(added); got != want {
				t.Errorf("call %d after %s, want %s", i+1, got, want)
			}
		}
	})
}

// TestTriesAreInTime: what Redis has refused is tried again after its backoff,
// though nothing else happens.
func TestTriesAreInTime(t *testing.T) {
	t.Parallel()
	for _, op := range []consumertest.Op{consumertest.Ack, consumertest.Bury} {
		t.Run(string(op), func(t *testing.T) {
			bubble(t, func(r *rig) {
				r.server.SetFaults(func(c consumertest.Call) consumertest.Fault {
					if c.N == 1 && c.Op == op {
						return consumertest.Fault{Fail: errAway}
					}
					return consumertest.Fault{}
				})
				r.start("c-0", &recorder{}, func(cfg *config) { cfg.ReadWait = time.Hour })
				time.Sleep(10 * time.Second)
				payload := `{"n":1}`
				if op == consumertest.Bury {
					payload = `{"truncated`
				}
				r.server.AddEvent(payload)
				time.Sleep(300 * time.Millisecond)
				r.wantPending(nil)
			})
		})
	}
}
