package exchange

import "math/bits"

// side is what a bettor wants: to back an outcome, at the limit or higher odds,
// or to lay it, at the limit or lower odds.
type side uint8

const (
	back side = iota
	lay
)

func (s side) other() side { return s ^ 1 }

// book holds the unmatched orders of one market. Better odds are matched first,
// the older order first at the same odds, always at the odds of the order that
// was there before. It is never crossed: every lay in it is below every back.
//
// Orders live in one slice and are linked by their place in it; place 0 means none.
type book struct {
	sides  [2]ranks
	orders []order
	free   int32   // first of the unused places
	live   []int32 // places of all resting orders, in no order
	fills  []fill  // of the last place
}

// ranks are the queues of one side and which of them hold orders.
type ranks struct {
	queues [levels]queue
	used   [(levels + 63) / 64]uint64
}

type queue struct{ first, last int32 }

type order struct {
	stake      int64 // not matched yet
	prev, next int32 // in the queue; next also links the unused places
	index      int32 // in live
	level      int16
	side       side
}

// fill is one match.
type fill struct {
	level int
	stake int64
	maker int32 // place of the order that was there before
}

func newBook() *book { return &book{orders: make([]order, 1, 64)} }

// place matches an order as far as its limit allows and lets the rest of it
// stay. It returns the place of the rest, 0 if nothing is left; the matches are
// in fills until the next call.
func (b *book) place(s side, limit int, stake int64) int32 {
	b.fills = b.fills[:0]
	for stake > 0 {
		level, ok := b.best(s.other())
		if !ok || s == back && level < limit || s == lay && level > limit {
			return b.rest(s, limit, stake)
		}
		at := b.sides[s.other()].queues[level].first
		maker := &b.orders[at]
		n := min(stake, maker.stake)
		stake -= n
		maker.stake -= n
		b.fills = append(b.fills, fill{level, n, at})
		if maker.stake == 0 {
			b.remove(at)
		}
	}
	return 0
}

// best is the level that is matched first: the lowest of the backs, the
// highest of the lays.
func (b *book) best(s side) (level int, ok bool) {
	used := &b.sides[s].used
	if s == back {
		for i, w := range used {
			if w != 0 {
				return i*64 + bits.TrailingZeros64(w), true
			}
		}
		return 0, false
	}
	for i := len(used) - 1; i >= 0; i-- {
		if used[i] != 0 {
			return i*64 + 63 - bits.LeadingZeros64(used[i]), true
		}
	}
	return 0, false
}

func (b *book) rest(s side, level int, stake int64) int32 {
	at := b.free
	if at != 0 {
		b.free = b.orders[at].next
	} else {
		at = int32(len(b.orders))
		b.orders = append(b.orders, order{})
	}
	r := &b.sides[s]
	q := &r.queues[level]
	b.orders[at] = order{stake: stake, prev: q.last, index: int32(len(b.live)), level: int16(level), side: s}
	b.live = append(b.live, at)
	if q.last != 0 {
		b.orders[q.last].next = at
	} else {
		q.first = at
		r.used[level/64] |= 1 << (level % 64)
	}
	q.last = at
	return at
}

// remove takes a resting order out, matched or cancelled.
func (b *book) remove(at int32) {
	o := &b.orders[at]
	level := int(o.level)
	r := &b.sides[o.side]
	q := &r.queues[level]
	if o.prev != 0 {
		b.orders[o.prev].next = o.next
	} else {
		q.first = o.next
	}
	if o.next != 0 {
		b.orders[o.next].prev = o.prev
	} else {
		q.last = o.prev
	}
	if q.first == 0 {
		r.used[level/64] &^= 1 << (level % 64)
	}
	moved := b.live[len(b.live)-1]
	b.live[o.index] = moved
	b.orders[moved].index = o.index
	b.live = b.live[:len(b.live)-1]
	o.next, b.free = b.free, at
}
