package consumer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"example.com/fanout/pkg/deadletter"
	"example.com/fanout/pkg/event"
	"example.com/fanout/pkg/stream"
	"example.com/fanout/pkg/telemetry"
)

// reading is what the loop knows about obtaining entries. One read runs at a
// time, of one of three kinds, in this order: the own pending list, what
// others have left behind, what is new.
type reading struct {
	busy  bool
	count int // entries to ask for; grows at most twofold with each read that brings as many
	avg   int // bytes of an entry as last seen

	// A read that has brought much is decoded while the next one is under way. They
	// arrive in order: each waits for the one before.
	decoding, decodingBytes int             // entries, and their bytes, that have not arrived yet
	last                    <-chan struct{} // closed when the last one of these has; nil: none was that large

	// more: Redis has delivered more than there was room for, it waits on the
	// connection. Until it is read no pending list is, which would name it.
	more   bool
	many   bool       // the last read has brought so much that the next may do so
	spares []*arrival // small ones, to be filled again

	// Faults of Redis, one for each kind of read: that one works says nothing
	// of another, which a user of Redis may not be allowed.
	ofOwn, ofClaim, ofNew fault

	own     *pass     // under way; nil for none
	auditAt time.Time // next pass over the own pending list; zero for none
	claim   bool      // a sweep is wanted or under way
	cursor  stream.ID // of the sweep

	// gone holds what was settled or released while a pending list was being
	// read: its page may still name them. Nil while no list is read.
	gone map[stream.ID]struct{}
}

// pass is a walk through the own pending list.
type pass struct {
	origin stream.Origin // Own at the start, Stranded later
	after  stream.ID
}

// startReading asks Redis for what there is room for.
func (l *loop) startReading(now time.Time) {
	r := &l.read
	if r.busy || l.stopping {
		return
	}
	held, heldBytes := l.held+r.decoding, l.heldBytes+r.decodingBytes
	if r.own == nil && !r.auditAt.IsZero() && !now.Before(r.auditAt) {
		r.own = &pass{origin: stream.Stranded}
	}
	room, bytes := min(l.capacity()-held, r.count), l.cfg.budget()-heldBytes
	if held == 0 {
		bytes = max(bytes, 1) // one entry, however large
	}
	if r.avg > 0 && bytes > 0 {
		room = min(room, max(1, bytes/r.avg))
	}
	if room <= 0 || bytes <= 0 {
		return
	}
	switch {
	case r.more:
		l.readNew(now, room, bytes)
	case r.decoding > 0 && (r.own != nil || r.claim):
		// a pending list would name what has not arrived
	case r.own != nil:
		if !now.Before(r.ofOwn.until) {
			l.readOwn(min(room, 256))
		}
	case r.claim && !now.Before(r.ofClaim.until):
		if l.separate() {
			l.readClaim(min(room, 256))
		}
	case held <= l.capacity()-l.readMost() || l.completes(room):
		l.readNew(now, room, bytes)
	}
}

// completes reports whether the next batch is not at hand and a read of so many
// entries may complete it. While acknowledgements are on their way to make room,
// too little of it is left alone: it would make a small batch, whose
// acknowledgement makes little room again, and so on.
func (l *loop) completes(room int) bool {
	short := l.cfg.BatchSize - len(l.fresh) - l.read.decoding
	if short <= 0 {
		return false
	}
	round := l.settle.round
	return room >= min(short, l.read.count) || round == nil || len(round.acks) == 0
}

// readNew reads new entries. It blocks in a goroutine of its own.
func (l *loop) readNew(now time.Time, limit, bytes int) {
	if now.Before(l.read.ofNew.until) {
		return
	}
	if l.held > 0 && (l.sink.down || !l.settle.fullSince.IsZero()) {
		return // holds what it has and takes no more
	}
	l.read.busy = true
	a := l.spare()
	a.Limit = bytes
	go l.readInto(a, limit, l.read.last)
}

// readInto reads, decodes what has come and brings it to the loop, after the read
// before.
func (l *loop) readInto(a *arrival, limit int, before <-chan struct{}) {
	err := guard(func() error { return l.cfg.Source.Read(l.readCtx, &a.Chunk, limit, l.cfg.ReadWait) })
	if err != nil {
		a.Reset() // nothing can be told of what is in it
	}
	n, size := len(a.Deliveries), 0
	for i := range a.Deliveries {
		size += a.Deliveries[i].Size()
	}
	many := n >= manyRead // else one turn of the loop serves both
	if many {
		arrived := make(chan struct{})
		defer close(arrived)
		l.events <- func() {
			l.read.last = arrived
			l.readEnded(a, limit, n, size, err)
		}
	}
	l.decode(a)
	if before != nil {
		<-before
	}
	l.events <- func() {
		if !many {
			l.readEnded(a, limit, n, size, err)
		}
		if n > 0 {
			l.newArrived(a, n, size)
		}
	}
}

// readEnded notes what a read of new entries has come to: n entries, which will
// arrive when they are decoded.
func (l *loop) readEnded(a *arrival, limit, n, size int, err error) {
	l.read.busy, l.read.more = false, a.More
	l.read.decoding += n
	l.read.decodingBytes += size
	l.read.many = n > smallSpare
	if n == 0 {
		l.recycle(a)
		if l.held+l.read.decoding == 0 {
			l.read.spares = nil // at rest
		}
	}
	switch {
	case l.readFailed(&l.read.ofNew, err):
	case l.read.more && l.stopping:
		l.readRest()
	case n == limit && !l.read.more:
		l.read.count = max(l.read.count, min(2*limit, l.readMost()))
	}
}

// newArrived takes what a read of new entries has brought.
func (l *loop) newArrived(a *arrival, n, size int) {
	l.read.decoding -= n
	l.read.decodingBytes -= size
	a.open, a.live = len(a.items), len(a.items)
	for i := range a.items {
		a.items[i].from = a
	}
	late := time.Since(a.Since) >= l.cfg.MinIdle/3
	l.arrived(a, stream.New)
	if late {
		l.beWary()
	}
}

// readRest gives back what waits on the connection when the consumer stops.
func (l *loop) readRest() {
	l.read.busy, l.read.more = true, false
	ctx, cancel := context.WithDeadline(l.settleCtx, l.endAt)
	go func() {
		defer cancel()
		var refs []stream.ID
		err := guard(func() (err error) { refs, err = l.cfg.Source.Rest(ctx); return err })
		l.events <- func() {
			l.read.busy = false
			if err != nil {
				l.cfg.Logger.Warn("what was read last stays pending", telemetry.KeyError, err)
			}
			for _, ref := range refs {
				l.settle.holds = append(l.settle.holds, stream.Hold{Ref: ref, Free: l.giveBack})
			}
			l.cfg.Telemetry.Read[stream.New].Add(int64(len(refs)))
			l.cfg.Telemetry.Settled[telemetry.Released].Add(int64(len(refs)))
		}
	}()
}

// readOwn reads a page of the own pending list.
func (l *loop) readOwn(limit int) {
	l.read.busy = true
	l.read.gone = map[stream.ID]struct{}{}
	p := *l.read.own
	go func() {
		var page stream.Page
		err := guard(func() (err error) {
			page, err = l.cfg.Source.Own(l.readCtx, p.after, limit)
			return err
		})
		l.pageRead(page, p.origin, &l.read.ofOwn, err, func() {
			l.read.own.after = page.Next
			if page.Done {
				l.read.own = nil
				l.read.auditAt = time.Time{}
				if l.cfg.AuditInterval > 0 {
					l.read.auditAt = time.Now().Add(l.cfg.AuditInterval)
				}
			}
		})
	}()
}

// separate makes each entry that is held stand for itself alone, for a claim may
// reset the idle times of some of our own: of those that were read together one
// could be ours anew and another taken by then. It reports false while
// acknowledgements are under way that take one for the other; rounds that begin
// while a sweep is wanted or under way do not.
func (l *loop) separate() bool {
	if r := l.settle.round; r != nil && len(r.acks) > 0 && !r.apart {
		return false
	}
	l.each(func(it *item) { it.lease = l.ownLease() })
	return true
}

// readClaim takes over a page of what others have left.
func (l *loop) readClaim(limit int) {
	l.read.busy = true
	l.read.gone = map[stream.ID]struct{}{}
	cursor := l.read.cursor
	go func() {
		var page stream.Page
		err := guard(func() (err error) {
			page, err = l.cfg.Source.Claim(l.readCtx, cursor, l.cfg.MinIdle, limit)
			return err
		})
		l.pageRead(page, stream.Claimed, &l.read.ofClaim, err, func() {
			l.read.cursor = page.Next
			if page.Done {
				l.read.cursor, l.read.claim = stream.ID{}, false
			}
		})
	}()
}

// pageRead hands a page of a pending list to the loop. advance runs when it
// was read without an error.
func (l *loop) pageRead(page stream.Page, origin stream.Origin, f *fault, err error, advance func()) {
	in := &arrival{Chunk: stream.Chunk{Deliveries: page.Deliveries}, events: &[]event.Event{}}
	l.decode(in)
	l.events <- func() {
		l.read.busy = false
		gone := l.read.gone
		l.read.gone = nil
		l.dropHeld(in, gone)
		if n := int64(len(page.Vanished)); n > 0 {
			l.cfg.Telemetry.Read[origin].Add(n)
			l.vanished(page.Vanished)
		}
		if origin == stream.Stranded && len(in.items) > 0 {
			l.cfg.Logger.Warn("stranded entries found", "entries", len(in.items), "first", in.items[0].ID.String())
		}
		l.arrived(in, origin)
		if !l.readFailed(f, err) {
			advance()
		}
	}
}

// readFailed notes what a read came to. After a failure the reply may have been
// lost with entries in it: the own pending list tells.
func (l *loop) readFailed(f *fault, err error) bool {
	if err == nil {
		f.clear()
		return false
	}
	if l.stopping {
		l.read.more = false
		return true
	}
	if errors.Is(err, stream.ErrNoGroup) {
		l.fail(err)
		return true
	}
	f.hit(err)
	l.cfg.Telemetry.Errors.Note(telemetry.ErrorRedis, err)
	l.read.more = false
	if l.read.own == nil {
		l.read.own = &pass{origin: stream.Stranded}
	} else {
		l.read.own.after = stream.ID{}
	}
	return true
}

// guard turns a panic into an error, so that it stays with the entry, or the
// round trip, that causes it.
func guard(f func() error) (err error) {
	defer func() {
		if r := recovered(recover()); r != nil {
			err = r
		}
	}()
	return f()
}

func recovered(v any) error {
	if v == nil {
		return nil
	}
	return fmt.Errorf("panic: %v", v)
}

// arrived sorts what a read has brought.
func (l *loop) arrived(in *arrival, origin stream.Origin) {
	if len(in.items) == 0 {
		return
	}
	source := origin // as it is shown
	if in.items[0].Origin == stream.Replayed {
		source = stream.Replayed
	}
	together := l.ownLease()
	together.read = origin == stream.New
	l.take(in.items, source)
	bytes := 0
	var unwanted []*item
	for i := range in.items {
		it := &in.items[i]
		it.Origin = source
		it.lease = together
		if origin == stream.Own || origin == stream.Stranded {
			it.lease = l.ownLease() // listing them has not reset their idle times together
		}
		it.undo = it.Count
		if origin == stream.New {
			it.undo--
		}
		bytes += it.size
		v, ruled := in.verdicts[i]
		switch {
		case ruled && v.unwanted:
			unwanted = append(unwanted, it)
		case l.stopping:
			l.release(it)
		case ruled:
			it.fail(it.arrived)
			l.bury(it, v.stage, v.err)
		case origin == stream.New:
			it.raised = true // by the read
			l.fresh = append(l.fresh, it)
		case it.Count >= l.cfg.MaxDeliveries:
			t := it.troubled()
			t.lastFail, t.firstFail = it.arrived, it.arrived
			l.bury(it, deadletter.Crash, fmt.Errorf("delivered %d times without coming back", it.Count))
		case it.Count >= 2:
			it.suspect = true
			l.suspects = append(l.suspects, it)
		default:
			l.fresh = append(l.fresh, it)
		}
	}
	l.cfg.Telemetry.Filtered.Add(int64(len(unwanted)))
	if len(unwanted) > 0 {
		l.ack(time.Now(), unwanted...)
	}
	l.read.avg = max(bytes/len(in.items), l.read.avg/2, 1)
}

// beWary lets no call begin before a touch has told what is still ours: others
// may have claimed it.
func (l *loop) beWary() {
	l.wary, l.waryAt, l.settle.touched = true, l.lease, time.Time{}
}
