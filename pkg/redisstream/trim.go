package redisstream

import (
	"context"
	"slices"
	"time"

	"example.com/fanout/pkg/stream"
)

// Retention says what to keep of one stream. With its zero rules all goes that
// no group needs any more. A group needs what it has pending and what was not
// delivered to it yet.
type Retention struct {
	Stream   string
	Required []string // groups that must be there: nothing is trimmed while one is missing
	Known    []string // further groups that are never ignored

	// What is kept although no group needs it: entries younger than MinAge by
	// their ID and the server's clock, and the last MinLen. 0 keeps none.
	MinAge time.Duration
	MinLen int64

	// The bounds of the stream, which win over MinAge and MinLen; 0 is none.
	// With Drop they win over the needs of the groups too.
	MaxAge time.Duration
	MaxLen int64
	Drop   bool

	// IgnoreIdle is how long ago a consumer of a group that is neither Required
	// nor Known must have done something for its needs to count. 0 counts them
	// always, and so do those of a group without consumers.
	IgnoreIdle time.Duration
}

// trimSlice is how many entries one call of Trim removes at most: 1000 take
// Redis 0.1 ms when they are small, and 70 ms when each is of 1 MB.
const trimSlice = 1000

// Trimmed is what a call of Trim or PlanTrim found and did.
type Trimmed struct {
	There   bool      // the stream exists
	Missing []string  // groups of Required that do not: nothing was trimmed
	Entries int64     // that were trimmed
	Last    stream.ID // of them, exactly in a plan; zero when nothing was trimmed
	More    bool      // another call would trim more

	// The stream afterwards.
	Length int64
	First  stream.ID // zero when it is empty
	Groups []Need    // what most hold back comes first

	// By how much the stream is beyond its bounds, for a group needs it, or
	// because one is missing. 0 is not at all.
	OverLen int64
	OverAge time.Duration
}

// Need is what one group holds back in a stream, and what a trim has taken
// from it.
type Need struct {
	Group   string
	Known   bool // it is Required or Known
	Ignored bool // for it has been idle for too long

	Consumers     int64
	Pending       int64
	OldestPending stream.ID // zero when nothing is pending
	LastDelivered stream.ID
	Undelivered   int64         // -1 unknown
	Idle          time.Duration // since any consumer did something; -1 unknown, as that of a Known group
	From          stream.ID     // it needs everything from here on

	// What was trimmed although the group needed it.
	LostUndelivered int64 // at most, where entries were deleted one by one; -1 some of unknown number
	LostPending     int64
	LostFrom        stream.ID // all of them lie between these two
	LostTo          stream.ID
}

// Lost reports whether a trim has taken something from the group.
func (n Need) Lost() bool { return n.LostUndelivered != 0 || n.LostPending > 0 }

// Holding are the groups that need the oldest entry there is.
func (t Trimmed) Holding() []Need {
	var all []Need
	for _, n := range t.Groups {
		if !n.Ignored && !t.First.IsZero() && !t.First.Before(n.From) {
			all = append(all, n)
		}
	}
	return all
}

// Then adds up two calls of Trim: what went in both, and what the second has
// found.
func (t Trimmed) Then(next Trimmed) Trimmed {
	next.Entries += t.Entries
	if next.Last.IsZero() {
		next.Last = t.Last
	}
	for i := range next.Groups {
		n := &next.Groups[i]
		was := slices.IndexFunc(t.Groups, func(g Need) bool { return g.Group == n.Group && g.Lost() })
		if was < 0 {
			continue
		}
		before := t.Groups[was]
		if before.LostUndelivered < 0 || n.LostUndelivered < 0 {
			n.LostUndelivered = -1
		} else {
			n.LostUndelivered += before.LostUndelivered
		}
		n.LostPending += before.LostPending
		n.LostFrom = before.LostFrom
		if n.LostTo.IsZero() {
			n.LostTo = before.LostTo
		}
	}
	return next
}

// Trim removes at most a slice of what the rules let go; it is to be called
// again while More. What the groups need is found and the slice removed in one
// step that nothing can come between, so several processes may do it at once.
// In a simulated server it does nothing.
func (c *Client) Trim(ctx context.Context, r Retention) (Trimmed, error) {
	t, _, err := c.trim(ctx, "trim "+r.Stream, r, trimSlice)
	return t, err
}

// Needs tells what each group holds back in the stream, and changes nothing.
func (c *Client) Needs(ctx context.Context, r Retention) (Trimmed, error) {
	t, _, err := c.trim(ctx, "look at the groups of "+r.Stream, r, 0)
	return t, err
}

// look is what the rules come to at one moment.
type look struct {
	now   int64 // by the server's clock in ms; 0 when no rule asks for it
	steps []step
}

// step is one step of a trim: the oldest entries go as long as they stand
// before an ID and the stream is longer than a length.
type step struct {
	before stream.ID
	length int64
}

func (c *Client) trim(ctx context.Context, op string, r Retention, slice int) (t Trimmed, l look, err error) {
	server, err := c.Server(ctx)
	if err != nil || server.Simulated {
		return t, l, err
	}
	args := []any{slice, r.MinAge.Milliseconds(), r.MinLen, r.MaxAge.Milliseconds(), r.MaxLen, flag(r.Drop), r.IgnoreIdle.Milliseconds(), len(r.Required)}
	for _, name := range slices.Concat(r.Required, r.Known) {
		args = append(args, name)
	}
	v, err := c.run(ctx, op, trimScript, []string{r.Stream}, args...)
	if err != nil {
		return t, l, err
	}
	t.There = v.flag()
	for missing := v.array(); missing.more(); {
		t.Missing = append(t.Missing, missing.text())
	}
	if !t.There {
		return t, l, v.err
	}
	t.Entries, t.More, t.Length, t.First = v.integer(), v.flag(), v.integer(), v.id()
	if last := v.id(); t.Entries > 0 {
		t.Last = last
		if !t.First.IsZero() {
			t.Last = t.First.Prev()
		}
	}
	l.now = v.integer()
	for list := v.array(); list.more(); {
		one := list.array()
		l.steps = append(l.steps, step{one.id(), one.integer()})
		v.adopt(&one)
	}
	for list := v.array(); list.more(); {
		one := list.array()
		t.Groups = append(t.Groups, need(&one))
		v.adopt(&one)
	}
	slices.SortStableFunc(t.Groups, func(a, b Need) int { return a.From.Compare(b.From) })
	t.over(r, l.now)
	return t, l, v.err
}

func need(v *values) Need {
	return Need{
		Group: v.text(), Known: v.flag(), Ignored: v.flag(),
		Consumers: v.integer(), Pending: v.integer(), OldestPending: v.id(), LastDelivered: v.id(),
		Undelivered: v.integer(), Idle: milliseconds(v.integer()), From: v.id(),
		LostUndelivered: v.integer(), LostPending: v.integer(), LostFrom: v.id(), LostTo: v.id(),
	}
}

// milliseconds is a duration that may be unknown, which is -1.
func milliseconds(n int64) time.Duration {
	if n < 0 {
		return -1
	}
	return time.Duration(n) * time.Millisecond
}

// over says how far the stream is beyond its bounds at the server's time now.
func (t *Trimmed) over(r Retention, now int64) {
	if r.MaxLen > 0 {
		t.OverLen = max(0, t.Length-r.MaxLen)
	}
	if oldest := now - r.MaxAge.Milliseconds(); r.MaxAge > 0 && oldest > 0 && !t.First.IsZero() && t.First.Ms < uint64(oldest) {
		t.OverAge = time.Duration(oldest-int64(t.First.Ms)) * time.Millisecond
	}
}
