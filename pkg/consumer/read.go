package consumer

import (
	"errors"
	"fmt"
	"time"

	"example.com/fanout/pkg/deadletter"
	"example.com/fanout/pkg/stream"
)

// reading is what the loop knows about obtaining entries. One read runs at a
// time, of one of three kinds, in this order: the own pending list, what
// others have left behind, what is new.
type reading struct {
	busy  bool
	count int // entries to ask for; grows at most twofold with each read that brings as many
	avg   int // bytes of an entry as last seen

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
	if r.own == nil && !r.auditAt.IsZero() && !now.Before(r.auditAt) {
		r.own = &pass{origin: stream.Stranded}
	}
	room := min(l.capacity()-l.held, r.count)
	if r.avg > 0 {
		budget := 2*l.cfg.Concurrency*l.cfg.BatchBytes - l.heldBytes
		if l.held == 0 {
			room = min(room, max(1, budget/r.avg))
		} else {
			room = min(room, budget/r.avg)
		}
	}
	if room <= 0 {
		return
	}
	switch {
	case r.own != nil:
		if !now.Before(r.ofOwn.until) {
			l.readOwn(min(room, 256))
		}
	case r.claim && !now.Before(r.ofClaim.until):
		l.readClaim(min(room, 256))
	case now.Before(r.ofNew.until):
	case l.held > 0 && (l.sink.down || !l.settle.fullSince.IsZero()):
		// holds what it has and takes no more
	case len(l.fresh) == 0 || l.held <= l.capacity()/2:
		l.readNew(room)
	}
}

// readNew reads new entries. It blocks in a goroutine of its own.
func (l *loop) readNew(limit int) {
	l.read.busy = true
	go func() {
		var ds []stream.Delivery
		err := guard(func() (err error) {
			ds, err = l.cfg.Source.Read(l.readCtx, limit, l.cfg.ReadWait)
			return err
		})
		in := l.decode(ds)
		l.events <- func() {
			l.read.busy = false
			l.arrived(in, stream.New)
			if l.readFailed(&l.read.ofNew, err) {
				return
			}
			if len(ds) == limit {
				l.read.count = max(l.read.count, min(2*limit, l.capacity()))
			}
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
	in := l.decode(page.Deliveries)
	l.events <- func() {
		l.read.busy = false
		gone := l.read.gone
		l.read.gone = nil
		in = l.notHeld(in, gone)
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
		return true
	}
	if errors.Is(err, stream.ErrNoGroup) {
		l.fail(err)
		return true
	}
	f.hit(err)
	if l.read.own == nil {
		l.read.own = &pass{origin: stream.Stranded}
	} else {
		l.read.own.after = stream.ID{}
	}
	return true
}

// verdict is what decoding says of an item.
type verdict struct {
	unwanted bool
	stage    deadletter.Stage
	err      error
}

// intake is what one read has brought.
type intake struct {
	items    []item
	verdicts map[int]verdict // of those that are not to be handled, by index
}

// decode turns deliveries into items. It runs in the reader's goroutine and
// uses nothing of the loop but its configuration.
func (l *loop) decode(ds []stream.Delivery) intake {
	in := intake{items: make([]item, len(ds))}
	now := time.Now()
	rule := func(i int, v verdict) {
		if in.verdicts == nil {
			in.verdicts = map[int]verdict{}
		}
		in.verdicts[i] = v
	}
	for i, d := range ds {
		it := &in.items[i]
		it.Delivery.Delivery = d
		it.Event = &it.event
		it.size = d.Size()
		it.arrived = now
		if err := guard(func() error { return l.cfg.Decoder.DecodeInto(&it.event, d.Entry) }); err != nil {
			rule(i, verdict{stage: deadletter.Decode, err: err})
			continue
		}
		if l.cfg.Where == nil {
			continue
		}
		var wanted bool
		err := guard(func() (err error) { wanted, err = l.cfg.Where.Match(&it.event); return err })
		switch {
		case err != nil:
			rule(i, verdict{stage: deadletter.Filter, err: err})
		case !wanted:
			rule(i, verdict{unwanted: true})
		}
	}
	return in
}

// guard turns a panic into an error, so that it stays with the entry, or the
// round trip, that causes it.
func guard(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v", v)
		}
	}()
	return f()
}

// notHeld drops what the loop already holds or has settled meanwhile.
func (l *loop) notHeld(in intake, gone map[stream.ID]struct{}) intake {
	if len(in.items) == 0 {
		return in
	}
	known := gone
	l.each(func(it *item) { known[it.Ref] = struct{}{} })
	out := intake{items: in.items[:0]}
	for i := range in.items {
		if _, held := known[in.items[i].Ref]; held {
			continue
		}
		if v, ruled := in.verdicts[i]; ruled {
			if out.verdicts == nil {
				out.verdicts = map[int]verdict{}
			}
			out.verdicts[len(out.items)] = v
		}
		out.items = append(out.items, in.items[i])
		it := &out.items[len(out.items)-1]
		it.Event = &it.event
	}
	return out
}

// arrived sorts what a read has brought.
func (l *loop) arrived(in intake, origin stream.Origin) {
	if len(in.items) == 0 {
		return
	}
	source := origin // as it is shown
	if in.items[0].Origin == stream.Replayed {
		source = stream.Replayed
	}
	l.lease++
	l.take(in.items, source)
	bytes := 0
	var unwanted []*item
	for i := range in.items {
		it := &in.items[i]
		it.Origin = source
		if origin == stream.Own || origin == stream.Stranded {
			l.lease++ // listing them has not reset their idle times together
		}
		it.lease = l.lease
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
			l.fresh = append(l.fresh, it)
		case it.Count >= l.cfg.MaxDeliveries:
			it.lastFail, it.firstFail = it.arrived, it.arrived
			l.bury(it, deadletter.Crash, fmt.Errorf("delivered %d times without coming back", it.Count))
		case it.Count >= 2:
			it.suspect = true
			l.suspects = append(l.suspects, it)
		default:
			l.settle.raises = append(l.settle.raises, it)
		}
	}
	l.cfg.Telemetry.Filtered.Add(int64(len(unwanted)))
	l.ack(unwanted...)
	l.read.avg = max(bytes/len(in.items), l.read.avg/2, 1)
}
