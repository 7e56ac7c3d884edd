package consumer

import "slices"

// Entries that kill the process.
//
// Redis' delivery count of an entry stands for deliveries that did not come
// back. A new entry has count 1. An entry that is found in a pending list has
// been delivered to a process that is gone, or was given back with its count
// undone; before it is handled again its count is raised by one. One that
// comes back with two or more was there twice when a process died: it is a
// suspect. Suspects are handled alone, one at a time in the whole process, and
// the count of each is raised only when its turn has come. So a crash raises
// the count of the one that caused it and of no other, and what has reached
// max_deliveries is buried.

type gateState uint8

const (
	noGate   gateState = iota
	atGate             // waits to enter
	pastGate           // holds it
)

// startSuspect brings the next suspect to the gate.
func (l *loop) startSuspect() {
	if l.stopping || l.sink.down || l.suspect != nil || l.gate != noGate || len(l.suspects) == 0 {
		return
	}
	it := l.suspects[0]
	l.suspects = l.suspects[1:]
	l.suspect, l.gate = it, atGate
	go func() {
		entered := l.cfg.Suspects.enter(l.readCtx.Done())
		l.events <- func() { l.entered(it, entered) }
	}()
}

// entered goes on with a suspect whose turn has come. From here on a slot is
// kept for it, see startCalls.
func (l *loop) entered(it *item, entered bool) {
	l.gate = noGate
	if entered {
		l.gate = pastGate
	}
	switch {
	case l.stopping || !entered: // stop has released it
		l.leaveGate()
	case l.sink.down:
		l.withdrawSuspect()
	case it.raised: // a retry: this delivery has been counted
		l.callSuspect(it)
	default:
		l.settle.raises = append(l.settle.raises, it)
	}
}

// awaited reports whether the suspect past the gate still needs a slot.
func (l *loop) awaited() bool {
	if l.gate != pastGate || l.suspect == nil {
		return false
	}
	for c := range l.running {
		if c.items[0] == l.suspect {
			return false
		}
	}
	return true
}

// withdrawSuspect takes the suspect past the gate back, so that the gate is
// free for others while this consumer cannot go on.
func (l *loop) withdrawSuspect() {
	if !l.awaited() || l.settle.isRaising(l.suspect) {
		return
	}
	it := l.suspect
	l.ready = slices.DeleteFunc(l.ready, func(c *call) bool { return c.items[0] == it })
	l.suspects = append([]*item{it}, l.suspects...)
	l.leaveGate()
}

// callSuspect makes a suspect that has passed the gate the next call.
func (l *loop) callSuspect(it *item) {
	l.ready = append([]*call{{items: []*item{it}}}, l.ready...)
}

// leaveGate lets the next suspect of the process pass.
func (l *loop) leaveGate() {
	if l.gate == pastGate {
		l.cfg.Suspects.leave()
		l.gate = noGate
	}
	if l.gate == noGate {
		l.suspect = nil
	}
}
