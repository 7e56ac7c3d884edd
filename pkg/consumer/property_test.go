package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"example.com/fanout/pkg/consumer"
	"example.com/fanout/pkg/consumer/consumertest"
	"example.com/fanout/pkg/event"
	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/stream"
	"example.com/fanout/pkg/telemetry"
)

// TestEveryEntryEndsOnce runs consumers under random verdicts, lost replies,
// failing commands, outages and restarts, and then looks at every entry.
func TestEveryEntryEndsOnce(t *testing.T) {
	t.Parallel()
	for seed := range uint64(60) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { endsOnce(t, rand.New(rand.NewPCG(seed, 1))) })
		})
	}
}

// fickle is a handler whose verdicts are random, but for poison entries, which
// always fail.
type fickle struct {
	mu     sync.Mutex
	rng    *rand.Rand
	calm   bool
	done   map[stream.ID]int // times that a call settled it
	active map[stream.ID]int // calls that hold it now
	twice  []stream.ID       // held by two calls at once
}

var poisonPath, _ = event.ParsePath("poison")

func (f *fickle) Handle(ctx context.Context, b *handler.Batch) error {
	f.mu.Lock()
	for _, d := range b.Deliveries {
		f.active[d.ID]++
		if f.active[d.ID] > 1 {
			f.twice = append(f.twice, d.ID)
		}
	}
	roll, wait := f.rng.IntN(100), time.Duration(f.rng.IntN(300))*time.Millisecond
	if f.rng.IntN(30) == 0 {
		wait = 4 * time.Second // beyond the timeout
	}
	if f.calm {
		roll, wait = 99, time.Millisecond
	}
	f.mu.Unlock()
	timer := time.NewTimer(wait)
	select {
	case <-timer.C:
	case <-ctx.Done():
		if roll%2 == 0 { // the other half ignores it
			timer.Stop()
		} else {
			<-timer.C
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, d := range b.Deliveries {
		f.active[d.ID]--
	}
	if err := ctx.Err(); err != nil && roll%2 == 0 {
		return context.Cause(ctx)
	}
	named := &handler.BatchError{}
	for i, d := range b.Deliveries {
		if _, poison := d.Event.Lookup(poisonPath); poison {
			named.Fail(i, errors.New("poison"))
		}
	}
	switch {
	case roll < 5:
		return handler.Unavailable(errors.New("sink is down"))
	case roll < 8:
		return errors.New("unnamed")
	case roll < 10:
		panic("handler panics")
	case roll < 14:
		named.Fail(f.rng.IntN(len(b.Deliveries)), handler.RetryAfter(errors.New("named"), time.Second))
	case roll < 16:
		named.Fail(f.rng.IntN(len(b.Deliveries)), handler.Unavailable(errors.New("named unavailable")))
	case named.Err() != nil && len(b.Deliveries) > 1 && roll < 60:
		return errors.New("unnamed poison")
	}
	for i, d := range b.Deliveries {
		if _, failed := named.Failed[i]; !failed {
			f.done[d.ID]++
		}
	}
	return named.Err()
}

func (f *fickle) Close() error { return nil }

func endsOnce(t *testing.T, rng *rand.Rand) {
	server := consumertest.NewServer(t)
	server.CreateGroup(consumertest.Stream, groupName, stream.ID{})
	f := &fickle{rng: rng, done: map[stream.ID]int{}, active: map[stream.ID]int{}}
	metrics := telemetry.NewMetrics("test")
	tele := metrics.Group(groupName, consumertest.Stream, "test")

	faultRNG := rand.New(rand.NewPCG(rng.Uint64(), 2))
	server.SetFaults(func(consumertest.Call) consumertest.Fault {
		switch faultRNG.IntN(20) {
		case 0:
			return consumertest.Fault{Fail: errors.New("connection refused")}
		case 1:
			return consumertest.Fault{Lose: errors.New("connection reset")}
		case 2:
			return consumertest.Fault{Delay: time.Duration(faultRNG.IntN(2000)) * time.Millisecond}
		}
		return consumertest.Fault{}
	})

	var remnants sync.WaitGroup
	gate := consumer.NewGate()
	begin := func(name string) *running {
		cfg := config(server, name, f)
		cfg.Telemetry, cfg.Suspects = tele, gate
		cfg.Retry.Attempts = 30 // random verdicts alone bury nothing
		cfg.MaxDeliveries = 1000
		cfg.Abandon = func(r *consumer.Remnant) {
			remnants.Go(func() {
				if err := r.Serve(context.Background()); err != nil {
					t.Errorf("remnant: %v", err)
				}
			})
		}
		return start(cfg)
	}

	poison, want := map[stream.ID]bool{}, map[stream.ID]bool{}
	add := func(n int) {
		for range n {
			payload := fmt.Sprintf(`{"n":%d}`, rng.IntN(1000))
			bad := rng.IntN(50) == 0
			if bad {
				payload = `{"poison":true}`
			}
			id := server.AddEvent(payload)
			want[id], poison[id] = true, bad
		}
	}
	consumers := []*running{begin("c-0"), begin("c-1")}
	for range 8 {
		add(rng.IntN(60))
		time.Sleep(time.Duration(rng.IntN(8000)) * time.Millisecond)
		switch i := rng.IntN(2); rng.IntN(4) {
		case 0: // a restart: the successor has the same name
			_ = consumers[i].stop(errors.New("restart"))
			remnants.Wait() // else the successor would have another name
			consumers[i] = begin(fmt.Sprintf("c-%d", i))
		case 1: // a stop, and another process takes over
			_ = consumers[i].stop(handler.ErrStopping)
			remnants.Wait()
			consumers[i] = begin(fmt.Sprintf("d-%d", rng.IntN(1000)))
		}
		for _, c := range consumers {
			c.Claim()
		}
	}
	server.SetFaults(nil)
	f.mu.Lock()
	f.calm = true
	f.mu.Unlock()
	for range 10 {
		time.Sleep(20 * time.Second)
		for _, c := range consumers {
			c.Claim()
		}
	}
	for _, c := range consumers {
		if err := c.stop(handler.ErrStopping); err != nil {
			t.Errorf("stop: %v", err)
		}
	}
	remnants.Wait()

	if left := server.Pending(groupName); len(left) > 0 {
		t.Errorf("left pending: %v", left)
	}
	if wrong := server.Misacked(groupName); len(wrong) > 0 {
		t.Errorf("acknowledged while another's: %v", wrong)
	}
	if len(f.twice) > 0 {
		t.Errorf("in two calls at once: %v", f.twice)
	}
	buried := map[stream.ID]int{}
	for _, l := range server.Letters(groupName) {
		buried[l.ID]++
	}
	for id := range want {
		switch acked := server.Acked(groupName, id); {
		case acked+buried[id] != 1:
			t.Errorf("%s: acked %d times, buried %d times", id, acked, buried[id])
		case acked == 1 && f.done[id] == 0:
			t.Errorf("%s: acked though no call settled it", id)
		case poison[id] != (buried[id] == 1):
			t.Errorf("%s: poison %v, buried %d", id, poison[id], buried[id])
		}
	}
	if n := tele.Unaccounted(); n != 0 || tele.InFlight.Load() != 0 {
		t.Errorf("unaccounted %d, in flight %d", n, tele.InFlight.Load())
	}
}
