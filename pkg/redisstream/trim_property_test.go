package redisstream_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"example.com/fanout/pkg/redisstream"
	"example.com/fanout/pkg/stream"
	"example.com/fanout/test/redistest"
)

// Producers add, groups read and acknowledge in any order, several processes
// trim: every group gets every entry with its data, none is told of a loss, and
// at the end nothing is left but what somebody has not settled.
func TestTrimNeverTakesWhatIsNeeded(t *testing.T) {
	t.Parallel()
	const (
		producers, perProducer = 3, 1500
		consumers, trimmers    = 2, 3
		held                   = 5 // entries that one group never acknowledges
	)
	s := redistest.Start(t)
	groups := []string{"fast", "slow", "unknown"}
	for _, g := range groups {
		s.Do(t, "XGROUP", "CREATE", key, g, "0", "MKSTREAM")
	}
	rules := redisstream.Retention{Stream: key, Required: groups[:2], MaxLen: 100} // a bound that holds
	var (
		working, trimming sync.WaitGroup
		mu                sync.Mutex
		got               = map[string]map[string]int{}
		kept              []string // never acknowledged, by slow
	)
	for _, g := range groups {
		got[g] = map[string]int{}
	}
	for p := range producers {
		working.Go(func() {
			for n := range perProducer {
				if err := s.Client().Do(t.Context(), "XADD", key, "*", "n", fmt.Sprintf("%d-%d", p, n)).Err(); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	read := func(group, consumer string, random *rand.Rand) {
		var mine []redis.XMessage
		seen := func() int { mu.Lock(); defer mu.Unlock(); return len(got[group]) }
		for seen() < producers*perProducer || len(mine) > 0 {
			reply, err := s.Client().XReadGroup(t.Context(), &redis.XReadGroupArgs{
				Group: group, Consumer: consumer, Streams: []string{key, ">"}, Count: 1 + random.Int64N(64), Block: -1,
			}).Result()
			if err != nil && !errors.Is(err, redis.Nil) {
				t.Error(err)
				return
			}
			mu.Lock()
			for _, one := range reply {
				for _, e := range one.Messages {
					got[group][fmt.Sprint(e.Values["n"])]++
					if group == "slow" && len(kept) < held {
						kept = append(kept, e.ID)
						continue
					}
					mine = append(mine, e)
				}
			}
			mu.Unlock()
			random.Shuffle(len(mine), func(i, j int) { mine[i], mine[j] = mine[j], mine[i] })
			n := random.IntN(len(mine) + 1)
			for _, e := range mine[:n] { // what is acknowledged last was there all the time
				there, err := s.Client().XRangeN(t.Context(), key, e.ID, e.ID, 1).Result()
				if err != nil || len(there) != 1 {
					t.Errorf("%s was trimmed while pending in %s: %v", e.ID, group, err)
				}
				if err := s.Client().XAck(t.Context(), key, group, e.ID).Err(); err != nil {
					t.Error(err)
				}
			}
			mine = slices.Delete(mine, 0, n)
		}
	}
	for i, g := range groups {
		for n := range consumers {
			working.Go(func() { read(g, fmt.Sprint("c", n), rand.New(rand.NewPCG(uint64(i), uint64(n)))) })
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	for range trimmers {
		c := open(t, s)
		trimming.Go(func() {
			for ctx.Err() == nil {
				got, err := c.Trim(t.Context(), rules)
				if err != nil {
					t.Error(err)
					return
				}
				for _, n := range got.Groups {
					if n.Lost() {
						t.Errorf("a trim says that it has taken what is needed: %+v", n)
						return
					}
				}
			}
		})
	}
	for _, name := range groups { // nobody takes what was settled and trimmed for a loss
		cfg := config()
		cfg.Group = name
		g := open(t, s).Group(cfg)
		trimming.Go(func() {
			for ctx.Err() == nil {
				if _, err := g.Losses(t.Context(), func(l stream.Loss) { t.Errorf("%s has lost %+v", name, l) }); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	working.Wait()
	stop()
	trimming.Wait()
	for _, g := range groups {
		if len(got[g]) != producers*perProducer {
			t.Errorf("%s got %d entries, want %d", g, len(got[g]), producers*perProducer)
		}
	}
	end := trimAll(t, open(t, s), rules)
	if begin, _, _ := strings.Cut(left(t, s), " "); begin != strings.TrimSuffix(lowestID(t, kept), "-0") || !strings.HasPrefix(end.First.String(), begin) {
		t.Errorf("the stream begins at %q, want the oldest that is pending of %v", begin, kept)
	}
}

func lowestID(t *testing.T, ids []string) string {
	t.Helper()
	return slices.MinFunc(ids, func(a, b string) int { return parseID(t, a).Compare(parseID(t, b)) })
}
