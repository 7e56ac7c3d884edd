package redisstream

import (
	"context"
	"math"

	"github.com/redis/go-redis/v9"

	"example.com/fanout/pkg/stream"
)

// countSlice is how many entries are counted in one call at most: 5000 small
// ones take Redis a few milliseconds.
const countSlice = 5000

// PlanTrim tells what all calls of Trim together would do now, and changes
// nothing. It counts the entries in Redis a slice at a time, so it takes the
// longer the more of them would go.
func (c *Client) PlanTrim(ctx context.Context, r Retention) (Trimmed, error) {
	op := "plan the trim of " + r.Stream
	t, l, err := c.trim(ctx, op, r, 0)
	if err != nil || len(t.Missing) > 0 || t.First.IsZero() {
		return t, err
	}
	oldest := t.First
	for _, s := range l.steps {
		room := t.Length - s.length
		if room <= 0 || t.First.IsZero() || !t.First.Before(s.before) {
			continue
		}
		n, last, err := c.count(ctx, op, r.Stream, t.First, s.before.Prev(), room)
		if err != nil {
			return t, err
		}
		if n == 0 {
			continue
		}
		t.Entries, t.Length, t.Last = t.Entries+n, t.Length-n, last
		if _, t.First, err = c.count(ctx, op, r.Stream, last.Next(), stream.MaxID, 1); err != nil {
			return t, err
		}
	}
	for i := range t.Groups {
		if err := c.planLoss(ctx, op, r.Stream, oldest, t.Last, &t.Groups[i]); err != nil {
			return t, err
		}
	}
	t.over(r, l.now)
	return t, nil
}

// planLoss says what a group would lose of the entries between two IDs.
func (c *Client) planLoss(ctx context.Context, op, key string, from, to stream.ID, g *Need) (err error) {
	if to.Before(g.From) || to.IsZero() {
		return nil
	}
	later := func(id stream.ID) stream.ID {
		if id.Before(from) {
			return from
		}
		return id
	}
	if unread := later(g.LastDelivered.Next()); !to.Before(unread) {
		if g.LostUndelivered, _, err = c.count(ctx, op, key, unread, to, math.MaxInt64); err != nil {
			return err
		}
	}
	if g.LostPending, err = c.countPending(ctx, op, key, g.Group, from, to); err != nil {
		return err
	}
	if g.Lost() {
		g.LostFrom, g.LostTo = later(g.From), to
	}
	return nil
}

// count counts the entries between two IDs, both included, up to most of them,
// and names the last one counted.
func (c *Client) count(ctx context.Context, op, key string, from, to stream.ID, most int64) (n int64, last stream.ID, err error) {
	for done := false; !done && n < most; {
		v, err := c.run(ctx, op, countScript, []string{key}, from.String(), to.String(), min(countSlice, most-n))
		if err != nil {
			return n, last, err
		}
		counted, at := v.integer(), v.id()
		done = v.flag() || counted == 0
		if v.err != nil {
			return n, last, v.err
		}
		if n += counted; counted > 0 {
			last, from = at, at.Next()
		}
	}
	return n, last, nil
}

// countPending counts what a group has pending between two IDs, both included.
func (c *Client) countPending(ctx context.Context, op, key, group string, from, to stream.ID) (n int64, err error) {
	for start := from.String(); ; {
		page, err := c.rdb.XPendingExt(ctx, &redis.XPendingExtArgs{
			Stream: key, Group: group, Start: start, End: to.String(), Count: maxPage,
		}).Result()
		if err != nil {
			return n, wrap(op, err)
		}
		n += int64(len(page))
		if len(page) < maxPage {
			return n, nil
		}
		start = "(" + page[len(page)-1].ID
	}
}
