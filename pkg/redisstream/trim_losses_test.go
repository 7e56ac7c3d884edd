package redisstream_test

import (
	"fmt"
	"testing"

	"github.com/redis/go-redis/v9"

	"example.com/fanout/pkg/redisstream"
	"example.com/fanout/test/redistest"
)

// What was trimmed after a group had read it is no loss, also where Redis did
// not know how many the group had read; what a bound takes is one.
func TestTrimAndLosses(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	c := open(t, s)
	for i := range 10 {
		s.Do(t, "XADD", key, fmt.Sprintf("%d-0", i+1), "f", "v")
	}
	commands(t, s, "XGROUP CREATE events g 4-0") // entries-read unknown
	r := redisstream.Retention{Stream: key, Required: []string{group}}
	if got := trimAll(t, c, r); got.Entries != 4 {
		t.Fatalf("%+v, want 4 trimmed", got)
	}
	g := c.Group(config())
	ensure(t, g)
	if info, err := g.Info(t.Context()); err != nil || info.EntriesRead != 4 || info.Lag != 6 {
		t.Errorf("info %+v, %v, want 4 read and a lag of 6", info, err)
	}
	if n := lossesOf(t, g); n != 0 {
		t.Errorf("%d lost by a trim to what the group needs", n)
	}
	r.MaxLen, r.Drop = 3, true
	if got := trimAll(t, c, r); got.Entries != 3 || got.Groups[0].LostUndelivered != 3 {
		t.Fatalf("%+v, want 3 trimmed and lost", got)
	}
	if n := lossesOf(t, g); n != 3 {
		t.Errorf("%d lost, want 3", n)
	}
}

// A group whose number of read entries Redis does not know stands in the middle
// while trims follow it: none of them is a loss.
func TestTrimBehindAnUncountedGroup(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	c := open(t, s)
	for i := range 10 {
		s.Do(t, "XADD", key, fmt.Sprintf("%d-0", i+1), "f", "v")
	}
	commands(t, s, "XGROUP CREATE events g 4-0")
	g := c.Group(config())
	ensure(t, g)
	r := redisstream.Retention{Stream: key, Required: []string{group}}
	for range 3 {
		if n := lossesOf(t, g); n != 0 {
			t.Fatalf("%d lost, want none", n)
		}
		read, err := s.Client().XReadGroup(t.Context(), &redis.XReadGroupArgs{Group: group, Consumer: "c", Streams: []string{key, ">"}, Count: 2}).Result()
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range read[0].Messages {
			if lossesOf(t, g) != 0 {
				t.Fatal("lost while pending")
			}
			s.Do(t, "XACK", key, group, e.ID)
			if got := trimAll(t, c, r); got.Entries == 0 || lossesOf(t, g) != 0 {
				t.Fatalf("after %v: %+v, want it trimmed and nothing lost", e.ID, got)
			}
		}
	}
	if ids := left(t, s); ids != "" {
		t.Errorf("left %q, want nothing", ids)
	}
}

func lossesOf(t *testing.T, g *redisstream.Group) (n int64) {
	t.Helper()
	for _, l := range told(t, g) {
		n += l.Entries
	}
	return n
}
