package consumer

import "time"

// Entries that kill the process.
//
// Redis' delivery count of an entry stands for deliveries that did not come
// back. A new entry has count 1. An entry that is found in a pending list has
// been delivered to a process that is gone, or was given back with its count
// undone; before it is handled again its count is raised by one. One that
// comes back with two or more was there twice when a process died: it is a
// suspect. (What waits for its sink has come back, see count.go.) Suspects are handled alone, one at a time in the whole process, and
// the count of each is raised only when its turn has come. So a crash raises
// the count of the one that caused it and of no other, and what has reached
// max_deliveries is buried.

// front is the suspect of a consumer whose turn it is, or comes next.
type front struct {
	it *item // nil: none, or a stop has released it at the gate
	at frontStage
}

type frontStage uint8

const (
	nowhere frontStage = iota
	atGate             // waits to enter
	raising            // past the gate, its delivery count is being raised
	due                // past the gate, is the next call
	called             // past the gate, in a call
)

// startSuspect brings the next suspect to the gate.
func (l *loop) startSuspect(now time.Time) {
	if l.stopping || l.front.at != nowhere || len(l.suspects) == 0 || !l.takesSuspect(now) {
		return
	}
	it := l.suspects[0]
	l.suspects = l.suspects[1:]
	l.front = front{it, atGate}
	go func() {
		entered := l.cfg.Suspects.enter(l.readCtx.Done())
		l.events <- func() { l.entered(entered) }
	}()
}

// takesSuspect reports whether a suspect would be called before long: a slot
// is or comes free, and the sink is up, or there is nothing else to probe it.
func (l *loop) takesSuspect(now time.Time) bool {
	if l.stuck >= l.cfg.Concurrency {
		return false
	}
	return !l.sink.down || !now.Before(l.sink.next) && len(l.running)+len(l.lifts)+len(l.ready)+len(l.fresh) == 0
}

// entered goes on with the suspect at the gate. From here on a slot is kept
// for it, see startCalls.
func (l *loop) entered(entered bool) {
	if !entered { // only a stop does that
		l.front = front{}
		return
	}
	it := l.front.it
	l.front.at = due
	switch {
	case it == nil || l.dropLost(it):
		l.leaveGate()
	case !l.takesSuspect(time.Now()):
		l.withdrawSuspect()
	case !it.raised: // else it is a retry: this delivery has been counted
		l.front.at = raising
		l.settle.raises = append(l.settle.raises, it)
	}
}

// withdrawSuspect takes a suspect that is due back, so that the gate is free
// for others while this consumer cannot go on.
func (l *loop) withdrawSuspect() {
	if l.front.at == due {
		l.lower(l.front.it)
		l.suspects = append([]*item{l.front.it}, l.suspects...)
		l.leaveGate()
	}
}

// leaveGate lets the next suspect of the process pass.
func (l *loop) leaveGate() {
	if l.front.at > atGate {
		l.cfg.Suspects.leave()
		l.front = front{}
	}
}
