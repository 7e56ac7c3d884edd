package consumer

import (
	"context"
	"errors"
	"time"

	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/stream"
	"example.com/fanout/pkg/telemetry"
)

const (
	idleTurn     = 5 * time.Second  // the loop turns at least this often
	stuckGrace   = time.Second      // a call is stuck this long after its timeout
	cancelGrace  = time.Second      // a cancelled call, or call of Redis, has this long to return
	redisTimeout = 10 * time.Second // of one settling round
	firstRead    = 32               // entries asked for before their size is known
	manyRead     = 64               // entries, the decoding of which is worth a turn of the loop
)

// loop is a running consumer. Every field belongs to the goroutine of Serve;
// other goroutines send closures on events, which that goroutine runs.
//
// An item is in exactly one of these places: fresh, ready, lifts, waiting, suspects,
// front (at the gate, or due), a running call, or one of those of settling.
type loop struct {
	c   *Consumer
	cfg *Config

	// events has room for one closure of every goroutine that may run at once,
	// so that none of them ever waits for the loop, nor outlives it by much.
	events  chan func()
	returns returns

	readCtx    context.Context // of reads: done as soon as the consumer stops
	stopRead   context.CancelFunc
	callCtx    context.Context // of calls: cancelled with ErrStopping
	cancelCall context.CancelCauseFunc
	settleCtx  context.Context // of settling: outlives the stop

	fresh    []*item   // decoded, in order of arrival, not in a batch yet
	ready    []*call   // composed, to be run before anything fresh
	lifts    []*call   // composed, while delivery counts are raised; without those items
	waiting  waitQueue // composed, not before their time
	suspects []*item   // waiting to be handled alone in the process
	front    front     // the suspect whose turn it is
	running  map[*call]struct{}
	launches []func()         // of calls that this turn has started
	batches  []*handler.Batch // to be used again

	held      int   // items that take up room
	heldBytes int   // their bytes
	lease     int64 // number of the last lease

	read   reading
	settle settling
	sink   sinkState

	stopping bool
	giveBack bool          // what is left is freed for others, not kept for a successor
	kept     []stream.Hold // released without being freed; touched until the successor reads them
	cancelAt time.Time     // calls are cancelled
	giveUpAt time.Time     // calls are not waited for any longer
	endAt    time.Time     // Redis is not waited for any longer
	gaveUp   bool          // giveUpAt came before the calls had returned
	lingers  bool          // this is a remnant
	err      error         // why the loop stopped by itself

	doubt     doubt
	wary      bool      // of what is held, until a touch has told what is still ours
	waryAt    int64     // the lease at which that began: earlier rounds tell nothing
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
	l.events = make(chan func(), c.cfg.Concurrency+6)
	l.returns = newReturns(c.cfg.Concurrency + 1)
	l.settleCtx = context.WithoutCancel(ctx)
	l.readCtx, l.stopRead = context.WithCancel(l.settleCtx)
	l.callCtx, l.cancelCall = context.WithCancelCause(l.settleCtx)
	l.read = reading{own: &pass{origin: stream.Own}, count: min(firstRead, l.readMost())}
	logs := c.cfg.Logs
	l.read.ofOwn.log, l.read.ofClaim.log, l.read.ofNew.log = &logs.read, &logs.read, &logs.read
	l.settle.fault.log, l.settle.letters.log = &logs.settle, &logs.letters
	return l
}

// inFlight is how many times over a consumer holds what its calls can hold: once
// in calls, once at hand for when they return, once on its way to be acknowledged.
const inFlight = 3

// capacity is how many entries are held at most.
func (l *loop) capacity() int { return inFlight * l.cfg.Concurrency * l.cfg.BatchSize }

// readMost is how many entries are asked for at most: what all calls can hold.
func (l *loop) readMost() int { return l.capacity() / inFlight }

// run turns the loop until the consumer has stopped.
func (l *loop) run(ctx context.Context) {
	done := ctx.Done()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		now := time.Now()
		l.turn(now)
		if l.stopping && l.drained(now) {
			break
		}
		if l.listen(now) {
			continue
		}
		timer.Reset(l.wake(now).Sub(now))
		select {
		case f := <-l.events:
			f()
			l.more()
		case <-l.returns.poke:
			l.more()
		case <-timer.C:
		case <-l.c.claim:
			l.read.claim = true
		case q := <-l.c.asked:
			q.answer <- l.find(q.id)
		case <-done:
			done = nil
			if l.lingers {
				l.lingers = false
				l.giveUp(time.Now())
			}
			l.stop(time.Now(), errors.Is(context.Cause(ctx), handler.ErrStopping))
		}
	}
	l.publish(Stopped)
	l.c.beat.Store(0)
}

// more runs what else has come in, so that one turn serves all of it.
func (l *loop) more() {
	for {
		select {
		case f := <-l.events:
			f()
		case e := <-l.returns.ended:
			l.returned(e.call, e.answer)
		default:
			return
		}
	}
}

// turn starts everything that can be started.
func (l *loop) turn(now time.Time) {
	if last := l.c.Beat(); l.held > 0 && !last.IsZero() && now.Sub(last) > l.cfg.MinIdle {
		l.beWary() // the process was stopped for so long
	}
	l.c.beat.Store(now.UnixNano())
	l.markStuck(now)
	l.endCalls(now)
	l.wakeWaiting(now)
	l.startSuspect(now)
	l.startCalls(now)
	l.startSettling(now)
	l.startReading(now)
	l.launch()
	l.forgetSink(now)
	l.allQuiet(now)
	l.publish(l.state())
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
		earlier(c.started.Add(quietFor))
		earlier(c.started.Add(l.cfg.Timeout + stuckGrace))
	}
	if l.held > 0 || len(l.kept) > 0 {
		earlier(l.settle.touched.Add(l.cfg.MinIdle / 3))
	}
	earlier(l.read.ofOwn.until)
	earlier(l.read.ofClaim.until)
	earlier(l.read.ofNew.until)
	earlier(l.settle.fault.until)
	if !l.settle.busy && l.canLinger() {
		earlier(l.settle.acksSince.Add(ackLinger))
	}
	earlier(l.settle.letters.until)
	earlier(l.cancelAt)
	earlier(l.giveUpAt)
	earlier(l.endAt)
	earlier(l.endAt.Add(cancelGrace))
	return at
}

// fail stops the loop for a fault that only a new incarnation can mend.
func (l *loop) fail(err error) {
	if l.err == nil && !l.stopping {
		l.err = err
	}
	l.stop(time.Now(), false)
}

func (l *loop) state() State {
	switch {
	case l.stopping:
		return Draining
	case l.read.ofOwn.err != nil || l.read.ofClaim.err != nil || l.read.ofNew.err != nil || l.settle.fault.err != nil || l.settle.letters.err != nil:
		return BackingOff
	case l.read.own != nil && l.read.own.origin == stream.Own:
		return Recovering
	}
	return Reading
}

// publish makes the state visible to others.
func (l *loop) publish(state State) {
	c := l.c
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &c.status
	s.State = state
	s.InFlight = l.held
	s.Stuck = l.stuck
	s.RedisError, s.RedisErrorAt = "", time.Time{}
	for _, f := range []*fault{&l.settle.letters, &l.read.ofClaim, &l.read.ofOwn, &l.read.ofNew, &l.settle.fault} {
		if f.err != nil && !f.at.Before(s.RedisErrorAt) {
			s.RedisError, s.RedisErrorAt = f.err.Error(), f.at
		}
	}
	s.Hold = Hold{}
	switch {
	case l.sink.down:
		s.Hold = Hold{SinkDown, l.sink.err.Error(), l.sink.since, l.sink.next}
	case l.doubt.err != nil:
		s.Hold = Hold{Kind: NoneThrough, Error: l.doubt.err.Error(), Since: l.doubt.since}
	case !l.settle.fullSince.IsZero():
		s.Hold = Hold{Kind: LettersFull, Since: l.settle.fullSince, Next: l.settle.letters.until}
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

// doubt is an outage that the handler tells of single deliveries: nothing has
// got through since it began.
type doubt struct {
	since time.Time
	err   error // nil: there is none
}

// noteDoubt shows a delivery that waits for the sink.
func (l *loop) noteDoubt(err error, now time.Time) {
	if l.doubt.err == nil {
		l.doubt.since = now
	}
	l.doubt.err = err
	l.noteFailure(err, now)
}

// noteFailure shows a failure of the handler in the status.
func (l *loop) noteFailure(err error, now time.Time) {
	l.failedAt = now
	l.cfg.Logs.handler.Fault(err)
	l.cfg.Telemetry.Errors.Note(telemetry.ErrorHandler, err)
	l.c.mu.Lock()
	l.c.status.LastFailure, l.c.status.FailedAt = err.Error(), now
	l.c.mu.Unlock()
}
