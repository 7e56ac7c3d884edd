package consumer

import (
	"container/heap"
	"time"

	"example.com/fanout/pkg/event"
	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/stream"
)

// item is a delivery on its way through the loop.
type item struct {
	*stream.Delivery // nil when only its Ref is needed any more, see loop.shed
	Ref              stream.ID
	event            *event.Event

	from    *arrival // whose memory it uses; nil for its own
	kept    *item    // what has taken its place, see loop.keep
	size    int
	arrived time.Time
	lease   lease // which reset of its idle time was the last

	// undo is the delivery count that a release restores: the one before this
	// delivery as long as nothing says that the entry is at fault for how it
	// ends; stream.KeepCount after a timeout.
	undo int64

	trouble *trouble // nil: none

	lift *call // in which it is to be called when its delivery count has been raised

	called  bool // the handler has been given it
	suspect bool // handled alone in the process
	raised  bool // its delivery count includes this delivery
	unsure  bool // an acknowledgement failed, and may have been done all the same
	lost    bool // a touch found it to be another consumer's
}

// comesBack reports whether the entry was delivered before, to a process that has
// ended. Its delivery count was raised for this delivery: until it is acknowledged
// another end, whoever causes it, speaks against it. So its acknowledgement does not
// wait for company.
func (it *item) comesBack() bool { return it.Delivery != nil && it.Count >= 2 }

// lease is a reset of idle times. Those of entries that share one were reset
// together, and whoever took one of them over could have taken them all.
type lease struct {
	number int64
	read   bool // by a read, as the entry was delivered; of these a greater number came later
}

// trouble is what has gone wrong with a delivery; most have none.
type trouble struct {
	attempts  int // that counted
	holds     int // Unavailable answers for this item by name
	firstFail time.Time
	lastFail  time.Time
}

// had is the trouble with the item so far.
func (it *item) had() trouble {
	if it.trouble == nil {
		return trouble{}
	}
	return *it.trouble
}

// troubled is had, to be added to.
func (it *item) troubled() *trouble {
	if it.trouble == nil {
		it.trouble = &trouble{}
	}
	return it.trouble
}

// fail notes one failed attempt.
func (it *item) fail(now time.Time) {
	t := it.troubled()
	t.attempts++
	t.lastFail = now
	if t.firstFail.IsZero() {
		t.firstFail = now
	}
}

// present is what stands for the item now.
func (it *item) present() *item {
	if it.kept != nil {
		return it.kept
	}
	return it
}

// call is a batch that is composed: what is in it stays together until the
// handler has passed a verdict.
type call struct {
	items     []*item
	notBefore time.Time
	started   time.Time
	stuck     bool
	batch     *handler.Batch // while it runs
	lifting   int            // items that are missing until their delivery count has been raised
}

// waitQueue is a heap of calls by notBefore.
type waitQueue []*call

func (q waitQueue) Len() int           { return len(q) }
func (q waitQueue) Less(i, j int) bool { return q[i].notBefore.Before(q[j].notBefore) }
func (q waitQueue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }

// Push is for container/heap.
func (q *waitQueue) Push(x any) { *q = append(*q, x.(*call)) }

// Pop is for container/heap.
func (q *waitQueue) Pop() any {
	old := *q
	c := old[len(old)-1]
	old[len(old)-1] = nil
	*q = old[:len(old)-1]
	return c
}

// deliveries is how many the calls hold.
func deliveries(calls []*call) (n int64) {
	for _, c := range calls {
		n += int64(len(c.items))
	}
	return n
}

// wait puts a call of the given items off until t.
func (l *loop) wait(t time.Time, items ...*item) {
	heap.Push(&l.waiting, &call{items: items, notBefore: t})
	l.cfg.Telemetry.Retrying.Add(int64(len(items)))
}

// wakeWaiting makes the calls ready whose time has come.
func (l *loop) wakeWaiting(now time.Time) {
	for len(l.waiting) > 0 && !l.waiting[0].notBefore.After(now) {
		c := heap.Pop(&l.waiting).(*call)
		l.cfg.Telemetry.Retrying.Add(-int64(len(c.items)))
		if c.items[0].suspect {
			l.suspects = append(l.suspects, c.items[0])
			continue
		}
		l.ready = append(l.ready, c)
	}
}

// take makes room for items that Redis has given to this consumer.
func (l *loop) take(items []item, origin stream.Origin) {
	n, replayed := int64(len(items)), int64(0)
	for i := range items {
		l.heldBytes += items[i].size
		if items[i].Origin == stream.Replayed {
			replayed++
		} else {
			items[i].Origin = origin
		}
	}
	l.held += len(items)
	l.cfg.Telemetry.InFlight.Add(n)
	l.cfg.Telemetry.Read[origin].Add(n - replayed)
	l.cfg.Telemetry.Read[stream.Replayed].Add(replayed)
}

// forget takes items that have ended out of the loop's account.
func (l *loop) forget(items ...*item) {
	for _, it := range items {
		l.heldBytes -= it.size
		if l.read.gone != nil {
			l.read.gone[it.Ref] = struct{}{}
		}
		l.leave(it) // nothing of it may be read after this
	}
	l.held -= len(items)
	l.cfg.Telemetry.InFlight.Add(-int64(len(items)))
}

// each visits every item that is held.
func (l *loop) each(visit func(*item)) {
	calls := func(cs []*call) {
		for _, c := range cs {
			for _, it := range c.items {
				visit(it)
			}
		}
	}
	for _, it := range l.fresh {
		visit(it)
	}
	calls(l.ready)
	calls(l.lifts)
	calls(l.waiting)
	for c := range l.running {
		for _, it := range c.items {
			visit(it)
		}
	}
	for _, it := range l.suspects {
		visit(it)
	}
	if l.front.it != nil && (l.front.at == atGate || l.front.at == due) {
		visit(l.front.it)
	}
	l.settle.each(visit)
}
