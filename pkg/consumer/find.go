package consumer

import (
	"context"
	"slices"
	"time"

	"example.com/fanout/pkg/stream"
)

// Held is what a consumer knows of a delivery that it holds.
type Held struct {
	Since   time.Time // it has it
	Fails   int       // attempts that counted
	Running time.Time // the call of the handler began that has it now; zero: it is in none
	Next    time.Time // attempt; zero: as soon as it is its turn, or it is being settled
}

// question asks the loop for a delivery.
type question struct {
	id     stream.ID
	answer chan<- *Held // capacity 1
}

// Find tells what the consumer knows of an entry, nil when it does not hold it.
// It waits for the loop until ctx is done; a consumer that does not run holds
// nothing.
func (c *Consumer) Find(ctx context.Context, id stream.ID) *Held {
	if c.Beat().IsZero() {
		return nil
	}
	answer := make(chan *Held, 1)
	select {
	case c.asked <- question{id, answer}:
		return <-answer
	case <-ctx.Done():
		return nil
	}
}

// find looks for an item in all of its places.
func (l *loop) find(id stream.ID) *Held {
	var h *Held
	is := func(it *item) bool { return it.Ref == id }
	l.each(func(it *item) {
		if is(it) {
			h = &Held{Since: it.arrived, Fails: it.had().attempts}
		}
	})
	if h == nil {
		return nil
	}
	for c := range l.running {
		if slices.ContainsFunc(c.items, is) {
			h.Running = c.started
		}
	}
	for _, c := range l.waiting {
		if slices.ContainsFunc(c.items, is) {
			h.Next = c.notBefore
		}
	}
	if l.sink.down && h.Running.IsZero() && h.Next.Before(l.sink.next) {
		h.Next = l.sink.next
	}
	return h
}
