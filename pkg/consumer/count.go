package consumer

import (
	"slices"

	"example.com/fanout/pkg/stream"
)

// Redis' delivery count of an entry stands for deliveries that did not come
// back, see suspect.go. Those that wait for a sink that is down, or for room
// among the dead letters, have come back: their count is lowered to what it was
// before the delivery, so that a process that dies meanwhile tells nothing
// against them. No call begins before Redis counts it.

// lower undoes the delivery counts of items that wait through no fault of theirs.
func (l *loop) lower(items ...*item) {
	for _, it := range items {
		if it.lost || !it.raised || it.undo == stream.KeepCount || l.stopping {
			continue
		}
		it.raised = false
		it.Count--
		it.lease = l.ownLease() // its idle time begins anew, by itself
		l.settle.lowers = append(l.settle.lowers, stream.Hold{Ref: it.Ref, Count: it.undo})
	}
}

// lift has the delivery counts of a call raised before it begins, and reports
// whether that is needed. The call comes back to the front of those that are
// ready.
func (l *loop) lift(c *call) bool {
	if !slices.ContainsFunc(c.items, func(it *item) bool { return !it.raised }) {
		return false
	}
	var counted []*item
	for _, it := range c.items {
		if it.raised {
			counted = append(counted, it)
			continue
		}
		it.lift = c
		c.lifting++
		l.settle.raises = append(l.settle.raises, it)
	}
	c.items = counted
	l.lifts = append(l.lifts, c)
	return true
}

// lifted takes an item out of the lift of its call, and puts it back into the
// call when it goes on.
func (l *loop) lifted(it *item, goesOn bool) {
	c := it.lift
	it.lift = nil
	c.lifting--
	if goesOn {
		c.items = append(c.items, it)
	}
	if c.lifting > 0 {
		return
	}
	l.lifts = slices.DeleteFunc(l.lifts, func(other *call) bool { return other == c })
	if len(c.items) > 0 {
		l.ready = append([]*call{c}, l.ready...)
	}
}

// dropLifts gives back what waits in calls for the counts of others.
func (l *loop) dropLifts() {
	for _, c := range l.lifts {
		l.release(c.items...)
		c.items = nil
	}
}
