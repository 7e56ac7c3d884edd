package consumer

import (
	"fmt"
	"time"

	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/telemetry"
)

// A stop goes by three moments. Until cancelAt running calls may finish; then
// they are cancelled. At giveUpAt those that still run are abandoned, and what
// was kept for a successor of the same name is freed, for it will have another
// one. At endAt Redis is not waited for any longer either.

// stop begins the drain.
func (l *loop) stop(now time.Time, giveBack bool) {
	if l.stopping {
		return
	}
	l.stopping, l.giveBack = true, giveBack
	l.cancelAt = now.Add(l.cfg.DrainTimeout)
	l.giveUpAt = l.cancelAt.Add(cancelGrace)
	l.endAt = l.giveUpAt.Add(redisTimeout)
	l.stopRead() // ends the wait at the gate, too
	if l.read.more && !l.read.busy {
		l.readRest()
	}

	l.release(l.fresh...)
	l.releaseCalls(l.ready)
	l.dropLifts()
	l.cfg.Telemetry.Retrying.Add(-deliveries(l.waiting))
	l.releaseCalls(l.waiting)
	l.release(l.suspects...)
	l.fresh, l.ready, l.waiting, l.suspects = nil, nil, nil, nil
	switch l.front.at {
	case atGate: // entered finds it gone
		l.release(l.front.it)
		l.front.it = nil
	case due:
		l.release(l.front.it)
		l.leaveGate()
	}
	l.releaseRaises()
	l.settle.lowers = nil // the release says it again
	if !l.settle.fullSince.IsZero() {
		l.releaseBurials()
	}
}

func (l *loop) releaseCalls(calls []*call) {
	for _, c := range calls {
		l.release(c.items...)
	}
}

// releaseRaises gives back what is not to be handled any more.
func (l *loop) releaseRaises() {
	for _, it := range l.settle.raises {
		if l.front.it == it {
			l.leaveGate()
		}
	}
	l.release(l.settle.raises...)
	l.settle.raises = nil
}

// releaseBurials gives back what finds no room among the dead letters. What may
// have been buried already is tried again.
func (l *loop) releaseBurials() {
	s := &l.settle
	var unsure []*burial
	for _, b := range s.buries {
		if b.unsure {
			unsure = append(unsure, b)
		} else {
			l.release(b.it)
		}
	}
	s.buries = unsure
}

// endCalls cancels calls that outlive the drain, and gives up those that ignore
// that.
func (l *loop) endCalls(now time.Time) {
	if !l.stopping || l.lingers {
		return
	}
	if !now.Before(l.cancelAt) {
		l.cancelCall(handler.ErrStopping)
	}
	if !now.Before(l.giveUpAt) && len(l.running) > 0 && !l.gaveUp {
		l.gaveUp = true
		l.freeKept()
	}
}

// freeKept makes what was kept for a successor claimable by everybody.
func (l *loop) freeKept() {
	l.giveBack = true
	s := &l.settle
	s.holds = append(s.holds, l.kept...)
	l.kept = nil
	for i := range s.holds {
		s.holds[i].Free = true
	}
}

// giveUp ends the wait for calls.
func (l *loop) giveUp(now time.Time) {
	l.giveUpAt = now
	l.endAt = now.Add(redisTimeout)
}

// drained reports whether everything is settled, or not waited for any longer.
func (l *loop) drained(now time.Time) bool {
	s := &l.settle
	busy := l.read.busy || l.read.decoding > 0 || s.busy || l.front.at == atGate
	switch {
	case !busy && s.empty() && len(l.running) == 0:
		return true
	case l.lingers || now.Before(l.giveUpAt):
		return false
	case busy: // the end of a round is at endAt at the latest
		return !now.Before(l.endAt.Add(cancelGrace))
	}
	return s.empty() || s.fault.err != nil || s.letters.err != nil || !s.fullSince.IsZero() || !now.Before(l.endAt)
}

// close ends what belongs to the loop, and says what was left undone.
func (l *loop) close() error {
	l.detach()
	if l.read.busy || l.settle.busy {
		l.cfg.Logger.Error("a call of redis does not return, its connection is left open")
	} else if err := l.cfg.Source.Close(); err != nil {
		l.cfg.Logger.Warn("closing the connection fails", telemetry.KeyError, err)
	}
	s := &l.settle
	unconfirmed := len(s.acks)
	if s.round != nil {
		unconfirmed += len(s.round.acks)
	}
	var left []*item // still pending, as far as we know
	s.each(func(it *item) { left = append(left, it) })
	l.cfg.Telemetry.Settled[telemetry.Released].Add(int64(len(left)))
	l.forget(left...)
	if unconfirmed > 0 {
		return fmt.Errorf("%w: %d of consumer %s", ErrUnconfirmed, unconfirmed, l.cfg.Name)
	}
	return nil
}

// detach lets go of all that outlives the loop.
func (l *loop) detach() {
	l.stopRead()
	l.cancelCall(handler.ErrStopping)
	l.leaveGate()
}

// abandon makes a remnant of the loop.
func (l *loop) abandon() *Remnant {
	l.abandoned = len(l.running)
	l.leaveGate() // what hangs does not kill; others must go on
	l.cfg.Telemetry.AbandonedCalls.Add(int64(l.abandoned))
	return &Remnant{loop: l}
}
