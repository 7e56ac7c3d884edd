package redisstream

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"example.com/fanout/pkg/deadletter"
	"example.com/fanout/pkg/stream"
)

// Entry is what is known of one entry, at one moment.
type Entry struct {
	There         bool  // the stream holds it
	Gone          int64 // entries that were trimmed or deleted, -1 unknown
	First         stream.ID
	LastGenerated stream.ID
	Groups        []EntryInGroup // every group of the stream
}

// EntryInGroup is an entry as one group has it.
type EntryInGroup struct {
	Group         string // in Redis
	LastDelivered stream.ID
	Consumer      string // under which it is pending; "" when it is not
	Idle          time.Duration
	Deliveries    int64
}

// Entry tells what is known of an entry of a stream. A stream that is not there
// has no entries and no groups.
func (c *Client) Entry(ctx context.Context, key string, id stream.ID) (Entry, error) {
	v, err := c.run(ctx, fmt.Sprintf("look at %s of %s", id, key), explainScript, []string{key}, id.String())
	if err != nil {
		return Entry{}, err
	}
	e := Entry{There: v.flag(), Gone: v.integer()}
	e.First, e.LastGenerated = v.id(), v.id()
	for v.more() {
		g := v.array()
		e.Groups = append(e.Groups, EntryInGroup{
			Group: g.text(), LastDelivered: g.id(), Consumer: g.text(),
			Idle: time.Duration(g.integer()) * time.Millisecond, Deliveries: g.integer(),
		})
		v.adopt(&g)
	}
	return e, v.err
}

// The bounds of a search for a letter, and of one step of it.
const (
	searchLetters = 200_000
	searchStep    = 2_000
)

// LetterOf looks for the dead letter of an entry, that was written last. Where
// the letters are very many the search ends before: all tells whether it has
// seen them all.
func (g *Group) LetterOf(ctx context.Context, id stream.ID) (l Letter, found, all bool, err error) {
	text, err := json.Marshal(id)
	if err != nil {
		return Letter{}, false, false, err
	}
	from := "-"
	for seen := int64(0); seen < searchLetters; {
		v, err := g.client.run(ctx, g.op("look for a dead letter of"), findLetterScript, g.letterKeys(),
			g.cfg.Group, from, searchStep, maxPageBytes, string(text))
		if err != nil {
			return l, found, false, err
		}
		next, n := v.text(), v.integer()
		if v.more() {
			one := Letter{ID: v.id(), Replaying: v.flag()}
			one.Head, one.Err = deadletter.ParseHead(stream.Entry{
				ID: one.ID, Fields: []stream.Field{{Name: []byte(v.text()), Value: []byte(v.text())}},
			})
			if one.Err == nil && one.Head.ID == id && one.Head.Stream == g.cfg.Stream { // else the ID stands somewhere else in it
				l, found = one, true
			}
		}
		if v.err != nil {
			return l, found, false, v.err
		}
		if next == "" {
			return l, found, true, nil
		}
		seen, from = seen+n, next
	}
	return l, found, false, nil
}
