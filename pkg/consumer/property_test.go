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

	"example.com/fanout/pkg/consumer/consumertest"
	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/stream"
)

const seeds = 40

// TestEveryEntryEndsOnce runs processes with consumers under random verdicts,
// lost replies, failing and slow commands, restarts, scaling, kills, claims
// between the living and deleted entries, and then looks at every entry.
func TestEveryEntryEndsOnce(t *testing.T) {
	t.Parallel()
	for seed := range uint64(seeds) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, seed)
				defer w.end()
				w.run()
				w.check()
			})
		})
	}
}

// world is what all processes of a run share.
type world struct {
	*testing.T
	server  *consumertest.Server
	rng     *rand.Rand      // of the test's goroutine
	minIdle time.Duration   // of claims; where it is small they happen between the living
	over    chan struct{}   // closed at the end: the dead may go
	ctx     context.Context // of remnants; done at the end
	giveUp  context.CancelFunc
	procs   []*process
	dead    []*process
	poison  map[stream.ID]bool // every entry; true: it always fails
	deleted map[stream.ID]bool

	mu   sync.Mutex
	luck *rand.Rand // of handlers
	calm bool
	done map[stream.ID]int // calls that settled it
}

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{
		T: t, server: consumertest.NewServer(t), rng: rand.New(rand.NewPCG(seed, 1)), luck: rand.New(rand.NewPCG(seed, 2)),
		minIdle: 30 * time.Second, over: make(chan struct{}), done: map[stream.ID]int{},
		poison: map[stream.ID]bool{}, deleted: map[stream.ID]bool{},
	}
	w.ctx, w.giveUp = context.WithCancel(context.Background())
	if seed%2 == 0 {
		w.minIdle = 1500 * time.Millisecond
	}
	w.server.CreateGroup(streamName, groupName, stream.ID{})
	faults := rand.New(rand.NewPCG(seed, 3))
	w.server.SetFaults(func(consumertest.Call) consumertest.Fault {
		switch faults.IntN(20) {
		case 0:
			return consumertest.Fault{Fail: errAway}
		case 1:
			return consumertest.Fault{Lose: errors.New("connection reset")}
		case 2:
			return consumertest.Fault{Delay: time.Duration(faults.IntN(2000)) * time.Millisecond}
		}
		return consumertest.Fault{}
	})
	for i := range 1 + w.rng.IntN(2) {
		w.spawn(fmt.Sprintf("host%d", i))
	}
	return w
}

// kill is kill -9.
func (w *world) kill(i int) {
	p := w.procs[i]
	p.die()
	w.procs = append(w.procs[:i:i], w.procs[i+1:]...)
	w.dead = append(w.dead, p)
	w.spawn(p.name)
}

func (w *world) add(n int) {
	for range n {
		payload, bad := fmt.Sprintf(`{"n":%d}`, w.rng.IntN(1000)), w.rng.IntN(50) == 0
		if bad {
			payload = `{"poison":true}`
		}
		w.poison[w.server.AddEvent(payload)] = bad
	}
}

func (w *world) claim() {
	for _, p := range w.procs {
		for _, c := range p.consumers {
			c.Claim()
		}
	}
}

func (w *world) run() {
	for range 12 {
		w.add(w.rng.IntN(80))
		time.Sleep(time.Duration(w.rng.IntN(5000)) * time.Millisecond)
		i := w.rng.IntN(len(w.procs))
		p := w.procs[i]
		switch w.rng.IntN(6) {
		case 0:
			p.restart(w.rng.IntN(len(p.consumers)), errRestart)
		case 1:
			p.restart(w.rng.IntN(len(p.consumers)), handler.ErrStopping)
		case 2:
			w.kill(i)
		case 3:
			for id := range w.poison {
				if w.rng.IntN(20) == 0 {
					w.server.Delete(streamName, id)
					w.deleted[id] = true
				}
			}
		}
		w.claim()
	}
	w.server.SetFaults(nil)
	w.mu.Lock()
	w.calm = true
	w.mu.Unlock()
	for range 8 {
		time.Sleep(10 * time.Second)
		w.claim()
	}
	for _, p := range w.procs {
		for _, c := range p.consumers {
			if err := c.stop(handler.ErrStopping); err != nil {
				w.Errorf("stop: %v", err)
			}
		}
		p.leaving.Wait()
	}
}

func (w *world) check() {
	if left := w.server.Pending(groupName); len(left) > 0 {
		w.Errorf("left pending: %v", left)
	}
	if wrong := w.server.Misacked(groupName); len(wrong) > 0 {
		w.Errorf("acknowledged while another's: %v", wrong)
	}
	buried := map[stream.ID]int{}
	for _, l := range w.server.Letters(groupName) {
		buried[l.ID]++
	}
	for id, poison := range w.poison {
		switch acked := w.server.Acked(groupName, id); {
		case acked+buried[id] > 1 || acked+buried[id] == 0 && !w.deleted[id]:
			w.Errorf("%s: acked %d times, buried %d times", id, acked, buried[id])
		case acked == 1 && w.done[id] == 0:
			w.Errorf("%s: acked though no call settled it", id)
		case poison && acked > 0 || !poison && buried[id] > 0:
			w.Errorf("%s: poison %v, acked %d, buried %d", id, poison, acked, buried[id])
		}
	}
	for _, p := range w.procs {
		if n := p.metrics.Unaccounted(); n != 0 || p.metrics.InFlight.Load() != 0 || p.metrics.Retrying.Load() != 0 {
			w.Errorf("%s: unaccounted %d, in flight %d, retrying %d", p.name, n, p.metrics.InFlight.Load(), p.metrics.Retrying.Load())
		}
	}
}

// end lets the dead go.
func (w *world) end() {
	close(w.over)
	w.giveUp()
	for _, p := range append(w.dead, w.procs...) {
		for _, c := range p.consumers {
			_ = c.stop(handler.ErrStopping)
		}
		p.leaving.Wait()
	}
}
