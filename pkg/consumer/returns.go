package consumer

import (
	"slices"
	"sync/atomic"
	"time"
)

// Under live traffic most calls take some microseconds, and when one returns
// there is nothing to do yet: its acknowledgements wait for company anyway. To wake
// the loop for each would cost more than the call. So such a call is noted
// quietly: the loop takes note of it at its next turn, which is the next read, or
// quietFor after the call has begun.

const quietFor = ackLinger

// returns is how calls end that need not wake the loop.
type returns struct {
	ended chan ended    // has room for every call that may run
	poke  chan struct{} // capacity 1: there is something in ended, and the loop cares
	cares atomic.Bool   // the loop has something to do once a call ends
}

type ended struct {
	call   *call
	answer answer
}

func newReturns(calls int) returns {
	return returns{ended: make(chan ended, calls), poke: make(chan struct{}, 1)}
}

// finish reports what a call has come to. It never waits.
func (l *loop) finish(c *call, a answer) {
	q := &l.returns
	q.ended <- ended{c, a}
	// The loop says that it cares, then looks at ended; here it is the other way
	// round. So one of the two sees the other.
	if a.err != nil || q.cares.Load() {
		select {
		case q.poke <- struct{}{}:
		default:
		}
	}
}

// listen says before the loop waits whether it cares for the end of a call. It
// reports whether one has ended meanwhile, which it has taken note of.
func (l *loop) listen(now time.Time) bool {
	q := &l.returns
	q.cares.Store(l.cares(now))
	before := len(l.running)
	for {
		select {
		case e := <-q.ended:
			l.returned(e.call, e.answer)
		default:
			return len(l.running) < before
		}
	}
}

// cares reports whether the end of a call would be followed by more than
// acknowledgements that can wait.
func (l *loop) cares(now time.Time) bool {
	if l.stopping || l.sink.down || l.doubt.err != nil || l.stuck > 0 || l.wary || l.read.more ||
		len(l.fresh)+len(l.ready)+len(l.lifts)+len(l.suspects) > 0 || l.front.at != nowhere || !l.roomy() {
		return true
	}
	for c := range l.running {
		if !now.Before(c.started.Add(quietFor)) || slices.ContainsFunc(c.items, (*item).comesBack) {
			return true
		}
	}
	return false
}
