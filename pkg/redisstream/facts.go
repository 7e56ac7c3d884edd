package redisstream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/fanout/pkg/stream"
)

// Facts is what a server tells of itself and how it is set, at one time.
type Facts struct {
	ServerInfo

	info     string            // the answer of INFO; "" when it may not be asked for
	settings map[string]string // of CONFIG GET; nil when it may not be asked for

	// Skew is how far the server's clock is ahead of ours, give or take
	// SkewError. Of no meaning unless SkewKnown.
	Skew, SkewError time.Duration
	SkewKnown       bool
}

// Info is a field of the server's INFO, and whether it tells it.
func (f Facts) Info(field string) (string, bool) {
	value := infoField(f.info, field)
	return value, value != ""
}

// Setting is a setting of the server, and whether it tells it. A setting may be
// empty.
func (f Facts) Setting(name string) (string, bool) {
	value, ok := f.settings[name]
	return value, ok
}

// settings are those of which Facts knows.
var settings = []string{"save", "appendonly", "appendfsync", "min-replicas-to-write", "stop-writes-on-bgsave-error", "maxmemory-policy"}

// Facts asks the server. What it does not tell, or not to this user, is left
// out; that it cannot be reached or does not let us in is an error.
func (c *Client) Facts(ctx context.Context) (Facts, error) {
	if err := c.Ping(ctx); err != nil && !Refused(err) {
		return Facts{}, err
	}
	server, err := c.Server(ctx)
	if err != nil {
		return Facts{}, err
	}
	f := Facts{ServerInfo: server}
	if f.info, err = c.rdb.Info(ctx).Result(); err != nil && !answered(err) {
		return f, wrap("ask the server for its state", err)
	}
	for _, name := range settings { // one at a time: a server may refuse those that it does not have
		values, err := c.rdb.ConfigGet(ctx, name).Result()
		if err != nil && !answered(err) {
			return f, wrap("ask the server for its settings", err)
		}
		for name, value := range values {
			if f.settings == nil {
				f.settings = map[string]string{}
			}
			f.settings[name] = value
		}
	}
	asked := time.Now()
	at, err := c.rdb.Time(ctx).Result()
	if err != nil {
		if !answered(err) {
			return f, wrap("ask the server for the time", err)
		}
		return f, nil
	}
	took := time.Since(asked)
	f.Skew, f.SkewError, f.SkewKnown = at.Sub(asked.Add(took/2)), took/2, true
	return f, nil
}

// StreamFacts is what can be told of a stream without any group.
type StreamFacts struct {
	Length int64
	Added  int64 // ever; -1 unknown
	Bytes  int64 // in memory, about; -1 unknown
}

// Stream looks at a stream. One that is not there has no entries.
func (c *Client) Stream(ctx context.Context, key string) (StreamFacts, error) {
	reply, err := c.rdb.Do(ctx, "xinfo", "stream", key).Slice()
	if err != nil {
		if err = wrap("look at "+key, err); errors.Is(err, stream.ErrNoGroup) {
			return StreamFacts{}, nil
		}
		return StreamFacts{}, err
	}
	facts := StreamFacts{Added: -1, Bytes: -1}
	for i := 0; i+1 < len(reply); i += 2 {
		n, ok := reply[i+1].(int64)
		if !ok {
			continue
		}
		switch reply[i] {
		case "length":
			facts.Length = n
		case "entries-added":
			facts.Added = n
		}
	}
	if n, err := c.rdb.MemoryUsage(ctx, key).Result(); err == nil {
		facts.Bytes = n
	}
	return facts, nil
}

// Length is the number of entries in the group's dead letters.
func (g *Group) Length(ctx context.Context) (int64, error) {
	n, err := g.client.rdb.XLen(ctx, g.cfg.DeadLetters).Result()
	return n, wrap(g.op("count dead letters of"), err)
}

// Misplaced is a key of fanout's that holds something else.
type Misplaced struct{ Key, Is, Want string }

// Misplaced finds keys of the group that hold something other than what fanout
// keeps there.
func (g *Group) Misplaced(ctx context.Context) ([]Misplaced, error) {
	var all []Misplaced
	for _, k := range g.ownKeys() {
		is, err := g.client.rdb.Type(ctx, k.name).Result()
		if err != nil {
			return all, wrap("look at "+k.name, err)
		}
		if want := k.kind.holds(); is != "none" && is != want {
			all = append(all, Misplaced{Key: k.name, Is: is, Want: want})
		}
	}
	return all, nil
}

// Right is a command that fanout needs.
type Right struct {
	Command string // and subcommand, as "XINFO STREAM"
	Key     string // "" for a command without one
	Pattern string // of an ACL rule for the key and those like it
	Without string // what goes worse without it; "" when nothing goes
	args    []any  // an example
}

func (r Right) String() string {
	if r.Key == "" {
		return r.Command
	}
	return r.Command + " on " + r.Key
}

// Refused reports whether the server has answered that the user may not do what
// was asked for.
func Refused(err error) bool { return redis.HasErrorPrefix(err, "NOPERM") }

// ErrRightsUnknown is returned by [Client.Denied] for a server that does not
// tell.
var ErrRightsUnknown = errors.New("the server does not tell what a user may do")

// rightsAtOnce bounds one question for rights.
const rightsAtOnce = 500

// Denied returns those rights that the user of this client does not have, and
// those that are for commands which the server does not have. It asks the server
// and tries nothing.
func (c *Client) Denied(ctx context.Context, rights []Right) ([]Right, error) {
	const op = "ask for the user's rights"
	var denied []Right
	for some := range slices.Chunk(rights, rightsAtOnce) {
		var args []any
		for _, r := range some {
			args = append(append(args, len(r.args)), r.args...)
		}
		v, err := c.run(ctx, op, rightsScript, nil, args...)
		switch {
		case err != nil && strings.Contains(err.Error(), "acl_check_cmd"):
			return nil, fmt.Errorf("%w (%w)", ErrRightsUnknown, err)
		case err != nil:
			return nil, err
		}
		for _, r := range some {
			if !v.flag() {
				denied = append(denied, r)
			}
		}
		if v.err != nil {
			return nil, v.err
		}
	}
	return denied, nil
}
