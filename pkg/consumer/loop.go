package consumer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/stream"
)

const (
	idleTurn     = 5 * time.Second  // the loop turns at least this often
	stuckGrace   = time.Second      // a call is stuck this long after its timeout
	cancelGrace  = time.Second      // a cancelled call has this long to return
	redisTimeout = 10 * time.Second // of one settling round
	firstRead    = 32               // entries asked for before their size is known
)

// loop is a running consumer. Every field belongs to the goroutine of Serve;
// other goroutines send closures on events, which that goroutine runs.
//
// An item is in exactly one of these places: fresh, ready, waiting, suspects,
// waiting for the gate, a running call, or one of those of settling.
type loop struct {
	c   *Consumer
	cfg *Config

	// events has room for one closure of every goroutine that may run at once,
	// so that none of them ever waits for the loop, nor outlives it by much.
	events chan func()

	readCtx    context.Context // of reads: done as soon as the consumer stops
	stopRead   context.CancelFunc
	callCtx    context.Context // of calls: cancelled with ErrStopping
	cancelCall context.CancelCauseFunc
	settleCtx  context.Context // of settling: outlives the stop

	fresh    []*item   // decoded, in order of arrival, not in a batch yet
	ready    []*call   // composed, to be run before anything fresh
	waiting  waitQueue // composed, not before their time
	suspects []*item   // waiting to be handled alone in the process
	running  map[*call]struct{}

	suspect *item // the one in front, from waiting for the gate to the end of its call
	gate    gateState

	held      int   // items that take up room
	heldBytes int   // their bytes
	lease     int64 // numbers the resets of idle times

	read   reading
	settle settling
	sink   sinkState

	stopping bool
	giveBack bool // what is left is freed for others, not kept for a successor
	stopAt   time.Time
	cancelAt time.Time // calls are cancelled
	giveUpAt time.Time // calls and acks are not waited for any longer
	lingers  bool      // this is a remnant
	kept     []stream.Hold
	err      error // why the loop stopped by itself, or what is not accounted for

	stuck     int       // running calls that are
	abandoned int       // calls that outlived a restart
	failedAt  time.Time // last failure of the handler
	buriedAt  time.Time // last burial
}

// sinkState is what the handler says about its sink.
type sinkState struct {
	down     bool
	since    time.Time
	failures int
	next     time.Time // of the next probe
	err      error
}

func newLoop(c *Consumer, ctx context.Context) *loop {
	l := &loop{c: c, cfg: &c.cfg, running: map[*call]struct{}{}}
	l.events = make(chan func(), c.cfg.Concurrency+4)
	l.settleCtx = context.WithoutCancel(ctx)
	l.readCtx, l.stopRead = context.WithCancel(l.settleCtx)
	l.callCtx, l.cancelCall = context.WithCancelCause(l.settleCtx)
	l.read = reading{own: &pass{origin: stream.Own}, count: min(firstRead, l.capacity()/2)}
	l.read.fault.log, l.settle.fault.log = &c.cfg.Logs.read, &c.cfg.Logs.settle
	return l
}

// capacity is how many entries are held at most: what all calls can hold, and
// as much again so that the next batches are at hand when calls return.
func (l *loop) capacity() int { return 2 * l.cfg.Concurrency * l.cfg.BatchSize }

// run turns the loop until the consumer has stopped.
func (l *loop) run(ctx context.Context) {
	done := ctx.Done()
	for {
		now := time.Now()
		l.turn(now)
		if l.stopping && l.drained(now) {
			break
		}
		timer := time.NewTimer(l.wake(now).Sub(now))
		select {
		case f := <-l.events:
			f()
			l.more()
		case <-timer.C:
		case <-l.c.claim:
			l.read.claim = true
		case <-done:
			done = nil
			if l.lingers {
				l.lingers, l.giveUpAt = false, time.Now()
			}
			l.stop(time.Now(), errors.Is(context.Cause(ctx), handler.ErrStopping))
		}
		timer.Stop()
	}
	l.account()
	l.publish(time.Now(), Stopped)
	l.c.beat.Store(0)
}

// more runs what else has come in, so that one turn serves all of it.
func (l *loop) more() {
	for {
		select {
		case f := <-l.events:
			f()
		default:
			return
		}
	}
}

// turn starts everything that can be started.
func (l *loop) turn(now time.Time) {
	l.c.beat.Store(now.UnixNano())
	l.wakeWaiting(now)
	l.startSuspect()
	l.startCalls(now)
	l.startSettling(now)
	l.startReading(now)
	l.markStuck(now)
	l.allQuiet(now)
	if l.stopping && !l.lingers && now.After(l.cancelAt) {
		l.cancelCall(handler.ErrStopping)
	}
	l.publish(now, l.state())
}

// wake is when the loop must turn though nothing has happened. A moment that
// has passed but waits for something else (a slot, an answer of Redis) is not
// one: the loop turns when that comes.
func (l *loop) wake(now time.Time) time.Time {
	at := now.Add(idleTurn)
	earlier := func(t time.Time) {
		if t.After(now) && t.Before(at) {
			at = t
		}
	}
	if len(l.waiting) > 0 {
		earlier(l.waiting[0].notBefore)
	}
	if len(l.fresh) > 0 {
		earlier(l.fresh[0].arrived.Add(l.cfg.Linger))
	}
	earlier(l.sink.next)
	for c := range l.running {
		earlier(c.started.Add(l.cfg.Timeout + stuckGrace))
	}
	if l.held > 0 || len(l.kept) > 0 {
		earlier(l.settle.touched.Add(l.cfg.MinIdle / 3))
	}
	earlier(l.read.fault.until)
	earlier(l.read.auditAt)
	earlier(l.settle.fault.until)
	earlier(l.settle.lettersFullUntil)
	earlier(l.cancelAt)
	earlier(l.giveUpAt)
	earlier(l.giveUpAt.Add(redisTimeout))
	return at.Add(time.Millisecond / 2) // past it, not at it
}

// stop begins the drain.
func (l *loop) stop(now time.Time, giveBack bool) {
	if l.stopping {
		return
	}
	l.stopping, l.giveBack, l.stopAt = true, giveBack, now
	l.cancelAt = now.Add(l.cfg.DrainTimeout)
	l.giveUpAt = l.cancelAt.Add(cancelGrace)
	l.stopRead() // ends the wait at the gate, too
	for _, it := range l.fresh {
		l.release(it)
	}
	for _, c := range append(l.ready, l.waiting...) {
		if c.items[0] == l.suspect {
			l.leaveGate()
		}
		l.releaseCall(c)
	}
	l.cfg.Telemetry.Retrying.Add(-int64(len(l.waiting)))
	for _, it := range l.settle.raises {
		if it == l.suspect {
			l.leaveGate()
		}
		l.release(it)
	}
	l.settle.raises = nil
	for _, it := range l.suspects {
		l.release(it)
	}
	if l.suspect != nil && l.gate == atGate {
		l.release(l.suspect)
		l.suspect = nil
	}
	l.fresh, l.ready, l.waiting, l.suspects = nil, nil, nil, nil
}

// fail stops the loop for a fault that only a new incarnation can mend.
func (l *loop) fail(err error) {
	if l.err == nil && !l.stopping {
		l.err = err
	}
	l.stop(time.Now(), false)
}

// drained reports whether everything is settled, or not waited for any longer.
func (l *loop) drained(now time.Time) bool {
	if l.read.busy || l.settle.busy {
		return !l.lingers && now.After(l.giveUpAt.Add(redisTimeout))
	}
	if len(l.running) == 0 && l.settle.empty() {
		return true
	}
	return !l.lingers && now.After(l.giveUpAt)
}

// account says what a stop has left undone.
func (l *loop) account() {
	if n := len(l.settle.acks); n > 0 {
		l.err = errors.Join(l.err, fmt.Errorf("%w: %d of consumer %s", ErrUnconfirmed, n, l.cfg.Name))
	}
}

// close ends what belongs to the loop.
func (l *loop) close() error {
	l.stopRead()
	l.cancelCall(handler.ErrStopping)
	l.leaveGate()
	return l.cfg.Source.Close()
}

// free makes what was kept for a successor of the same name claimable by one
// with another name. It is called once, when calls are abandoned.
func (l *loop) free() {
	l.abandoned = len(l.running)
	l.leaveGate() // what hangs does not kill; others must go on
	for i := range l.kept {
		l.kept[i].Free = true
	}
	l.settle.holds = append(l.settle.holds, l.kept...)
	l.kept = nil
	l.cfg.Telemetry.AbandonedCalls.Add(int64(l.abandoned))
}

// linger turns the loop of a remnant.
func (l *loop) linger(ctx context.Context) {
	l.lingers = true
	l.run(ctx)
	l.cfg.Telemetry.AbandonedCalls.Add(-int64(l.abandoned))
}

func (l *loop) state() State {
	switch {
	case l.stopping:
		return Draining
	case l.read.fault.err != nil || l.settle.fault.err != nil:
		return BackingOff
	case l.read.own != nil && l.read.own.origin == stream.Own:
		return Recovering
	}
	return Reading
}

// publish makes the state visible to others.
func (l *loop) publish(now time.Time, state State) {
	c := l.c
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &c.status
	s.State = state
	s.InFlight = l.held
	s.Stuck = l.stuck
	s.RedisError = ""
	for _, f := range []*fault{&l.read.fault, &l.settle.fault} {
		if f.err != nil {
			s.RedisError = f.err.Error()
		}
	}
	s.Hold, s.HoldSince, s.HoldNext = "", time.Time{}, time.Time{}
	switch {
	case l.sink.down:
		s.Hold, s.HoldSince, s.HoldNext = "sink unavailable: "+l.sink.err.Error(), l.sink.since, l.sink.next
	case !l.settle.lettersFullSince.IsZero():
		s.Hold, s.HoldSince, s.HoldNext = stream.ErrDeadLettersFull.Error(), l.settle.lettersFullSince, l.settle.lettersFullUntil
	}
}

// allQuiet says that faults are over which have not come for a while. Poison
// among good entries would else be a new fault each time.
func (l *loop) allQuiet(now time.Time) {
	if !l.failedAt.IsZero() && now.Sub(l.failedAt) > quiet {
		l.failedAt = time.Time{}
		l.cfg.Logs.handler.Clear()
	}
	if !l.buriedAt.IsZero() && now.Sub(l.buriedAt) > quiet {
		l.buriedAt = time.Time{}
		l.cfg.Logs.bury.Clear()
	}
}

// noteFailure shows a failure of the handler in the status.
func (l *loop) noteFailure(err error, now time.Time) {
	l.failedAt = now
	l.cfg.Logs.handler.Fault(err)
	l.c.mu.Lock()
	l.c.status.LastFailure, l.c.status.FailedAt = err.Error(), now
	l.c.mu.Unlock()
}
