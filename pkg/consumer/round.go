package consumer

import (
	"context"
	"errors"
	"time"

	"example.com/fanout/pkg/stream"
	"example.com/fanout/pkg/telemetry"
)

const (
	maxAcks      = 10_000 // in one command
	ackLinger    = 25 * time.Millisecond
	ackAtOnce    = 128             // do not linger
	maxBurials   = 64              // in one round
	lettersRetry = 5 * time.Second // next try after the dead letters were full
)

// round is one conversation with Redis; the loop does not touch it while it runs.
type round struct {
	acks    []*item
	probes  []stream.ID // of the acks
	raises  []*item
	lowers  []stream.Hold
	frees   []stream.Hold
	touched []*item       // what is held beside all of this
	kept    []stream.Hold // touched, too
	buries  []*burial
	lease   int64      // of what is raised or touched by it
	retired []*arrival // memory that was given up while it ran

	holdFirst bool // before the acks, see settling
	apart     bool // no entry stands for another, see loop.separate

	ackErr, holdErr, buryErr error

	acked   int
	lost    []stream.ID
	burials []stream.Burial // as many as succeeded
}

func (r *round) empty() bool { return len(r.acks)+r.held()+len(r.buries) == 0 }

// held is how many entries Hold acts on.
func (r *round) held() int {
	return len(r.lowers) + len(r.frees) + len(r.raises) + len(r.touched) + len(r.kept)
}

// startSettling begins a round if there is something to say.
func (l *loop) startSettling(now time.Time) {
	s := &l.settle
	if s.busy || now.Before(s.fault.until) {
		return
	}
	if l.canLinger() && now.Before(s.acksSince.Add(ackLinger)) {
		return
	}
	deadline := now.Add(redisTimeout)
	if l.stopping && !l.lingers && l.endAt.Before(deadline) {
		deadline = l.endAt
	}
	if !now.Before(deadline) {
		return
	}
	r := &round{lowers: s.lowers, raises: s.raises, frees: s.holds, holdFirst: s.holdFirst, apart: l.read.claim}
	s.lowers, s.raises, s.holds = nil, nil, nil
	n := min(len(s.acks), maxAcks)
	r.acks, s.acks = s.acks[:n:n], s.acks[n:]
	if !now.Before(s.letters.until) {
		n := min(len(s.buries), maxBurials)
		r.buries, s.buries = s.buries[:n:n], s.buries[n:]
	}
	if now.Sub(s.touched) >= l.cfg.MinIdle/3 {
		s.touched = now
		l.each(func(it *item) {
			if !it.lost {
				r.touched = append(r.touched, it)
			}
		})
		r.kept = l.kept
		l.wary = l.wary && len(r.touched) > 0
	}
	if r.empty() {
		return
	}
	r.probes = r.probesOf(r.acks)
	l.lease++
	r.lease = l.lease
	s.busy, s.round = true, r
	ctx, cancel := context.WithDeadline(l.settleCtx, deadline)
	go func() {
		defer cancel()
		r.run(ctx, l.cfg.Source)
		l.events <- func() { l.settled(r) }
	}()
}

// canLinger reports whether nothing waits to be told but a few acknowledgements.
// They are collected for a moment: under live traffic each would else be a round
// trip, which costs more than the entry itself.
func (l *loop) canLinger() bool {
	s := &l.settle
	return !l.stopping && len(s.acks) > 0 && len(s.acks) < ackAtOnce && l.roomy() &&
		len(s.lowers)+len(s.raises)+len(s.buries)+len(s.holds) == 0
}

// roomy reports whether what is held takes up less than half of the room.
func (l *loop) roomy() bool { return 2*l.held < l.capacity() && 2*l.heldBytes < l.cfg.budget() }

// errUntried is of a part that was not tried, because one before it had failed.
var errUntried = errors.New("not tried")

// run does a round. It ends with the first part that fails: while Redis does
// not answer, each would take its time.
func (r *round) run(ctx context.Context, s Settler) {
	r.ackErr, r.holdErr, r.buryErr = errUntried, errUntried, errUntried
	parts := []func() error{
		func() error { r.ackErr = guard(func() error { return r.ack(ctx, s) }); return r.ackErr },
		func() error { r.holdErr = guard(func() error { return r.hold(ctx, s) }); return r.holdErr },
		func() error { r.buryErr = r.bury(ctx, s); return r.buryErr },
	}
	if r.holdFirst {
		parts[0], parts[1] = parts[1], parts[0]
	}
	for _, part := range parts {
		if part() != nil {
			return
		}
	}
}

func (r *round) ack(ctx context.Context, s Settler) (err error) {
	if len(r.acks) == 0 {
		return nil
	}
	refs := make([]stream.ID, len(r.acks))
	for i, it := range r.acks {
		refs[i] = it.Ref
	}
	r.acked, err = s.Ack(ctx, r.probes, refs)
	return err
}

// probesOf picks one of those whose idle times were last reset together. Of all
// that have not been touched since they were read the one that was read first is
// enough: while nobody could take it over, what was read later is idle for less.
func (r *round) probesOf(acks []*item) (probes []stream.ID) {
	var first *item // read
	seen := int64(-1)
	for _, it := range acks {
		switch {
		case r.apart:
			probes = append(probes, it.Ref)
		case it.lease.read:
			if first == nil || it.lease.number < first.lease.number {
				first = it
			}
		case it.lease.number != seen: // neighbours mostly share it; a repeat costs a look-up
			seen = it.lease.number
			probes = append(probes, it.Ref)
		}
	}
	if first != nil {
		probes = append(probes, first.Ref)
	}
	return probes
}

func (r *round) hold(ctx context.Context, s Settler) (err error) {
	if r.held() == 0 {
		return nil
	}
	holds := make([]stream.Hold, 0, r.held())
	holds = append(append(holds, r.lowers...), r.frees...)
	for _, it := range r.raises {
		holds = append(holds, stream.Hold{Ref: it.Ref, Count: it.Count + 1})
	}
	for _, it := range r.touched {
		holds = append(holds, stream.Hold{Ref: it.Ref, Count: stream.KeepCount})
	}
	for _, h := range r.kept {
		holds = append(holds, stream.Hold{Ref: h.Ref, Count: stream.KeepCount})
	}
	r.lost, err = s.Hold(ctx, holds)
	return err
}

func (r *round) bury(ctx context.Context, s Settler) error {
	for _, b := range r.buries {
		var result stream.Burial
		err := guard(func() (err error) {
			result, err = s.Bury(ctx, b.it.Ref, b.letter)
			return err
		})
		if err != nil {
			b.unsure = b.unsure || !errors.Is(err, stream.ErrDeadLettersFull)
			return err
		}
		r.burials = append(r.burials, result)
	}
	return nil
}

// settled books what came of a round.
func (l *loop) settled(r *round) {
	s := &l.settle
	s.busy = false
	l.bookAcks(r)
	l.bookHolds(r)
	l.bookBurials(r)
	s.round = nil
	for _, a := range r.retired {
		l.recycle(a)
	}
	err := r.ackErr
	if err == nil || errors.Is(err, errUntried) {
		err = r.holdErr
	}
	s.holdFirst = r.ackErr != nil && !errors.Is(r.ackErr, errUntried)
	switch {
	case errors.Is(errors.Join(err, r.buryErr), stream.ErrNoGroup):
		l.groupGone()
	case err != nil:
		s.fault.hit(err)
		l.cfg.Telemetry.Errors.Note(telemetry.ErrorRedis, err)
	case len(r.acks) > 0 || r.held() > 0 || r.buryErr == nil:
		s.fault.clear()
	}
}

func (l *loop) bookAcks(r *round) {
	if len(r.acks) == 0 {
		return
	}
	s, t := &l.settle, l.cfg.Telemetry
	if errors.Is(r.ackErr, errUntried) {
		s.acks = append(r.acks, s.acks...)
		return
	}
	if r.ackErr != nil {
		t.AcksFailed.Add(1)
		for _, it := range r.acks {
			it.unsure = true
		}
		s.acks = append(r.acks, s.acks...)
		return
	}
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
	l.forget(r.acks...)
}

// bookHolds books raised, freed and touched entries.
func (l *loop) bookHolds(r *round) {
	s := &l.settle
	if r.holdErr != nil {
		s.lowers = append(r.lowers, s.lowers...)
		s.raises = append(r.raises, s.raises...)
		s.holds = append(r.frees, s.holds...)
		if l.stopping {
			l.releaseRaises()
		}
		if len(r.touched)+len(r.kept) > 0 {
			s.touched = time.Time{} // not at its next time, but as soon as Redis answers
		}
		if !errors.Is(r.holdErr, errUntried) {
			for _, it := range r.touched { // it may have been done for some of them
				it.present().lease = l.ownLease()
			}
		}
		return
	}
	lost := map[stream.ID]bool{}
	for _, id := range r.lost {
		lost[id] = true
	}
	for _, h := range r.frees {
		switch {
		case lost[h.Ref] || h.Free:
		case l.giveBack: // the calls were given up meanwhile
			s.holds = append(s.holds, stream.Hold{Ref: h.Ref, Count: h.Count, Free: true})
		default:
			l.kept = append(l.kept, h)
		}
	}
	l.wary = l.wary && (len(r.touched) == 0 || r.lease <= l.waryAt)
	for _, it := range r.touched {
		if it = it.present(); lost[it.Ref] {
			it.lost = true
		} else {
			l.renew(it, r)
		}
	}
	for _, it := range r.raises {
		l.raised(it, r, lost[it.Ref])
	}
	if len(r.lost) > 0 {
		l.lose()
	}
}

// renew notes that a round has reset the idle time of an entry, with those of
// the others that it acted on, unless it was reset by itself since.
func (l *loop) renew(it *item, r *round) {
	switch {
	case r.apart:
		it.lease = l.ownLease()
	case it.lease.number < r.lease:
		it.lease = lease{number: r.lease}
	}
}

// ownLease is a lease that no entry has yet.
func (l *loop) ownLease() lease {
	l.lease++
	return lease{number: l.lease}
}

// raised goes on with an entry whose delivery count now includes this delivery.
func (l *loop) raised(it *item, r *round, lost bool) {
	isFront := l.front.it == it
	l.renew(it, r)
	it.lost, it.raised = lost, true
	it.Count++
	if it.lift != nil {
		l.lifted(it, !lost && !l.stopping)
	}
	switch {
	case lost || l.stopping:
		if isFront {
			l.leaveGate()
		}
		l.release(it) // or drops it
	case isFront:
		l.front.at = due
		if !l.takesSuspect(time.Now()) {
			l.withdrawSuspect()
		}
	}
}

func (l *loop) bookBurials(r *round) {
	s := &l.settle
	for i, result := range r.burials {
		l.buried(r.buries[i], result)
	}
	rest := r.buries[len(r.burials):]
	switch {
	case len(r.buries) == 0:
	case len(rest) == 0:
		s.letters.clear()
		if !s.fullSince.IsZero() {
			s.fullSince = time.Time{}
			l.cfg.Logger.Info("dead letters have room again")
		}
	case errors.Is(r.buryErr, errUntried):
		s.buries = append(rest, s.buries...)
	case errors.Is(r.buryErr, stream.ErrDeadLettersFull):
		s.buries = append(rest, s.buries...)
		s.letters.clear() // they can be written, but for the room
		s.letters.until = time.Now().Add(lettersRetry)
		if s.fullSince.IsZero() {
			s.fullSince = time.Now()
			l.cfg.Logger.Error("dead letters full, the group holds", "hint", "replay or purge dead letters, or raise dead_letter.max_len")
		}
		for _, b := range rest {
			l.lower(b.it)
		}
		if l.stopping {
			l.releaseBurials()
		}
	default: // the others first: it may be this letter alone that cannot be written
		s.buries = append(append(rest[1:], s.buries...), rest[0])
		s.letters.hit(r.buryErr)
		l.cfg.Telemetry.Errors.Note(telemetry.ErrorRedis, r.buryErr)
	}
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
	l.forget(b.it)
}
