package consumer

import (
	"context"
	"errors"
	"time"

	"example.com/fanout/pkg/deadletter"
	"example.com/fanout/pkg/stream"
)

// Source is one consumer's view of its group in Redis: the only way in which
// the engine obtains entries and settles them. Reader methods are called from
// one goroutine at a time, Settler methods from one goroutine at a time, and a
// reader and a settler may run at once.
//
// Every method may fail for as long as Redis is away; the engine backs off and
// calls it again. An error never means that nothing was done: a reply may have
// been lost.
type Source interface {
	Reader
	Settler

	// Close gives the connections back. No method runs or is called then.
	Close() error
}

// Reader obtains entries.
type Reader interface {
	// Read returns at most max new entries in stream order. It waits at most
	// wait for the first one (0: does not wait) and returns none and no error
	// when there is none. It returns soon after ctx is done, with what it has
	// got, or ctx's error. Entries that it returned are pending under this
	// consumer, with Count 1.
	Read(ctx context.Context, max int, wait time.Duration) ([]stream.Delivery, error)

	// Own returns a page of what is pending under this consumer's name, in
	// order, from the first ID after after on. It neither counts as a delivery
	// nor resets idle times. Origin is Own.
	Own(ctx context.Context, after stream.ID, max int) (Page, error)

	// Claim takes over entries that have been pending under any name for
	// minIdle, examining the pending list in order from cursor on. It resets
	// their idle time and does not count a delivery. Entries that already are
	// this consumer's own may be among them. Origin is Claimed.
	Claim(ctx context.Context, cursor stream.ID, minIdle time.Duration, max int) (Page, error)
}

// Page is a part of a pending list.
type Page struct {
	Deliveries []stream.Delivery
	Vanished   []stream.ID // were pending, Redis has lost their data; no longer pending
	Next       stream.ID   // where to go on: after (Own) or cursor (Claim) of the next call
	Done       bool        // the end of the list was reached
}

// Settler ends deliveries, or keeps them. IDs are Delivery.Ref.
type Settler interface {
	// Ack acknowledges entries, in one round trip for all. Only entries that
	// still are this consumer's own are acknowledged; it returns how many were.
	// oldest is the one of refs whose idle time was reset the longest ago: while
	// that one is certainly still ours (its idle time is below the group's
	// claim.min_idle), no other can have been claimed.
	Ack(ctx context.Context, oldest stream.ID, refs []stream.ID) (acked int, err error)

	// Hold acts on entries that still are this consumer's own: it sets their
	// idle time and delivery count. It returns those that are not, in any order.
	Hold(ctx context.Context, holds []Hold) (lost []stream.ID, err error)

	// Bury writes a dead letter for an entry that still is this consumer's own,
	// then acknowledges the entry; both or nothing. A full dead-letter stream
	// is [ErrDeadLettersFull].
	Bury(ctx context.Context, ref stream.ID, letter *deadletter.Letter) (Burial, error)
}

// Hold is what [Settler] Hold does to one entry. Touching is Hold{Ref: id,
// Count: KeepCount}.
type Hold struct {
	Ref   stream.ID
	Count int64 // the delivery count to set; KeepCount leaves it
	Free  bool  // make it claimable at once by anybody; otherwise idle starts again at 0
}

// KeepCount as Hold.Count leaves the delivery count as it is.
const KeepCount = -1

// Burial is the result of Bury.
type Burial uint8

// The results.
const (
	Buried     Burial = iota // the letter is written, the entry acknowledged
	NotPending               // nothing done: the entry is not pending (any more) in the group
	NotOurs                  // nothing done: the entry is pending under another name
)

// Errors of a Source that the engine tells apart.
var (
	// ErrNoGroup: the stream or the group is missing in Redis. The incarnation
	// ends, and the next one recreates the group.
	ErrNoGroup = errors.New("consumer group is missing in Redis")

	// ErrDeadLettersFull: the entry stays pending until there is room.
	ErrDeadLettersFull = errors.New("dead letters full")
)
