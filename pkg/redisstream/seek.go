package redisstream

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"example.com/fanout/pkg/stream"
)

// Move says from where to where a group is moved.
type Move struct {
	From    stream.ID // where it stands
	Missing bool      // it is missing in Redis, and is created at To
	To      stream.ID // it goes on after this entry
	Read    int64     // entries that were ever added up to To; -1 unknown

	// Resting begins the names of consumers that are known to rest; a number
	// follows it.
	Resting string

	Whole bool // refuse when the stream has lost any entry that was ever added
}

// Reasons for which a Seek does nothing.
var (
	// ErrMoved: the group does not stand at Move.From.
	ErrMoved = errors.New("the group has moved meanwhile")
	// ErrBeyondEnd: the stream ends before Move.To.
	ErrBeyondEnd = errors.New("the stream ends before that position")
	// ErrIncomplete: entries of the stream are gone.
	ErrIncomplete = errors.New("the stream does not hold all entries that were ever added to it")
	// ErrSimulated: the server is a simulated one, which cannot do this.
	ErrSimulated = errors.New("the simulated redis of the demo has no positions to set")
)

// AtWorkError is a consumer for which a Seek does nothing: it may be at work.
type AtWorkError struct {
	Consumer string
	Idle     time.Duration // since its last command
	Quiet    time.Duration // how long it must have been idle to count as resting
}

func (e *AtWorkError) Error() string {
	return fmt.Sprintf("consumer %s was at work %s ago", e.Consumer, e.Idle.Round(100*time.Millisecond))
}

// Quiet is how long a consumer of the group may be silent though it is at work:
// it touches what it holds at a third of the group's MinIdle, and one of those in a
// process that hold nothing reads every other second.
func (g *Group) Quiet() time.Duration { return g.cfg.MinIdle/3 + 5*time.Second }

// Seek moves the group, and with it its checkpoint. What is pending stays so.
// Losses must have been looked for directly before: from then on it looks from the
// new position. It
// does nothing, with one of the errors above, while any consumer but the resting
// ones may be at work.
func (g *Group) Seek(ctx context.Context, m Move) error {
	op := g.op("set the position of")
	server, err := g.client.Server(ctx)
	if err != nil {
		return err
	}
	if server.Simulated {
		return fmt.Errorf("%s: %w", op, ErrSimulated)
	}
	if err := g.holdHost(ctx); err != nil { // else its store is elsewhere
		return err
	}
	from := m.From.String()
	if m.Missing {
		from = ""
	}
	v, err := g.client.run(ctx, op, seekScript, append(g.keys(), g.bookKey, g.untakenKey),
		g.cfg.Group, m.To.String(), from, m.Read, m.Resting, g.Quiet().Milliseconds(), flag(m.Whole), rand.Text())
	if err != nil {
		return err
	}
	switch v.integer() {
	case 0:
		err = nil
	case 1:
		err = fmt.Errorf("%w: it stands at %s, not at %s", ErrMoved, orNowhere(v.text()), orNowhere(from))
	case 2:
		err = &AtWorkError{Consumer: v.text(), Idle: time.Duration(v.integer()) * time.Millisecond, Quiet: g.Quiet()}
	case 3:
		err = ErrIncomplete
		if n := v.integer(); n > 0 {
			err = fmt.Errorf("%w: %d are gone", ErrIncomplete, n)
		}
	default:
		err = fmt.Errorf("%w: at %s", ErrBeyondEnd, v.text())
	}
	if v.err != nil {
		return v.err
	}
	if err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	_, err = g.Checkpoint(ctx) // which takes it into the local store too
	return err
}

func orNowhere(id string) string {
	if id == "" {
		return "no position, it is missing"
	}
	return id
}

// Between counts the entries after one ID up to another one, in slices that are
// short for Redis. It stops at most: exact is false when there are more.
func (g *Group) Between(ctx context.Context, after, upTo stream.ID, most int64) (n int64, exact bool, err error) {
	if !after.Before(upTo) {
		return 0, true, nil
	}
	n, _, err = g.client.count(ctx, g.op("count entries for"), g.cfg.Stream, after.Next(), upTo, most+1)
	if n > most {
		return most, false, err
	}
	return n, err == nil, err
}

// ReadAt is how many entries were ever added up to an ID, when n entries lie
// between it and where the group stands; -1 when that cannot be told.
func ReadAt(info stream.GroupInfo, to stream.ID, n int64) int64 {
	removed, read := info.EntriesAdded-info.Length, info.EntriesRead
	switch {
	case info.EntriesAdded < 0:
		return -1
	case info.LastDelivered.Before(info.FirstEntry): // what is between them is gone
		read = removed
	case read <= removed: // it has not read what was trimmed
		return -1
	}
	if to.Before(info.LastDelivered) {
		return read - n
	}
	return read + n
}

// StreamInfo is Info for a stream whose group is missing: what belongs to the
// group is empty. A stream that is not there has nothing.
func (g *Group) StreamInfo(ctx context.Context) (stream.GroupInfo, error) {
	v, err := g.client.run(ctx, g.op("look at the stream of"), streamScript, []string{g.cfg.Stream})
	if err != nil {
		return stream.GroupInfo{}, err
	}
	info := stream.GroupInfo{
		Stream: g.cfg.Stream, Group: g.cfg.Group,
		Length: v.integer(), EntriesAdded: v.integer(), LastGenerated: v.id(), FirstEntry: v.id(), EntriesRead: -1,
	}
	return info, v.err
}
