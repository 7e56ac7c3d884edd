package redisstream

import (
	"context"
	"errors"
	"fmt"

	"example.com/fanout/pkg/deadletter"
	"example.com/fanout/pkg/stream"
)

// ErrNoLetter is wrapped by errors about an ID that the dead letters do not
// have.
var ErrNoLetter = errors.New("no such dead letter")

// Letter is one entry of a group's dead letters.
type Letter struct {
	ID        stream.ID
	Head      deadletter.Head // what is known of the buried entry
	Err       error           // why it is not a letter; Head is empty then
	Replaying bool            // it is on its way back to the group
	Size      int64           // bytes of the entry
}

// maxHead is the length of the longest JSON object that is taken for a letter's.
const maxHead = 1 << 20

// Letters lists dead letters from one ID to another, both included, at most max
// of them. A page may be shorter and yet not be the last; done tells.
func (g *Group) Letters(ctx context.Context, from, to stream.ID, max int) (page []Letter, done bool, err error) {
	v, err := g.client.run(ctx, g.op("list dead letters of"), lettersScript, g.letterKeys(),
		g.cfg.Group, from.String(), to.String(), pageSize(max), maxPageBytes, maxHead)
	if err != nil {
		return nil, false, err
	}
	done = v.flag()
	list := v.array()
	for list.more() {
		one := list.array()
		l := Letter{ID: one.id(), Replaying: one.flag(), Size: one.integer()}
		l.Head, l.Err = deadletter.ParseHead(stream.Entry{
			ID:     l.ID,
			Fields: []stream.Field{{Name: []byte(one.text()), Value: []byte(one.text())}},
		})
		list.adopt(&one)
		page = append(page, l)
	}
	v.adopt(&list)
	return page, done, v.err
}

// Letter gets one entry of the dead letters with all of its fields: those of
// the buried entry in Head's Letter where it is a letter, and its own in entry.
func (g *Group) Letter(ctx context.Context, id stream.ID) (l Letter, entry stream.Entry, err error) {
	op := g.op("get dead letter " + id.String() + " of")
	v, err := g.client.run(ctx, op, letterScript, g.letterKeys(), g.cfg.Group, id.String())
	if err != nil {
		return Letter{}, stream.Entry{}, err
	}
	if !v.more() {
		return Letter{}, stream.Entry{}, fmt.Errorf("%s: %w", op, ErrNoLetter)
	}
	l = Letter{ID: id, Replaying: v.flag()}
	entry = stream.Entry{ID: id, Fields: v.fields()}
	if v.err != nil {
		return Letter{}, stream.Entry{}, v.err
	}
	l.Size = int64(entry.Size())
	if l.Head, l.Err = deadletter.ParseHead(entry); l.Err == nil {
		l.Head.Letter, l.Err = deadletter.Parse(entry)
	}
	return l, entry, nil
}

// Sending is what came of sending a letter back to its group.
type Sending uint8

// The results.
const (
	Sent          Sending = iota
	SentBefore            // it is on its way already
	NothingToSend         // there is no such letter, or not any more
)

// Replay sends letters back to their group, which alone gets them. Each stays
// among the dead letters until the group has settled it. A repeat sends what is
// on its way no second time. After an error some may have been sent.
func (g *Group) Replay(ctx context.Context, letters []Letter) ([]Sending, error) {
	args := append(make([]any, 0, 1+2*len(letters)), g.cfg.Group)
	for _, l := range letters {
		if l.Err != nil {
			return nil, fmt.Errorf("replay %s: %w", l.ID, l.Err)
		}
		head, err := l.Head.Replay()
		if err != nil {
			return nil, fmt.Errorf("replay %s: %w", l.ID, err)
		}
		args = append(args, l.ID.String(), head)
	}
	v, err := g.client.run(ctx, g.op("replay dead letters of"), replayScript, g.letterKeys(), args...)
	if err != nil {
		return nil, err
	}
	var results []Sending
	for v.more() {
		results = append(results, Sending(v.integer()))
	}
	if v.err == nil && len(results) != len(letters) {
		v.fail("result for each letter")
	}
	return results, v.err
}

// Purged says what came of a purge.
type Purged struct {
	Deleted   int64
	Replaying int64 // left alone, for they are on their way back to the group
	Gone      int64 // were not there
}

// Purge deletes entries of the dead letters. What is being replayed is left
// alone; with replays it is deleted too, and so is the replay.
func (g *Group) Purge(ctx context.Context, ids []stream.ID, replays bool) (Purged, error) {
	v, err := g.client.run(ctx, g.op("purge dead letters of"), purgeScript, g.letterKeys(), g.cfg.Group, flag(replays), join(ids))
	if err != nil {
		return Purged{}, err
	}
	p := Purged{Deleted: v.integer(), Replaying: v.integer(), Gone: v.integer()}
	return p, v.err
}
