package redisstream

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// The groups of a stream look at Redis once a second. What one look costs grows
// with the number of groups in the stream, for Redis tells of all of them or
// none. So groups that look at about the same time do so in one script.

const (
	mostAtOnce    = 64               // groups in one run
	crowdPatience = 2 * replyTimeout // of one run
)

// gather is how long groups that wake at the same moment are waited for, where
// there were others the last time: a round trip costs more.
const gather = time.Millisecond

// commonMoment is how far apart the moments are at which waits end.
const commonMoment = time.Second

// together makes what groups do at intervals fall on the same moments.
func (c *Client) together(now time.Time, every time.Duration) time.Time {
	return now.Add(every - now.Sub(c.opened)%every)
}

// errNoTurn is of a script that has come to no group at all.
var errNoTurn = errors.New("the server ran the script for no group")

// crowd is the groups of one stream that wait for one script.
type crowd struct {
	client *Client
	script *redis.Script

	mu      sync.Mutex
	waiting []*seat
	serving bool
	several bool // there were, when it was served last; the serving goroutine's
}

// seat is one group's place in it.
type seat struct {
	op   string
	ctx  context.Context
	keys []string
	args []any
	list []any
	err  error
	done chan struct{} // closed when list and err are there
}

// runTogether is run for a script that ends with each.lua: it is run for several
// groups of the stream at once. All calls for a script have as many keys and
// arguments.
func (c *Client) runTogether(ctx context.Context, op string, s *redis.Script, stream string, keys []string, args ...any) (values, error) {
	all, _ := c.shared.LoadOrStore(s.Hash()+stream, &crowd{client: c, script: s})
	crowd := all.(*crowd)
	mine := &seat{op: op, ctx: ctx, keys: keys, args: args, done: make(chan struct{})}
	crowd.mu.Lock()
	crowd.waiting = append(crowd.waiting, mine)
	if !crowd.serving {
		crowd.serving = true
		go crowd.serve()
	}
	crowd.mu.Unlock()
	select {
	case <-mine.done:
	case <-ctx.Done():
		return values{}, wrap(op, ctx.Err())
	}
	if mine.err != nil {
		return values{}, wrap(op, mine.err)
	}
	return values{op: op, list: mine.list}, nil
}

// serve runs the script until nobody waits.
func (c *crowd) serve() {
	if c.several {
		time.Sleep(gather)
	}
	for served := 0; ; {
		c.mu.Lock()
		var some []*seat
		for len(c.waiting) > 0 && len(some) < mostAtOnce {
			if s := c.waiting[0]; s.ctx.Err() == nil { // else nobody waits for it
				some = append(some, s)
			}
			c.waiting = c.waiting[1:]
		}
		if len(some) == 0 {
			c.serving, c.waiting, c.several = false, nil, served > 1
			c.mu.Unlock()
			return
		}
		c.mu.Unlock()
		served += len(some)
		if left := c.run(some); len(left) > 0 {
			c.mu.Lock()
			c.waiting = append(left, c.waiting...)
			c.mu.Unlock()
		}
	}
}

// run runs the script for some groups, and returns those to which their turn
// has not come.
func (c *crowd) run(some []*seat) (left []*seat) {
	var keys []string
	args := []any{len(some[0].keys), len(some[0].args)}
	for _, s := range some {
		keys = append(keys, s.keys...)
		args = append(args, s.args...)
	}
	ctx, cancel := context.WithTimeout(context.Background(), crowdPatience)
	defer cancel()
	list, err := c.script.Run(ctx, c.client.rdb, keys, args...).Slice()
	v := values{op: some[0].op, list: list}
	if err == nil && !v.more() {
		err = errNoTurn
	}
	for i, s := range some {
		if err == nil && !v.more() {
			return some[i:]
		}
		if s.err = err; err == nil {
			one := v.array()
			if said := one.text(); said != "" {
				s.err = reply(said)
			} else {
				answer := one.array()
				s.list, s.err = answer.list, answer.err
			}
		}
		close(s.done)
	}
	return nil
}
