package redisstream

import (
	"context"
	"embed"
	"fmt"

	"github.com/redis/go-redis/v9"

	"example.com/fanout/pkg/stream"
)

// The scripts. Each begins by saying what its keys and arguments are. Those
// that need them get the functions of lib.lua in front.
//
//go:embed lua/*.lua
var luaFiles embed.FS

var (
	ensureScript     = newScript("lib", "book", "ensure")
	checkpointScript = newScript("lib", "once", "checkpoint", "each")
	infoScript       = newScript("lib", "once", "info", "each")
	lossesScript     = newScript("lib", "book", "once", "losses", "each")
	consumersScript  = newScript("lib", "consumers")
	reapScript       = newScript("lib", "reap")
	ownScript        = newScript("lib", "book", "own")
	claimScript      = newScript("lib", "book", "claim")
	ackScript        = newScript("ack")
	holdScript       = newScript("hold")
	hostScript       = newScript("host")
	buryScript       = newScript("write", "bury")
	renewScript      = newScript("renew")
	takeOverScript   = newScript("takeover")
	releaseScript    = newScript("release")
	seekScript       = newScript("lib", "book", "seek")
	explainScript    = newScript("lib", "explain")
	streamScript     = newScript("lib", "stream")
	findLetterScript = newScript("replays", "findletter")
	rightsScript     = newScript("rights")
	trimScript       = newScript("lib", "trim")
	countScript      = newScript("count")

	lettersScript    = newScript("replays", "letters")
	letterScript     = newScript("replays", "letter")
	purgeScript      = newScript("lib", "replays", "purge")
	replayScript     = newScript("lib", "replays", "replay")
	replayReadScript = newScript("lib", "once", "replays", "replayread", "each")
	replayAckScript  = newScript("replays", "replayack")
	replayBuryScript = newScript("write", "replays", "replaybury")
)

func newScript(files ...string) *redis.Script {
	var src []byte
	for _, name := range files {
		text, err := luaFiles.ReadFile("lua/" + name + ".lua")
		if err != nil {
			panic(err) // it is compiled in
		}
		src = append(src, text...)
	}
	return redis.NewScript(string(src))
}

// run runs a script that returns an array.
func (c *Client) run(ctx context.Context, op string, s *redis.Script, keys []string, args ...any) (values, error) {
	v, err := s.Run(ctx, c.rdb, keys, args...).Slice()
	if err != nil {
		return values{}, wrap(op, err)
	}
	return values{op: op, list: v}, nil
}

// runInt runs a script that returns an integer.
func (c *Client) runInt(ctx context.Context, op string, s *redis.Script, keys []string, args ...any) (int64, error) {
	n, err := s.Run(ctx, c.rdb, keys, args...).Int64()
	if err != nil {
		return 0, wrap(op, err)
	}
	return n, nil
}

// values takes a script's result apart. The first element that is not what it
// should be is kept as err, and all later ones are zero.
type values struct {
	op   string
	list []any
	pos  int
	err  error
}

func (v *values) next() any {
	if v.err != nil {
		return nil
	}
	if v.pos >= len(v.list) {
		v.fail("element")
		return nil
	}
	x := v.list[v.pos]
	v.pos++
	return x
}

func (v *values) fail(want string) {
	if v.err == nil {
		v.err = fmt.Errorf("%s: %w: no %s at %d of %d", v.op, errReply, want, v.pos, len(v.list))
	}
}

func (v *values) more() bool { return v.err == nil && v.pos < len(v.list) }

func (v *values) integer() int64 {
	x, ok := v.next().(int64)
	if !ok {
		v.fail("integer")
	}
	return x
}

func (v *values) flag() bool { return v.integer() != 0 }

func (v *values) text() string {
	s, ok := v.next().(string)
	if !ok {
		v.fail("text")
	}
	return s
}

// id reads an ID; an empty text is the zero ID.
func (v *values) id() stream.ID {
	s := v.text()
	if s == "" {
		return stream.ID{}
	}
	id, err := stream.ParseID(s)
	if err != nil {
		v.fail("ID")
	}
	return id
}

func (v *values) array() values {
	list, ok := v.next().([]any)
	if !ok {
		v.fail("array")
	}
	return values{op: v.op, list: list, err: v.err}
}

func (v *values) ids() []stream.ID {
	list := v.array()
	var ids []stream.ID
	for list.more() {
		ids = append(ids, list.id())
	}
	v.adopt(&list)
	return ids
}

// fields reads an array of names and values in turn.
func (v *values) fields() []stream.Field {
	list := v.array()
	fields := make([]stream.Field, 0, len(list.list)/2)
	for list.more() {
		fields = append(fields, stream.Field{Name: []byte(list.text()), Value: []byte(list.text())})
	}
	v.adopt(&list)
	return fields
}

func (v *values) adopt(inner *values) {
	if v.err == nil {
		v.err = inner.err
	}
}
