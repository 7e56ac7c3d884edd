package consumer_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"example.com/fanout/pkg/consumer"
	"example.com/fanout/pkg/consumer/consumertest"
	"example.com/fanout/pkg/deadletter"
	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/stream"
	"example.com/fanout/pkg/telemetry"
)

// counts are the delivery counts of what is pending.
func (r *rig) counts() map[stream.ID]int64 {
	counts := map[stream.ID]int64{}
	for _, p := range r.server.Pending(groupName) {
		counts[p.ID] = p.Count
	}
	return counts
}

// TestCountIsRaised looks at the delivery counts in Redis while a call runs,
// where a process would die of it.
func TestCountIsRaised(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		left []int64   // delivery counts of what a former process has left
		want [][]int64 // counts of all while the n-th call runs; 0: done
	}{
		"once there: all at once":      {[]int64{1, 1, 1}, [][]int64{{2, 2, 2}}},
		"given back":                   {[]int64{0, 0}, [][]int64{{1, 1}}},
		"suspects: one at a time":      {[]int64{2, 3, 2}, [][]int64{{3, 3, 2}, {0, 4, 2}, {0, 0, 3}}},
		"at max_deliveries: no call":   {[]int64{5, 7}, nil},
		"one below it is called again": {[]int64{4}, [][]int64{{5}}},
	} {
		for _, free := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, claimed %v", name, free), func(t *testing.T) {
				bubble(t, func(r *rig) {
					owner := "c-0"
					if free {
						owner = "former"
					}
					ids := r.leave(owner, free, c.left...)
					var got [][]int64
					h := &recorder{answer: func(context.Context, *handler.Batch) error {
						time.Sleep(time.Second) // what could be acknowledged before is
						var now []int64
						for _, id := range ids {
							now = append(now, r.counts()[id])
						}
						got = append(got, now)
						return nil
					}}
					running := r.start("c-0", h, func(cfg *config) { cfg.Concurrency = 1 })
					running.Claim()
					pass(time.Minute)
					if fmt.Sprint(got) != fmt.Sprint(c.want) {
						t.Errorf("counts at the calls %v, want %v", got, c.want)
					}
					letters := r.server.Letters(groupName)
					for i, id := range ids {
						if c.left[i] < 5 {
							r.wantAcked(id)
						} else if len(letters) != len(ids) || letters[i].ID != id || letters[i].Stage != deadletter.Crash || letters[i].Deliveries != c.left[i] {
							t.Errorf("letters %s, want one of stage crash", brief(letters))
						}
					}
					_ = running.stop(handler.ErrStopping)
					r.wantPending(nil)
					r.wantAccounted()
				})
			})
		}
	}
}

// TestSuspectsRunAlone: one at a time in the whole process, each by itself, and
// the others do not wait for them.
func TestSuspectsRunAlone(t *testing.T) {
	bubble(t, func(r *rig) {
		suspect := map[stream.ID]bool{}
		for i := range 3 {
			for _, id := range r.leave(fmt.Sprintf("c-%d", i), false, 2, 2, 3, 2) {
				suspect[id] = true
			}
		}
		running, most := 0, 0
		failed := map[stream.ID]bool{}
		h := &recorder{}
		h.answer = func(_ context.Context, b *handler.Batch) error {
			id := b.Deliveries[0].ID
			if !suspect[id] {
				return nil
			}
			if len(b.Deliveries) > 1 {
				t.Errorf("a suspect in a batch of %d", len(b.Deliveries))
			}
			h.mu.Lock()
			running++
			most = max(most, running)
			h.mu.Unlock()
			time.Sleep(time.Second)
			h.mu.Lock()
			defer h.mu.Unlock()
			running--
			if !failed[id] { // each once, so that there are retries among them
				failed[id] = true
				return errSink
			}
			return nil
		}
		for i := range 3 {
			r.start(fmt.Sprintf("c-%d", i), h)
		}
		time.Sleep(500 * time.Millisecond)
		others := r.add(50)
		time.Sleep(500 * time.Millisecond)
		r.wantAcked(others...)
		time.Sleep(time.Minute)
		r.wantAcked(slices.Collect(maps.Keys(suspect))...)
		if most != 1 {
			t.Errorf("%d suspects ran at once, want 1", most)
		}
	})
}

// TestComingBackIsAcknowledgedAtOnce: an entry that has come back is acknowledged as
// soon as it is handled. If the process ended before, for what another entry does,
// that would speak against this one.
func TestComingBackIsAcknowledgedAtOnce(t *testing.T) {
	for _, counts := range [][]int64{{1}, {2}, {1, 1, 1, 2}} {
		t.Run(fmt.Sprint(counts), func(t *testing.T) {
			bubble(t, func(r *rig) {
				ids := r.leave("c-0", false, counts...)
				r.start("c-0", &recorder{})
				time.Sleep(time.Millisecond)
				r.wantAcked(ids...)
			})
		})
		t.Run(fmt.Sprint("replays ", counts), func(t *testing.T) {
			bubble(t, func(r *rig) {
				ids := r.leave("c-0", false, counts...)
				r.start("c-0", &recorder{}, asReplays)
				time.Sleep(time.Millisecond)
				r.wantAcked(ids...)
			})
		})
	}
}

// TestGateIsLeft puts a consumer that cannot go on with its suspect beside
// another group's consumer, whose suspect must get its turn.
func TestGateIsLeft(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		blocked func(r *rig) error // what it answers
		within  time.Duration
	}{
		"its suspect hangs":               {func(r *rig) error { r.deaf(time.Hour); return nil }, timeout + 2*time.Second},
		"its sink is down":                {func(*rig) error { return handler.Unavailable(errSink) }, time.Second},
		"its suspect waits for its retry": {func(*rig) error { return handler.RetryAfter(errSink, time.Hour) }, time.Second},
		"its suspect panics":              {func(*rig) error { panic("handler panics") }, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(r *rig) {
				r.leave("c-0", false, 2, 2)
				other := r.leave("d-0", false, 2)[0]
				bad := &recorder{}
				bad.answer = func(context.Context, *handler.Batch) error { return c.blocked(r) }
				r.start("c-0", bad, func(cfg *config) {
					cfg.Concurrency = 1
					cfg.Retry.Attempts = 1000
				})
				time.Sleep(100 * time.Millisecond)
				if len(bad.all()) == 0 {
					t.Fatal("the first suspect is not called")
				}
				good := &recorder{}
				r.start("d-0", good)
				time.Sleep(c.within)
				if n := len(good.of(other)); n != 1 {
					t.Errorf("the other group's suspect is called %d times, want once", n)
				}
				r.wantAcked(other)
			})
		})
	}
}

// TestGateOutlivesConsumers: whenever a consumer is stopped, the gate is free
// afterwards.
func TestGateOutlivesConsumers(t *testing.T) {
	bubble(t, func(r *rig) {
		r.server.SetFaults(func(c consumertest.Call) consumertest.Fault {
			return consumertest.Fault{Delay: 5 * time.Millisecond}
		})
		for i := range 60 {
			name := fmt.Sprintf("c-%d", i)
			ids := r.leave(name, false, 2, 2)
			want := map[stream.ID]int64{ids[0]: 2, ids[1]: 2}
			running := r.start(name, &recorder{answer: func(ctx context.Context, _ *handler.Batch) error {
				return pause(ctx, time.Hour)
			}}, func(cfg *config) { cfg.DrainTimeout = 0 })
			time.Sleep(time.Duration(i) * 400 * time.Microsecond) // at each of its steps
			cause := errRestart
			if i%2 == 0 {
				cause = handler.ErrStopping
			}
			if err := running.stop(cause); err != nil {
				t.Errorf("stop: %v", err)
			}
			if got := r.counts(); got[ids[0]] != 2 || got[ids[1]] != 2 {
				t.Errorf("stopped after %s: delivery counts %v, want %v", time.Duration(i)*400*time.Microsecond, got, want)
			}
			src := r.server.Source(groupName, name, minIdle)
			_, _ = src.Ack(context.Background(), nil, ids)
			src.Close()
		}
		r.server.SetFaults(nil)
		last := r.leave("last", false, 2)[0]
		r.start("last", &recorder{})
		time.Sleep(100 * time.Millisecond)
		r.wantAcked(last)
	})
}

// TestSuspectAndSink: suspects are all that a consumer has, and its sink comes
// back: one of them finds out.
func TestSuspectAndSink(t *testing.T) {
	bubble(t, func(r *rig) {
		ids := r.leave("c-0", false, 2, 2, 2)
		h := &recorder{answer: func(context.Context, *handler.Batch) error {
			if r.at() < 10*time.Minute {
				return handler.Unavailable(errSink)
			}
			return nil
		}}
		r.start("c-0", h)
		time.Sleep(11 * time.Minute)
		r.wantAcked(ids...)
		for _, call := range h.all() {
			if len(call.ids) != 1 {
				t.Errorf("a call with %d suspects", len(call.ids))
			}
		}
		if n := len(h.all()); n > 900 {
			t.Errorf("%d calls in ten minutes, want about one a second at most", n)
		}
	})
}

// TestSuspectAndBusySink: a suspect that has passed the gate waits for a slot
// when the sink turns out to be down. Others must not wait for that sink.
func TestSuspectAndBusySink(t *testing.T) {
	bubble(t, func(r *rig) {
		h := &recorder{answer: func(context.Context, *handler.Batch) error {
			time.Sleep(5 * time.Second)
			return handler.RetryAfter(handler.Unavailable(errSink), time.Hour)
		}}
		c := r.start("c-0", h, func(cfg *config) { cfg.Concurrency, cfg.Retry.Max, cfg.Timeout = 1, time.Hour, time.Hour })
		time.Sleep(10 * time.Millisecond)
		r.add(1)
		time.Sleep(10 * time.Millisecond)
		r.leave("former", true, 2)
		c.Claim()
		time.Sleep(5500 * time.Millisecond) // the claim comes after the next read
		other := r.leave("d-0", false, 2)[0]
		r.start("d-0", &recorder{})
		time.Sleep(time.Second)
		r.wantAcked(other)
		if n := len(h.all()); n != 1 {
			t.Errorf("%d calls, want 1", n)
		}
	})
}

// TestSlotIsKept for a suspect that has passed the gate, while its delivery
// count is being raised: the others in the process wait for it.
func TestSlotIsKept(t *testing.T) {
	bubble(t, func(r *rig) {
		ids := r.leave("c-0", false, 1, 2, 1)
		r.server.SetFaults(func(c consumertest.Call) consumertest.Fault {
			if c.Op == consumertest.Hold {
				return consumertest.Fault{Delay: 100 * time.Millisecond}
			}
			return consumertest.Fault{}
		})
		h := &recorder{answer: func(ctx context.Context, _ *handler.Batch) error { return pause(ctx, time.Second) }}
		r.start("c-0", h, func(cfg *config) { cfg.Concurrency = 1 })
		time.Sleep(10 * time.Second)
		if calls := h.all(); len(calls) < 2 || !slices.Equal(calls[0].ids, ids[1:2]) {
			t.Errorf("calls %+v, want the suspect first", calls)
		}
	})
}

// TestSuspectAndSplit: a batch is split while a suspect waits for the only slot.
// The suspect comes first, for others wait for it.
func TestSuspectAndSplit(t *testing.T) {
	bubble(t, func(r *rig) {
		h := &recorder{answer: func(_ context.Context, b *handler.Batch) error {
			time.Sleep(2 * time.Second)
			if len(b.Deliveries) > 1 {
				return errSink
			}
			return nil
		}}
		ids := r.add(4)
		c := r.start("c-0", h, func(cfg *config) { cfg.Concurrency = 1 })
		time.Sleep(10 * time.Millisecond)
		suspect := r.leave("former", true, 2)
		c.Claim()
		time.Sleep(time.Minute)
		r.wantAcked(append(ids, suspect...)...)
		if calls := h.all(); len(calls) < 2 || !slices.Equal(calls[1].ids, suspect) {
			t.Errorf("calls %+v, want the suspect second", calls)
		}
	})
}

// TestGateOutlivesPanics: a fault of ours ends the consumer and not the gate.
func TestGateOutlivesPanics(t *testing.T) {
	bubble(t, func(r *rig) {
		r.leave("c-0", false, 2)
		calls := 0
		cfg := r.config("c-0", &recorder{answer: func(ctx context.Context, _ *handler.Batch) error { return pause(ctx, time.Second) }}, func(cfg *config) {
			cfg.LowWater = func() stream.ID {
				if calls++; calls == 2 {
					panic("a fault of ours")
				}
				return stream.ID{}
			}
		})
		ended := make(chan any)
		go func() {
			defer func() { ended <- recover() }()
			_ = consumer.New(cfg).Serve(context.Background())
		}()
		time.Sleep(10 * time.Millisecond)
		r.add(1)
		if v := <-ended; v != "a fault of ours" {
			t.Fatalf("ended with %v", v)
		}
		id := r.leave("d-0", false, 2)[0]
		r.start("d-0", &recorder{})
		time.Sleep(100 * time.Millisecond)
		r.wantAcked(id)
	})
}

// TestGateChangesHands at the very moment at which the one who would enter is
// stopped.
func TestGateChangesHands(t *testing.T) {
	bubble(t, func(r *rig) {
		second := &recorder{answer: func(ctx context.Context, _ *handler.Batch) error { return pause(ctx, time.Second) }}
		for i := range 40 {
			r.leave("a", false, 2)
			a := r.start("a", second)
			time.Sleep(time.Millisecond)
			r.leave("b", false, 2)
			b := r.start("b", second)
			time.Sleep(999 * time.Millisecond)
			_ = b.stop(errRestart) // now a's call ends, too
			if s := b.Status(); s.InFlight != 0 {
				t.Errorf("round %d: %+v", i, s)
			}
			_ = a.stop(errRestart)
		}
		last := r.leave("last", false, 2)[0]
		r.start("last", second)
		time.Sleep(2 * time.Second)
		r.wantAcked(last)
	})
}

// TestSuspectLostAtTheGate: one that another consumer has claimed meanwhile is
// not handled (again).
func TestSuspectLostAtTheGate(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]int{"before its first call": 0, "before its second": 1} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(r *rig) {
				long := func(cfg *config) { cfg.Timeout = time.Hour }
				block := func() {
					r.leave("c-0", false, 2)
					r.start("c-0", &recorder{answer: func(ctx context.Context, _ *handler.Batch) error { return pause(ctx, 2*time.Minute) }}, long)
					time.Sleep(100 * time.Millisecond)
				}
				if before == 0 {
					block()
				}
				lost := r.leave("d-0", false, 2)[0]
				h := &recorder{answer: func(context.Context, *handler.Batch) error { return handler.RetryAfter(errSink, time.Second) }}
				r.start("d-0", h, long)
				time.Sleep(100 * time.Millisecond)
				if before == 1 {
					block()
				}
				time.Sleep(2 * time.Second)
				if got := r.steal(0); !slices.Contains(got, lost) {
					t.Fatalf("claimed %v, want %s among it", got, lost)
				}
				time.Sleep(5 * time.Minute)
				if n := len(h.of(lost)); n != before {
					t.Errorf("called %d times, want %d", n, before)
				}
				r.wantSettled(telemetry.LeaseLost, 2)
			})
		})
	}
}
