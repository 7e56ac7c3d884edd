package consumer

import (
	"sync"
	"time"

	"example.com/fanout/pkg/deadletter"
	"example.com/fanout/pkg/event"
	"example.com/fanout/pkg/stream"
)

// arrival is what one read has brought. The memory of new entries is borrowed: it
// goes back when none of them can come to a handler any more, though they are not
// settled yet. What is kept for longer than its fellows is copied out first, see
// keep. The items themselves are used again when the last of them is forgotten.
type arrival struct {
	stream.Chunk
	events   *[]event.Event // of the deliveries, borrowed; nil: none
	items    []item
	verdicts map[int]verdict // of those that are not to be handled, by index
	open     int             // items that use borrowed memory
	live     int             // items that are not forgotten
}

// eventPool lends the memory of events.
var eventPool = sync.Pool{New: func() any { return &[]event.Event{} }}

// borrowEvents makes room for n events.
func (a *arrival) borrowEvents(n int) []event.Event {
	if a.events == nil {
		a.events = eventPool.Get().(*[]event.Event)
	}
	if cap(*a.events) < n {
		*a.events = make([]event.Event, n)
	}
	*a.events = (*a.events)[:n]
	return *a.events
}

// empty gives back what is borrowed.
func (a *arrival) empty() {
	a.Reset()
	if a.events == nil {
		return
	}
	if cap(*a.events) <= maxKept {
		for i := range *a.events {
			(*a.events)[i].Reset()
		}
		eventPool.Put(a.events)
	}
	a.events = nil
}

// verdict is what decoding says of an item.
type verdict struct {
	unwanted bool
	stage    deadletter.Stage
	err      error
}

// Arrivals are kept to be filled again: small ones by the loop, as many as there may
// be while their acknowledgements wait for company. Large ones are lent by a pool, as
// the rest of the memory is: of a hundred groups with a backlog some are at work at a
// time, and use what the processor's caches hold already.
const (
	smallSpare  = 16 // items
	smallSpares = 64
	maxKept     = 4 << 10 // items
)

var arrivalPool = sync.Pool{New: func() any { return &arrival{} }}

// spare returns an arrival to fill.
func (l *loop) spare() *arrival {
	if l.read.many {
		return arrivalPool.Get().(*arrival)
	}
	n := len(l.read.spares)
	if n == 0 {
		return &arrival{}
	}
	a := l.read.spares[n-1]
	l.read.spares = l.read.spares[:n-1]
	return a
}

// recycle takes back an arrival of which nothing is used any more. A round under
// way may still know its items: it waits for that to end.
func (l *loop) recycle(a *arrival) {
	if s := &l.settle; s.round != nil {
		s.round.retired = append(s.round.retired, a)
		return
	}
	a.empty()
	clear(a.items)
	switch {
	case cap(a.items) > maxKept:
	case cap(a.items) > smallSpare:
		arrivalPool.Put(a)
	case len(l.read.spares) < smallSpares:
		l.read.spares = append(l.read.spares, a)
	}
}

// shed lets go of the delivery itself: only its Ref is needed from here on.
func (l *loop) shed(it *item) {
	a := it.from
	if a == nil || it.Delivery == nil {
		return
	}
	it.Delivery, it.event = nil, nil
	if a.open--; a.open == 0 {
		a.empty()
	}
}

// leave ends the use of an item's memory.
func (l *loop) leave(it *item) {
	if a := it.from; a != nil {
		l.shed(it)
		if a.live--; a.live == 0 {
			l.recycle(a)
		}
	}
}

// keep returns an item that does not hold the memory of its read, for one that
// may be needed for long: of a thousand entries one may wait for its retry, and
// the memory of the others must not.
func (l *loop) keep(it *item) *item {
	if it.from == nil {
		return it
	}
	own, delivery := *it, *it.Delivery
	delivery.Entry = it.Entry.Clone()
	own.from, own.Delivery, own.event = nil, &delivery, &event.Event{}
	_ = guard(func() error { return l.cfg.Decoder.DecodeInto(own.event, own.Entry, nil) }) // it has been decoded before, or could not be
	it.kept = &own
	l.leave(it)
	return &own
}

// decode makes items of the deliveries. It runs in the reader's goroutine and
// uses nothing of the loop but its configuration.
func (l *loop) decode(a *arrival) {
	n := len(a.Deliveries)
	if cap(a.items) < n {
		a.items = make([]item, n, max(n, 4))
	}
	a.items = a.items[:n] // empty ones, see recycle
	clear(a.verdicts)
	events := a.borrowEvents(n)
	known := l.c.shapes.Get().(*event.Shapes)
	for i, now := 0, time.Now(); i < n; i++ {
		l.decodeFrom(a, events, &i, now, known)
	}
	l.c.shapes.Put(known)
}

// decodeFrom decodes from the item at *i on. After a panic it has ruled on the
// one that caused it, at which *i stands.
func (l *loop) decodeFrom(a *arrival, events []event.Event, i *int, now time.Time, known *event.Shapes) {
	stage := deadletter.Decode
	defer func() {
		if err := recovered(recover()); err != nil {
			a.rule(*i, verdict{stage: stage, err: err})
		}
	}()
	for ; *i < len(a.Deliveries); *i++ {
		it := &a.items[*i]
		it.Delivery, it.event = &a.Deliveries[*i], &events[*i]
		it.Ref = it.Delivery.Ref
		it.size = it.Size()
		it.arrived = now
		stage = deadletter.Decode
		if err := l.cfg.Decoder.DecodeInto(it.event, it.Entry, known); err != nil {
			a.rule(*i, verdict{stage: stage, err: err})
			continue
		}
		if l.cfg.Where == nil {
			continue
		}
		stage = deadletter.Filter
		switch wanted, err := l.cfg.Where.Match(it.event); {
		case err != nil:
			a.rule(*i, verdict{stage: stage, err: err})
		case !wanted:
			a.rule(*i, verdict{unwanted: true})
		}
	}
}

func (a *arrival) rule(i int, v verdict) {
	if a.verdicts == nil {
		a.verdicts = map[int]verdict{}
	}
	a.verdicts[i] = v
}

// dropHeld drops what the loop already holds or has settled meanwhile.
func (l *loop) dropHeld(a *arrival, gone map[stream.ID]struct{}) {
	if len(a.items) == 0 {
		return
	}
	known := gone
	l.each(func(it *item) { known[it.Ref] = struct{}{} })
	left, verdicts := a.items[:0], a.verdicts
	a.verdicts = nil
	for i := range a.items {
		if _, held := known[a.items[i].Ref]; held {
			continue
		}
		if v, ruled := verdicts[i]; ruled {
			a.rule(len(left), v)
		}
		left = append(left, a.items[i])
	}
	a.items = left
}
