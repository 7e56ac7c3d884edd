package redisstream

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/fanout/pkg/stream"
)

// Orphans are what holds entries back in a stream and belongs to nobody.
type Orphans struct {
	Groups    []Need           // groups that are not known
	Consumers []OrphanConsumer // of known groups
}

// OrphanConsumer is a consumer with pending entries whose name no living
// instance has. Its group takes the entries over when it runs.
type OrphanConsumer struct {
	Group         string
	Name          string
	Pending       int64
	OldestPending stream.ID
	Idle          time.Duration // since it did something
	GivenBack     bool          // it has ended in order: its group takes the oldest at once when it runs
}

// Orphans looks for the groups of a stream that are not among the known ones,
// and for consumers that have left entries behind. It changes nothing. A stream
// that is missing has none, and neither has a simulated server.
func (c *Client) Orphans(ctx context.Context, key string, known []string) (o Orphans, err error) {
	t, err := c.Needs(ctx, Retention{Stream: key, Known: known})
	if err != nil {
		return o, err
	}
	alive := map[string]bool{}
	for _, g := range t.Groups {
		if !g.Known {
			o.Groups = append(o.Groups, g)
			continue
		}
		if g.Pending == 0 {
			continue
		}
		left, err := c.leftBehind(ctx, key, g.Group, alive)
		if err != nil && !errors.Is(err, stream.ErrNoGroup) { // the group went meanwhile
			return o, err
		}
		o.Consumers = append(o.Consumers, left...)
	}
	return o, nil
}

// leftBehind lists the consumers of a group that have entries and no instance.
// alive remembers which instances were found.
func (c *Client) leftBehind(ctx context.Context, key, group string, alive map[string]bool) (left []OrphanConsumer, err error) {
	op := "list consumers of " + group
	v, err := c.run(ctx, op, consumersScript, []string{key}, group)
	if err != nil {
		return nil, err
	}
	for v.more() {
		one := OrphanConsumer{Group: group, Name: v.text(), Pending: v.integer(), Idle: milliseconds(v.integer())}
		if v.err != nil || one.Pending == 0 {
			continue
		}
		owned, err := c.owned(ctx, one.Name, alive)
		if err != nil {
			return nil, err
		}
		if owned {
			continue
		}
		oldest, err := c.rdb.XPendingExt(ctx, &redis.XPendingExtArgs{
			Stream: key, Group: group, Start: "-", End: "+", Count: 1, Consumer: one.Name,
		}).Result()
		if err != nil {
			return nil, wrap(op, err)
		}
		if len(oldest) == 0 {
			continue // taken over meanwhile
		}
		if one.OldestPending, err = stream.ParseID(oldest[0].ID); err != nil {
			return nil, fmt.Errorf("%s: %w", op, err)
		}
		one.GivenBack = oldest[0].Idle >= freeIdle
		left = append(left, one)
	}
	return left, v.err
}

// consumerName is a name that fanout gives: that of the instance, and a number
// or what the consumer is for.
var consumerName = regexp.MustCompile(`^(.+)-(\d+|replay)$`)

// owned reports whether the instance that a consumer's name begins with holds
// its lease.
func (c *Client) owned(ctx context.Context, name string, alive map[string]bool) (bool, error) {
	m := consumerName.FindStringSubmatch(name)
	if m == nil {
		return false, nil
	}
	if known, asked := alive[m[1]]; asked {
		return known, nil
	}
	n, err := c.rdb.Exists(ctx, leasePrefix+m[1]).Result()
	if err != nil {
		return false, wrap("look for the instance "+m[1], err)
	}
	alive[m[1]] = n > 0
	return n > 0, nil
}
