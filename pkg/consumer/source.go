package consumer

import (
	"context"
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
// been lost. [stream.ErrNoGroup] ends the incarnation; the next one recreates
// the group.
//
// A source of replays gives deliveries of Origin Replayed, whichever method
// they come from.
type Source interface {
	Reader
	Settler

	// Close gives the connections back. No method runs or is called then.
	Close() error
}

// Reader obtains entries.
type Reader interface {
	// Read empties c and fills it with at most max new entries in stream order.
	// It waits at most wait for the first one (0: does not wait) and brings none
	// and no error when there is none. It returns soon after ctx is done, with
	// what it has got, or ctx's error. What it brought is pending under this
	// consumer, with Count 1.
	//
	// It stops after c.Limit bytes. What Redis has delivered beyond them is not
	// lost: c.More says that the next Read goes on with it, without asking Redis
	// and whatever its max. Until then it is pending without being touched, and
	// the pending lists name it. After an error nothing is left.
	Read(ctx context.Context, c *stream.Chunk, max int, wait time.Duration) error

	// Rest ends what the last Read has left: it returns their refs without their
	// data.
	Rest(ctx context.Context) (refs []stream.ID, err error)

	// Own returns a page of what is pending under this consumer's name, in
	// order, from the first ID after after on. It neither counts as a delivery
	// nor resets idle times. Origin is Own.
	Own(ctx context.Context, after stream.ID, max int) (stream.Page, error)

	// Claim takes over entries that have been pending under any name for
	// minIdle, examining the pending list in order from cursor on. It resets
	// their idle time and does not count a delivery. Entries that already are
	// this consumer's own may be among them. Origin is Claimed. Page.Next is the
	// next cursor.
	Claim(ctx context.Context, cursor stream.ID, minIdle time.Duration, max int) (stream.Page, error)
}

// Settler ends deliveries, or keeps them. IDs are Delivery.Ref.
type Settler interface {
	// Ack acknowledges entries, in one round trip for all. Only entries that
	// still are this consumer's own are acknowledged; it returns how many were.
	// probes holds one of refs for each time at which the idle times of some of
	// refs were reset together by one Claim or Hold, and the first of those that
	// have not been reset since they were read: while each probe is
	// certainly still ours (pending under our name, its idle time below the
	// group's claim.min_idle), no other ref can have been claimed, and looking
	// at the probes is enough. Otherwise every ref is looked at.
	Ack(ctx context.Context, probes, refs []stream.ID) (acked int, err error)

	// Hold acts on entries that still are this consumer's own: it sets their
	// idle time and delivery count. It returns those that are not, in any order.
	// An entry whose data is gone is left as it is, and is this consumer's own.
	Hold(ctx context.Context, holds []stream.Hold) (lost []stream.ID, err error)

	// Bury writes a dead letter for an entry that still is this consumer's own,
	// then acknowledges the entry; both or nothing. A full dead-letter stream
	// is [stream.ErrDeadLettersFull].
	Bury(ctx context.Context, ref stream.ID, letter *deadletter.Letter) (stream.Burial, error)
}
