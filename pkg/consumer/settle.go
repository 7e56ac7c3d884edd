package consumer

import (
	"container/heap"
	"context"
	"errors"
	"slices"
	"time"
	"unicode/utf8"

	"example.com/fanout/pkg/deadletter"
	"example.com/fanout/pkg/stream"
	"example.com/fanout/pkg/telemetry"
)

const (
	maxAcks      = 10_000          // in one command
	maxBurials   = 64              // in one round
	lettersRetry = 5 * time.Second // next try after the dead letters were full
	maxErrorText = 4096            // bytes of an error kept in a letter
)

// settling is what is to be told to Redis. One round runs at a time and takes
// with it everything that waits; what a round could not confirm comes back.
type settling struct {
	busy    bool
	fault   fault
	touched time.Time // when the last touch of everything held began

	acks   []*item       // handled or unwanted
	raises []*item       // not to be handled before their delivery count is raised
	buries []*burial     // to become dead letters
	holds  []stream.Hold // what is given back, or kept for a successor

	round *round // under way

	lettersFullSince time.Time // zero: they are not
	lettersFullUntil time.Time // no burial is tried before
}

type burial struct {
	it     *item
	letter *deadletter.Letter
	unsure bool // a try ended with an error: it may have been done all the same
}

// round is one conversation with Redis; the loop does not touch it while it runs.
type round struct {
	acks   []*item
	raises []*item
	buries []*burial
	frees  []stream.Hold
	touch  []stream.Hold
	lease  int64 // of what is raised or touched by it
	holder []*item

	ackErr, holdErr, buryErr error
	acked                    int
	lost                     []stream.ID
	burials                  []stream.Burial // as many as succeeded
}

// isRaising reports whether the item waits for its delivery count, in a round
// under way or before one.
func (s *settling) isRaising(it *item) bool {
	return slices.Contains(s.raises, it) || s.round != nil && slices.Contains(s.round.raises, it)
}

// empty reports whether nothing waits to be told.
func (s *settling) empty() bool {
	return len(s.acks)+len(s.raises)+len(s.buries)+len(s.holds) == 0
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

// ack hands items over that are done.
func (l *loop) ack(items []*item) {
	for _, it := range items {
		if !l.dropLost(it) {
			l.settle.acks = append(l.settle.acks, it)
		}
	}
}

// forget takes settled items out of the loop's account.
func (l *loop) forget(items []*item) {
	bytes := 0
	for _, it := range items {
		bytes += it.size
		if l.read.gone != nil {
			l.read.gone[it.Ref] = struct{}{}
		}
	}
	l.letGo(len(items), bytes)
}

// dropLost ends an item that a touch has found to be another consumer's, and
// reports whether it was one.
func (l *loop) dropLost(it *item) bool {
	if it.lost {
		l.cfg.Telemetry.Settled[telemetry.LeaseLost].Add(1)
		l.forget([]*item{it})
	}
	return it.lost
}

// dropLostOf is dropLost for a list.
func (l *loop) dropLostOf(items []*item) []*item {
	return slices.DeleteFunc(slices.Clone(items), l.dropLost)
}

// vanished books entries that Redis had pending without their data.
func (l *loop) vanished(ids []stream.ID) {
	l.cfg.Telemetry.Settled[telemetry.Vanished].Add(int64(len(ids)))
	l.cfg.Logger.Error("pending entries vanished: they were trimmed or deleted before they were settled",
		"entries", len(ids), "first", ids[0].String(), "last", ids[len(ids)-1].String())
}

// groupGone ends everything that was pending in a group that is no more.
func (l *loop) groupGone() {
	s := &l.settle
	gone := append(append([]*item(nil), s.acks...), s.raises...)
	for _, b := range s.buries {
		gone = append(gone, b.it)
	}
	l.cfg.Telemetry.Settled[telemetry.LeaseLost].Add(int64(len(gone)))
	l.forget(gone)
	s.acks, s.raises, s.buries, s.holds, l.kept = nil, nil, nil, nil, nil
	l.leaveGate()
	l.fail(stream.ErrNoGroup)
}

// bury hands an item over that cannot be handled.
func (l *loop) bury(it *item, stage deadletter.Stage, err error) {
	if l.dropLost(it) {
		return
	}
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
		Attempts:     it.attempts,
		Deliveries:   it.Count,
		FirstFailure: it.firstFail,
		LastFailure:  it.lastFail,
	}})
	l.buriedAt = time.Now()
	l.cfg.Logs.bury.Fault(err)
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

// release gives an item back: it stays pending, and its delivery count is what
// it was unless a deadline has told against it.
func (l *loop) release(it *item) {
	if l.dropLost(it) {
		return
	}
	l.settle.holds = append(l.settle.holds, stream.Hold{Ref: it.Ref, Count: it.undo, Free: l.giveBack})
	l.letGo(1, it.size)
	l.cfg.Telemetry.Settled[telemetry.Released].Add(1)
}

func (l *loop) releaseCall(c *call) {
	for _, it := range c.items {
		l.release(it)
	}
}

// startSettling begins a round if there is something to say.
func (l *loop) startSettling(now time.Time) {
	s := &l.settle
	if s.busy || now.Before(s.fault.until) {
		return
	}
	r := &round{raises: s.raises, frees: s.holds}
	r.acks = s.acks[:min(len(s.acks), maxAcks)]
	s.acks = s.acks[len(r.acks):]
	if len(s.acks) == 0 {
		s.acks = nil
	}
	if !now.Before(s.lettersFullUntil) {
		n := min(len(s.buries), maxBurials)
		r.buries, s.buries = s.buries[:n:n], s.buries[n:]
	}
	s.raises, s.holds = nil, nil
	if now.Sub(s.touched) >= l.cfg.MinIdle/3 {
		s.touched = now
		l.each(func(it *item) {
			r.holder = append(r.holder, it)
			r.touch = append(r.touch, stream.Hold{Ref: it.Ref, Count: stream.KeepCount})
		})
		for _, h := range l.kept {
			r.touch = append(r.touch, stream.Hold{Ref: h.Ref, Count: stream.KeepCount})
		}
	}
	if len(r.acks)+len(r.raises)+len(r.frees)+len(r.buries)+len(r.touch) == 0 {
		return
	}
	l.lease++
	r.lease = l.lease
	s.busy, s.round = true, r
	ctx, cancel := context.WithTimeout(l.settleCtx, redisTimeout)
	go func() {
		defer cancel()
		if err := guard(func() error { r.run(ctx, l.cfg.Source); return nil }); err != nil {
			r.ackErr, r.holdErr, r.buryErr = err, err, err
		}
		l.events <- func() { l.settled(r) }
	}()
}

// run does a round. It stops at the first part that fails.
func (r *round) run(ctx context.Context, s Settler) {
	if len(r.acks) > 0 {
		refs := make([]stream.ID, len(r.acks))
		var probes []stream.ID
		seen := int64(-1)
		for i, it := range r.acks {
			refs[i] = it.Ref
			if it.lease != seen { // neighbours mostly share it; a repeat costs a look-up
				seen = it.lease
				probes = append(probes, it.Ref)
			}
		}
		r.acked, r.ackErr = s.Ack(ctx, probes, refs)
		if r.ackErr != nil {
			r.holdErr, r.buryErr = r.ackErr, r.ackErr
			return
		}
	}
	holds := append([]stream.Hold(nil), r.frees...)
	for _, it := range r.raises {
		holds = append(holds, stream.Hold{Ref: it.Ref, Count: it.Count + 1})
	}
	// What is buried or acknowledged in this round needs no touch, but it may
	// be in the list; Hold then says that it is not ours, which is right.
	holds = append(holds, r.touch...)
	if len(holds) > 0 {
		r.lost, r.holdErr = s.Hold(ctx, holds)
		if r.holdErr != nil {
			r.buryErr = r.holdErr
			return
		}
	}
	for _, b := range r.buries {
		result, err := s.Bury(ctx, b.it.Ref, b.letter)
		if err != nil {
			b.unsure = !errors.Is(err, stream.ErrDeadLettersFull)
			r.buryErr = err
			return
		}
		r.burials = append(r.burials, result)
	}
}

// settled books what came of a round.
func (l *loop) settled(r *round) {
	s := &l.settle
	s.busy, s.round = false, nil
	l.booked(r)
	err := errors.Join(r.ackErr, r.holdErr)
	if err == nil && !errors.Is(r.buryErr, stream.ErrDeadLettersFull) {
		err = r.buryErr
	}
	switch {
	case err == nil:
		s.fault.clear()
	case errors.Is(err, stream.ErrNoGroup):
		l.groupGone()
	default:
		s.fault.hit(firstOf(r.ackErr, r.holdErr, r.buryErr))
	}
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (l *loop) booked(r *round) {
	s, t := &l.settle, l.cfg.Telemetry

	if len(r.acks) > 0 {
		if r.ackErr != nil {
			t.AcksFailed.Add(1)
			for _, it := range r.acks {
				it.unsure = true
			}
			s.acks = append(r.acks, s.acks...)
		} else {
			t.AcksOK.Add(1)
			unsure := 0
			for _, it := range r.acks {
				if it.unsure {
					unsure++
				}
			}
			lost := max(0, len(r.acks)-r.acked-unsure)
			t.Settled[telemetry.Acked].Add(int64(len(r.acks) - lost))
			t.Settled[telemetry.LeaseLost].Add(int64(lost))
			l.forget(r.acks)
		}
	}

	if r.holdErr != nil {
		s.raises = append(r.raises, s.raises...)
		s.holds = append(r.frees, s.holds...)
	} else {
		l.bookHolds(r)
	}

	for i, b := range r.buries[:len(r.burials)] {
		l.buried(b, r.burials[i])
	}
	if rest := r.buries[len(r.burials):]; len(rest) > 0 {
		s.buries = append(rest, s.buries...)
		if errors.Is(r.buryErr, stream.ErrDeadLettersFull) {
			now := time.Now()
			if s.lettersFullSince.IsZero() {
				s.lettersFullSince = now
				l.cfg.Logger.Error("dead letters full, the group holds", "hint", "replay or purge dead letters, or raise dead_letter.max_len")
			}
			s.lettersFullUntil = now.Add(lettersRetry)
		}
	} else if len(r.buries) > 0 && !s.lettersFullSince.IsZero() {
		s.lettersFullSince, s.lettersFullUntil = time.Time{}, time.Time{}
		l.cfg.Logger.Info("dead letters have room again")
	}
}

// bookHolds books raised, freed and touched entries.
func (l *loop) bookHolds(r *round) {
	lost := map[stream.ID]bool{}
	for _, id := range r.lost {
		lost[id] = true
	}
	if !l.giveBack && l.abandoned == 0 {
		for _, h := range r.frees {
			if !lost[h.Ref] {
				l.kept = append(l.kept, h)
			}
		}
	}
	for _, it := range r.holder {
		if lost[it.Ref] {
			it.lost = true
		} else {
			it.lease = r.lease
		}
	}
	for _, it := range r.raises {
		l.raised(it, r.lease, lost[it.Ref])
	}
	if len(r.lost) > 0 {
		l.lose()
	}
}

// raised goes on with an entry whose delivery count now includes this delivery.
func (l *loop) raised(it *item, lease int64, lost bool) {
	if lost {
		if l.suspect == it {
			l.leaveGate()
		}
		l.cfg.Telemetry.Settled[telemetry.LeaseLost].Add(1)
		l.forget([]*item{it})
		return
	}
	it.lease, it.raised = lease, true
	it.Count++
	switch {
	case l.stopping:
		if l.suspect == it {
			l.leaveGate()
		}
		l.release(it)
	case it.suspect && l.sink.down:
		l.withdrawSuspect()
	case it.suspect:
		l.callSuspect(it)
	default:
		l.fresh = append(l.fresh, it)
	}
}

// lose drops what has been found to be another's, as far as it has not begun.
// What is in a call is dropped when that returns.
func (l *loop) lose() {
	l.fresh = l.dropLostOf(l.fresh)
	l.suspects = l.dropLostOf(l.suspects)
	calls := func(cs []*call) []*call {
		return slices.DeleteFunc(cs, func(c *call) bool {
			if c.items[0] == l.suspect && l.suspect.lost {
				l.leaveGate()
			}
			c.items = l.dropLostOf(c.items)
			return len(c.items) == 0
		})
	}
	l.ready = calls(l.ready)
	l.cfg.Telemetry.Retrying.Add(-int64(len(l.waiting)))
	l.waiting = calls(l.waiting)
	heap.Init(&l.waiting)
	l.cfg.Telemetry.Retrying.Add(int64(len(l.waiting)))
}

// buried books one dead letter.
func (l *loop) buried(b *burial, result stream.Burial) {
	t := l.cfg.Telemetry
	outcome := telemetry.Buried
	if result == stream.NotOurs || result == stream.NotPending && !b.unsure {
		outcome = telemetry.LeaseLost
	} else {
		t.DeadLetters[telemetry.StageOf(string(b.letter.Stage))].Add(1)
	}
	t.Settled[outcome].Add(1)
	l.forget([]*item{b.it})
}
