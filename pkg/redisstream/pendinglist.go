package redisstream

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/fanout/pkg/stream"
)

// PendingTotals is how much a group has pending.
type PendingTotals struct {
	Entries        int64
	Oldest, Newest stream.ID       // zero when nothing is pending
	Consumers      []PendingOfName // those that have any, by name
}

// PendingOfName is what is pending under one name.
type PendingOfName struct {
	Consumer string
	Entries  int64
}

// PendingTotals counts what the group has pending, at a cost that does not grow
// with it.
func (g *Group) PendingTotals(ctx context.Context) (PendingTotals, error) {
	op := g.op("count pending of")
	p, err := g.client.rdb.XPending(ctx, g.cfg.Stream, g.cfg.Group).Result()
	if err != nil {
		return PendingTotals{}, wrap(op, err)
	}
	t := PendingTotals{Entries: p.Count}
	if p.Count > 0 {
		for _, one := range []struct {
			into *stream.ID
			text string
		}{{&t.Oldest, p.Lower}, {&t.Newest, p.Higher}} {
			if *one.into, err = stream.ParseID(one.text); err != nil {
				return PendingTotals{}, fmt.Errorf("%s: %w: %w", op, errReply, err)
			}
		}
	}
	for name, n := range p.Consumers {
		t.Consumers = append(t.Consumers, PendingOfName{name, n})
	}
	slices.SortFunc(t.Consumers, func(a, b PendingOfName) int { return strings.Compare(a.Consumer, b.Consumer) })
	return t, nil
}

// PendingEntry is one pending entry of a group.
type PendingEntry struct {
	ID         stream.ID
	Consumer   string
	Idle       time.Duration
	Deliveries int64
}

// PendingPage lists what is pending in order of the IDs, from the first one
// after after on: at most max entries, those of one consumer alone unless that
// is "", and only those that have been idle for minIdle. However few these are,
// a page looks at a bounded number of entries. next is where to go on; done
// tells that this was the end.
func (g *Group) PendingPage(ctx context.Context, after stream.ID, consumer string, minIdle time.Duration, max int) (page []PendingEntry, next stream.ID, done bool, err error) {
	const steps = 10 // of maxPage entries
	op := g.op("list pending of")
	next = after
	for range steps {
		if next == stream.MaxID {
			return page, next, true, nil
		}
		ask := maxPage
		if minIdle <= 0 {
			ask = min(ask, max-len(page))
		}
		list, err := g.client.rdb.XPendingExt(ctx, &redis.XPendingExtArgs{
			Stream: g.cfg.Stream, Group: g.cfg.Group, Consumer: consumer,
			Start: next.Next().String(), End: "+", Count: int64(ask),
		}).Result()
		if err != nil {
			return page, next, false, wrap(op, err)
		}
		for _, p := range list {
			id, err := stream.ParseID(p.ID)
			if err != nil {
				return page, next, false, fmt.Errorf("%s: %w: %w", op, errReply, err)
			}
			next = id
			if p.Idle < minIdle {
				continue
			}
			page = append(page, PendingEntry{id, p.Consumer, p.Idle, p.RetryCount})
			if len(page) == max {
				return page, next, false, nil
			}
		}
		if len(list) < ask {
			return page, next, true, nil
		}
	}
	return page, next, false, nil
}
