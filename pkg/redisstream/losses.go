package redisstream

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"

	"example.com/fanout/pkg/stream"
)

// Losses looks for entries that Redis has lost before the group could read
// them, by whatever process of the group they are found, and calls tell for
// each loss that nobody has told of yet: those of a missing group are among
// them, and entries that have vanished, see Source.Own. Each is told once, and
// again only when its teller ended within the seconds before it could note that.
// Losses returns the last 16 of the group, oldest first.
//
// Numbers are certain where the entries were trimmed, or were deleted while the
// group did not move between two calls. As long as nothing is gone a call costs
// one short script. A simulated server cannot tell what it has lost.
func (g *Group) Losses(ctx context.Context, tell func(stream.Loss)) ([]stream.Loss, error) {
	op := g.op("look for losses of")
	g.teller.Lock()
	defer g.teller.Unlock()
	last, epoch := g.lastSeen()
	present := g.presentEpoch()
	v, err := g.client.runTogether(ctx, op, lossesScript, g.cfg.Stream, []string{g.cfg.Stream, g.bookKey, g.epochKey}, g.cfg.Group, g.client.token, last, epoch)
	if err != nil {
		return nil, err
	}
	seen := v.text()
	var all, untold []stream.Loss
	var told []string
	for v.more() {
		item := v.array()
		id, text, mine := item.text(), item.text(), item.flag()
		v.adopt(&item)
		var r lossRecord
		if err := json.Unmarshal([]byte(text), &r); err != nil {
			continue // somebody has written into the book
		}
		all = append(all, r.loss())
		if !mine {
			continue
		}
		if !g.teller.told[id] {
			g.teller.told[id] = true
			untold = append(untold, r.loss())
		}
		told = append(told, "tell:"+id)
	}
	sortLosses(untold)
	for _, l := range untold {
		tell(l)
	}
	if v.err != nil {
		return nil, v.err
	}
	g.see(seen, present)
	sortLosses(all)
	if len(told) == 0 {
		return all, nil
	}
	if err := g.client.rdb.HDel(ctx, g.bookKey, told...).Err(); err != nil {
		return all, wrap(op, err) // they come again, and g.teller.told knows them
	}
	clear(g.teller.told)
	return all, nil
}

// KnownLosses returns the last 16 losses of the group that were found, oldest
// first. It looks for none, and nobody is told of them.
func (g *Group) KnownLosses(ctx context.Context) ([]stream.Loss, error) {
	book, err := g.client.rdb.HGetAll(ctx, g.bookKey).Result()
	if err != nil {
		return nil, wrap(g.op("list losses of"), err)
	}
	var all []stream.Loss
	for field, text := range book {
		var r lossRecord
		if strings.HasPrefix(field, "loss:") && json.Unmarshal([]byte(text), &r) == nil {
			all = append(all, r.loss())
		}
	}
	sortLosses(all)
	return all, nil
}

func sortLosses(all []stream.Loss) {
	slices.SortStableFunc(all, func(a, b stream.Loss) int {
		return cmp.Or(a.At.Compare(b.At), a.First.Compare(b.First))
	})
}

// teller tells the losses of a group, one call at a time. The Groups of one name
// share it: during a reload there are two for a moment.
type teller struct {
	sync.Mutex
	told map[string]bool // and Redis does not know that yet
}

// lastSeen is the last entry that the stream had when this process looked, and in
// which epoch that was. Another epoch since is another stream, which has taken
// nothing back.
func (g *Group) lastSeen() (id, epoch string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.seen, g.seenEpoch
}

func (g *Group) presentEpoch() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.epoch
}

func (g *Group) see(id, epoch string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.seen, g.seenEpoch = id, epoch
}

// lossRecord is a loss as the group's book in Redis has it.
type lossRecord struct {
	Reason      string     `json:"reason"`
	Certain     bool       `json:"certain"`
	Entries     int64      `json:"entries"`
	First       *stream.ID `json:"first,omitempty"`
	Last        *stream.ID `json:"last,omitempty"`
	RepeatsFrom *stream.ID `json:"repeats_from,omitempty"`
	RepeatsTo   *stream.ID `json:"repeats_to,omitempty"`
	At          int64      `json:"at"` // Unix milliseconds
	Note        string     `json:"note,omitempty"`
}

func (r lossRecord) loss() stream.Loss {
	id := func(id *stream.ID) stream.ID {
		if id == nil {
			return stream.ID{}
		}
		return *id
	}
	return stream.Loss{
		Reason: r.Reason, Certain: r.Certain, Entries: r.Entries, First: id(r.First), Last: id(r.Last),
		RepeatsFrom: id(r.RepeatsFrom), RepeatsTo: id(r.RepeatsTo), At: time.UnixMilli(r.At), Note: r.Note,
	}
}
