package consumertest

import (
	"slices"
	"time"

	"example.com/fanout/pkg/deadletter"
	"example.com/fanout/pkg/stream"
)

// group is a consumer group as a server keeps it. Its methods are called with
// the server's lock held.
type group struct {
	stream        *memStream
	lastDelivered stream.ID
	pending       []*pending // in order
}

type pending struct {
	id    stream.ID
	owner string
	since time.Time // of the last delivery, or what was set in its place
	count int64
}

// deliver hands at most limit new entries to a consumer.
func (g *group) deliver(owner string, limit int) []pendingEntry {
	i, found := slices.BinarySearchFunc(g.stream.entries, g.lastDelivered, entryCompare)
	if found {
		i++
	}
	fresh := g.stream.entries[i:]
	fresh = fresh[:min(limit, len(fresh))]
	out := make([]pendingEntry, len(fresh))
	for i, e := range fresh {
		p := &pending{id: e.ID, owner: owner, since: time.Now(), count: 1}
		g.insert(p)
		g.lastDelivered = e.ID
		out[i] = pendingEntry{e, p.count}
	}
	return out
}

// pendingEntry is the data of a pending entry and its delivery count.
type pendingEntry struct {
	entry stream.Entry
	count int64
}

// listing is a part of a pending list.
type listing struct {
	entries  []pendingEntry
	vanished []stream.ID
	next     stream.ID
	done     bool
}

// own lists what is pending under one name after an ID, without a change but
// that entries without data are dropped.
func (g *group) own(owner string, after stream.ID, limit int) listing {
	out := listing{next: after, done: true}
	i, found := g.find(after)
	if found {
		i++
	}
	for i < len(g.pending) {
		p := g.pending[i]
		if p.owner != owner {
			i++
			continue
		}
		if len(out.entries)+len(out.vanished) == limit {
			out.done = false
			break
		}
		out.next = p.id
		e, ok := g.stream.get(p.id)
		if !ok {
			out.vanished = append(out.vanished, p.id)
			g.remove(p.id)
			continue
		}
		out.entries = append(out.entries, pendingEntry{e, p.count})
		i++
	}
	return out
}

// claim does what XAUTOCLAIM with JUSTID does: it examines at most ten times
// limit entries, and entries without data count as results.
func (g *group) claim(owner string, cursor stream.ID, minIdle time.Duration, limit int) listing {
	var out listing
	now := time.Now()
	i, _ := g.find(cursor)
	for examined := 0; i < len(g.pending); examined++ {
		p := g.pending[i]
		if examined == 10*limit || len(out.entries)+len(out.vanished) == limit {
			out.next = p.id
			return out
		}
		e, ok := g.stream.get(p.id)
		if !ok {
			out.vanished = append(out.vanished, p.id)
			g.remove(p.id)
			continue
		}
		i++
		if now.Sub(p.since) < minIdle {
			continue
		}
		p.owner, p.since = owner, now
		out.entries = append(out.entries, pendingEntry{e, p.count})
	}
	out.done = true
	return out
}

// ack is what the real source does: it trusts that nothing was claimed while
// every probe is fresh and still this consumer's, and looks at each entry
// otherwise.
func (g *group) ack(owner string, minIdle time.Duration, probes, refs []stream.ID, log *ledger) int {
	trusted := len(probes) > 0
	for _, id := range probes {
		p := g.get(id)
		trusted = trusted && p != nil && p.owner == owner && time.Since(p.since) < minIdle
	}
	acked := 0
	for _, id := range refs {
		p := g.get(id)
		if p == nil || p.owner != owner && !trusted {
			continue
		}
		if p.owner != owner {
			log.misacked = append(log.misacked, id)
		}
		g.remove(id)
		log.acked[id]++
		acked++
	}
	return acked
}

func (g *group) hold(owner string, holds []stream.Hold) (lost []stream.ID) {
	for _, h := range holds {
		p := g.get(h.Ref)
		if p == nil || p.owner != owner {
			lost = append(lost, h.Ref)
			continue
		}
		if _, ok := g.stream.get(h.Ref); !ok {
			continue // it cannot be claimed
		}
		p.since = time.Now()
		if h.Free {
			p.since = time.Time{}
		}
		if h.Count != stream.KeepCount {
			p.count = h.Count
		}
	}
	return lost
}

func (g *group) bury(owner string, ref stream.ID, letter *deadletter.Letter, limit int, log *ledger) (stream.Burial, error) {
	p := g.get(ref)
	switch {
	case p == nil:
		return stream.NotPending, nil
	case p.owner != owner:
		return stream.NotOurs, nil
	case limit > 0 && len(log.letters) >= limit:
		return 0, stream.ErrDeadLettersFull
	}
	kept := *letter
	kept.Entry = letter.Entry.Clone()
	log.letters = append(log.letters, kept)
	g.remove(ref)
	return stream.Buried, nil
}

// find returns where id stands, or would stand, in the pending list.
func (g *group) find(id stream.ID) (int, bool) {
	return slices.BinarySearchFunc(g.pending, id, func(p *pending, id stream.ID) int { return p.id.Compare(id) })
}

func (g *group) get(id stream.ID) *pending {
	if i, ok := g.find(id); ok {
		return g.pending[i]
	}
	return nil
}

func (g *group) insert(p *pending) {
	i, _ := g.find(p.id)
	g.pending = slices.Insert(g.pending, i, p)
}

func (g *group) remove(id stream.ID) {
	if i, ok := g.find(id); ok {
		g.pending = slices.Delete(g.pending, i, i+1)
	}
}
