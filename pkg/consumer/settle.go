package consumer

import (
	"container/heap"
	"slices"
	"time"
	"unicode/utf8"

	"example.com/fanout/pkg/deadletter"
	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/stream"
	"example.com/fanout/pkg/telemetry"
)

const maxErrorText = 4096 // bytes of an error kept in a letter

// settling is what is to be told to Redis. One round runs at a time and takes
// with it everything that waits; what a round could not confirm comes back.
type settling struct {
	fault   fault     // of acknowledgements and holds
	letters fault     // of burials, which hinders nothing else
	touched time.Time // when the last touch of everything held began

	acks      []*item       // handled or unwanted
	acksSince time.Time     // when the first of them came
	lowers    []stream.Hold // what waits through no fault of its own
	raises    []*item       // not to be handled before their delivery count is raised
	buries    []*burial     // to become dead letters
	holds     []stream.Hold // what is given back, or kept for a successor

	busy  bool
	round *round // under way

	// holdFirst: the acknowledgements have failed last, and must not keep the
	// holds from being tried. Nor the other way round.
	holdFirst bool

	fullSince time.Time // the dead letters have no room; zero: they have
}

type burial struct {
	it     *item
	letter *deadletter.Letter
	unsure bool // a try ended with an error: it may have been done all the same
}

// empty reports whether nothing waits to be told.
func (s *settling) empty() bool {
	return len(s.acks)+len(s.lowers)+len(s.raises)+len(s.buries)+len(s.holds) == 0
}

// each visits the items that wait here or are in the round under way.
func (s *settling) each(visit func(*item)) {
	of := func(acks, raises []*item, buries []*burial) {
		for _, it := range acks {
			visit(it)
		}
		for _, it := range raises {
			visit(it)
		}
		for _, b := range buries {
			visit(b.it)
		}
	}
	of(s.acks, s.raises, s.buries)
	if s.round != nil {
		of(s.round.acks, s.round.raises, s.round.buries)
	}
}

// ack hands items over that are done since a moment.
func (l *loop) ack(since time.Time, items ...*item) {
	if len(l.settle.acks) == 0 {
		l.settle.acksSince = since
	}
	for _, it := range items {
		if !l.dropLost(it) {
			l.settle.acks = append(l.settle.acks, it)
			if it.comesBack() {
				l.settle.acksSince = time.Time{}
			}
			l.shed(it)
		}
	}
}

// bury hands an item over that cannot be handled.
func (l *loop) bury(it *item, stage deadletter.Stage, err error) {
	if l.dropLost(it) {
		return
	}
	it = l.keep(it)
	l.settle.buries = append(l.settle.buries, &burial{it: it, letter: &deadletter.Letter{
		Entry:        it.Entry,
		Stream:       it.Stream,
		ID:           it.ID,
		Epoch:        it.Epoch,
		Group:        l.cfg.Group,
		Consumer:     l.cfg.Name,
		Handler:      l.cfg.HandlerType,
		Stage:        stage,
		Error:        bounded(err.Error()),
		Class:        classOf(stage, err),
		Attempts:     it.had().attempts,
		Deliveries:   it.Count,
		FirstFailure: it.had().firstFail,
		LastFailure:  it.had().lastFail,
	}})
	l.buriedAt = time.Now()
	l.cfg.Logs.bury.Fault(err)
	switch stage {
	case deadletter.Decode, deadletter.Filter, deadletter.Crash: // else the call of the handler has noted it
		l.cfg.Telemetry.Errors.Note(telemetry.ErrorEntry, err)
	}
}

// classOf is the error class of a letter.
func classOf(stage deadletter.Stage, err error) string {
	switch stage {
	case deadletter.Timeout, deadletter.Panic, deadletter.Crash:
		return string(stage)
	case deadletter.Decode, deadletter.Filter:
		return deadletter.ClassPermanent
	}
	if handler.MarkOf(err) == handler.MarkPermanent {
		return deadletter.ClassPermanent
	}
	return deadletter.ClassError
}

func bounded(s string) string {
	if len(s) <= maxErrorText {
		return s
	}
	cut := maxErrorText
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}

// release gives items back: they stay pending, and their delivery count is what
// it was unless a deadline has told against it.
func (l *loop) release(items ...*item) {
	for _, it := range items {
		if !l.dropLost(it) {
			l.settle.holds = append(l.settle.holds, stream.Hold{Ref: it.Ref, Count: it.undo, Free: l.giveBack})
			l.cfg.Telemetry.Settled[telemetry.Released].Add(1)
			l.forget(it)
		}
	}
}

// vanished books entries that Redis had pending without their data.
func (l *loop) vanished(ids []stream.ID) {
	l.cfg.Telemetry.Settled[telemetry.Vanished].Add(int64(len(ids)))
	if l.cfg.Vanished != nil {
		l.cfg.Vanished(ids)
	}
}

// dropLost ends an item that has been found to be another consumer's, and
// reports whether it was one.
func (l *loop) dropLost(it *item) bool {
	if !it.lost {
		return false
	}
	l.cfg.Telemetry.Settled[telemetry.LeaseLost].Add(1)
	l.forget(it)
	return true
}

// dropLostOf is dropLost for a list.
func (l *loop) dropLostOf(items []*item) []*item {
	return slices.DeleteFunc(slices.Clone(items), l.dropLost)
}

// lose drops what has been found to be another's, as far as it has not begun.
// What is in a call is dropped when that returns, what is at the gate when it
// has entered.
func (l *loop) lose() {
	calls := func(cs []*call) []*call {
		return slices.DeleteFunc(cs, func(c *call) bool {
			c.items = l.dropLostOf(c.items)
			return len(c.items) == 0
		})
	}
	l.fresh = l.dropLostOf(l.fresh)
	l.suspects = l.dropLostOf(l.suspects)
	l.ready = calls(l.ready)
	for _, c := range l.lifts {
		c.items = l.dropLostOf(c.items)
	}
	before := deliveries(l.waiting)
	l.waiting = calls(l.waiting)
	heap.Init(&l.waiting)
	l.cfg.Telemetry.Retrying.Add(deliveries(l.waiting) - before)
	if l.front.at == due && l.dropLost(l.front.it) {
		l.leaveGate()
	}
}

// groupGone ends everything that was pending in a group that is no more.
func (l *loop) groupGone() {
	s := &l.settle
	for _, it := range s.raises {
		if l.front.it == it {
			l.leaveGate()
		}
	}
	var gone []*item
	s.each(func(it *item) { gone = append(gone, it) })
	l.cfg.Telemetry.Settled[telemetry.LeaseLost].Add(int64(len(gone)))
	l.forget(gone...)
	s.acks, s.lowers, s.raises, s.buries, s.holds, l.kept = nil, nil, nil, nil, nil, nil
	l.each(func(it *item) { it.lost = true }) // neither touched nor acknowledged any more
	l.fail(stream.ErrNoGroup)
}
