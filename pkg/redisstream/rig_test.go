package redisstream_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/fanout/pkg/consumer"
	"example.com/fanout/pkg/consumer/consumertest"
	"example.com/fanout/pkg/deadletter"
	"example.com/fanout/pkg/redisstream"
	"example.com/fanout/pkg/stream"
	"example.com/fanout/pkg/telemetry"
	"example.com/fanout/test/redistest"
)

// Sources satisfy the engine's interface.
var _ consumer.Source = (*redisstream.Source)(nil)

const (
	key     = "events"
	group   = "g"
	dead    = "{events}:dead:g"
	minIdle = 300 * time.Millisecond
)

// open makes a client of a server.
func open(t *testing.T, s *redistest.Server) *redisstream.Client {
	t.Helper()
	return openConfig(t, redisstream.Config{URL: telemetry.Secret(s.URL())})
}

func openConfig(t *testing.T, cfg redisstream.Config) *redisstream.Client {
	t.Helper()
	c, err := redisstream.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func config() redisstream.GroupConfig {
	return redisstream.GroupConfig{
		Stream: key, Group: group, DeadLetters: dead, MaxDeadLetters: 3, MinIdle: minIdle,
	}
}

func ensure(t *testing.T, g *redisstream.Group) redisstream.Opened {
	t.Helper()
	o, err := g.Ensure(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if o.Warning != nil {
		t.Fatal(o.Warning)
	}
	return o
}

// rig is one group on a server, real or not, for the conformance suite.
type rig struct {
	t   *testing.T
	rdb *redis.Client
	g   *redisstream.Group
}

func newRig(t *testing.T, c *redisstream.Client, rdb *redis.Client) consumertest.Rig {
	t.Helper()
	g := c.Group(config())
	ensure(t, g)
	return rig{t: t, rdb: rdb, g: g}
}

func (r rig) do(args ...any) any {
	r.t.Helper()
	v, err := r.rdb.Do(context.Background(), args...).Result()
	if err != nil {
		r.t.Fatalf("%v: %v", args[0], err)
	}
	return v
}

func (r rig) Source(name string) consumer.Source { return r.g.Source(name, r.g.Epoch()) }

func (r rig) Add(fields ...string) stream.ID { r.t.Helper(); return r.add("*", fields) }

func (r rig) AddAt(id stream.ID, fields ...string) { r.t.Helper(); r.add(id.String(), fields) }

func (r rig) add(id string, fields []string) stream.ID {
	r.t.Helper()
	args := []any{"XADD", key, id}
	for _, f := range fields {
		args = append(args, f)
	}
	return parseID(r.t, r.do(args...))
}

func (r rig) Delete(ids ...stream.ID) {
	r.t.Helper()
	args := []any{"XDEL", key}
	for _, id := range ids {
		args = append(args, id.String())
	}
	r.do(args...)
}

func (r rig) DestroyGroup() { r.t.Helper(); r.do("XGROUP", "DESTROY", key, group) }

func (r rig) Pending() []consumertest.PendingEntry { r.t.Helper(); return r.pendingIn(key) }

func (r rig) pendingIn(key string) []consumertest.PendingEntry {
	r.t.Helper()
	var list []consumertest.PendingEntry
	for _, v := range r.do("XPENDING", key, group, "-", "+", 1_000_000).([]any) {
		p := v.([]any)
		list = append(list, consumertest.PendingEntry{
			ID:       parseID(r.t, p[0]),
			Consumer: p[1].(string),
			Idle:     time.Duration(p[2].(int64)) * time.Millisecond,
			Count:    p[3].(int64),
		})
	}
	return list
}

func (r rig) Letters() []deadletter.Letter {
	r.t.Helper()
	entries, err := r.rdb.XRange(context.Background(), dead, "-", "+").Result()
	if err != nil {
		r.t.Fatal(err)
	}
	var letters []deadletter.Letter
	for _, e := range entries {
		letters = append(letters, parseLetter(r.t, r.rdb, e.ID))
	}
	return letters
}

// parseLetter reads one letter with its fields in order, which the library's
// own type would lose.
func parseLetter(t *testing.T, rdb *redis.Client, id string) deadletter.Letter {
	t.Helper()
	v, err := rdb.Do(context.Background(), "XRANGE", dead, id, id).Slice()
	if err != nil {
		t.Fatal(err)
	}
	var e stream.Entry
	texts := v[0].([]any)[1].([]any)
	for i := 0; i < len(texts); i += 2 {
		e.Fields = append(e.Fields, stream.Field{Name: []byte(texts[i].(string)), Value: []byte(texts[i+1].(string))})
	}
	l, err := deadletter.Parse(e)
	if err != nil {
		t.Fatal(err)
	}
	return *l
}

func (rig) MaxLetters() int        { return 3 }
func (rig) MinIdle() time.Duration { return minIdle }
func (rig) Wait(d time.Duration)   { time.Sleep(d) }

func parseID(t *testing.T, v any) stream.ID {
	t.Helper()
	id, err := stream.ParseID(fmt.Sprint(v))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestSourceOnRealRedis(t *testing.T) {
	t.Parallel()
	consumertest.TestSource(t, func(t *testing.T) consumertest.Rig {
		s := redistest.Start(t)
		return newRig(t, open(t, s), s.Client())
	})
}

func isNoGroup(err error) bool { return errors.Is(err, stream.ErrNoGroup) }

// eventually waits until a condition holds.
func eventually(t *testing.T, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("waited too long")
		}
	}
}
