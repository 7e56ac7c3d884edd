package consumer

import (
	"time"

	"example.com/fanout/pkg/deadletter"
	"example.com/fanout/pkg/event"
	"example.com/fanout/pkg/stream"
)

// arrival is what one read has brought, with the memory of all of it. One of new
// entries is filled again when the last of its items is forgotten; what is kept
// for longer than its fellows is copied out first, see keep.
type arrival struct {
	stream.Chunk
	items    []item
	verdicts map[int]verdict // of those that are not to be handled, by index
	live     int             // items that are not forgotten
}

// verdict is what decoding says of an item.
type verdict struct {
	unwanted bool
	stage    deadletter.Stage
	err      error
}

// maxSpares is how many arrivals are kept to be filled again beside the one that
// is read: one is handled, one is settled.
const maxSpares = 2

// spare returns an arrival to fill.
func (l *loop) spare() *arrival {
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
	if len(l.read.spares) < maxSpares {
		a.Reset() // lets go of memory that is large
		for i := range a.items {
			a.items[i].reset()
		}
		l.read.spares = append(l.read.spares, a)
	}
}

// leave ends the use of an item's memory.
func (l *loop) leave(it *item) {
	if a := it.from; a != nil {
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
	own := *it
	own.from = nil
	own.Entry = it.Entry.Clone()
	own.event = event.Event{}
	own.Event = &own.event
	_ = guard(func() error { return l.cfg.Decoder.DecodeInto(&own.event, own.Entry) }) // it has been decoded before, or could not be
	it.kept = &own
	l.leave(it)
	return &own
}

// decode makes items of the deliveries. It runs in the reader's goroutine and
// uses nothing of the loop but its configuration.
func (l *loop) decode(a *arrival) {
	n := len(a.Deliveries)
	if cap(a.items) < n {
		a.items = make([]item, n)
	}
	a.items = a.items[:n] // empty ones, see recycle
	clear(a.verdicts)
	for i, now := 0, time.Now(); i < n; i++ {
		l.decodeFrom(a, &i, now)
	}
}

// decodeFrom decodes from the item at *i on. After a panic it has ruled on the
// one that caused it, at which *i stands.
func (l *loop) decodeFrom(a *arrival, i *int, now time.Time) {
	stage := deadletter.Decode
	defer func() {
		if err := recovered(recover()); err != nil {
			a.rule(*i, verdict{stage: stage, err: err})
		}
	}()
	for ; *i < len(a.Deliveries); *i++ {
		it := &a.items[*i]
		it.Delivery.Delivery = a.Deliveries[*i]
		it.Event = &it.event
		it.size = it.Size()
		it.arrived = now
		stage = deadletter.Decode
		if err := l.cfg.Decoder.DecodeInto(&it.event, it.Entry); err != nil {
			a.rule(*i, verdict{stage: stage, err: err})
			continue
		}
		if l.cfg.Where == nil {
			continue
		}
		stage = deadletter.Filter
		switch wanted, err := l.cfg.Where.Match(&it.event); {
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
		it := &left[len(left)-1]
		it.Event = &it.event
	}
	a.items = left
}
