package redisstream_test

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"sync"
	"testing"

	"example.com/fanout/pkg/redisstream"
	"example.com/fanout/pkg/stream"
	"example.com/fanout/test/redistest"
)

// calls is how often the server has run a command.
func calls(t *testing.T, s *redistest.Server, command string) int {
	t.Helper()
	stats, err := s.Client().Info(t.Context(), "commandstats").Result()
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`cmdstat_` + regexp.QuoteMeta(command) + `:calls=(\d+)`).FindStringSubmatch(stats)
	if found == nil {
		return 0
	}
	n, err := strconv.Atoi(found[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Many groups that look at once cost few lists of all groups; each hears of
// itself, and a fault of one is not the others'.
func TestManyGroups(t *testing.T) {
	t.Parallel()
	const many = 300
	s := redistest.Start(t)
	c := open(t, s)
	rdb := s.Client()
	groups := make([]*redisstream.Group, many)
	for i := range groups {
		cfg := config()
		cfg.Group = fmt.Sprint("g", i)
		cfg.DeadLetters = "{events}:dead:" + cfg.Group
		groups[i] = c.Group(cfg)
		if i == 7 { // another value where its losses are kept
			s.Do(t, "SET", "{events}:fanout:losses:g7", "x")
		}
	}
	each := func(do func(i int, g *redisstream.Group)) {
		var all sync.WaitGroup
		for i, g := range groups {
			all.Go(func() { do(i, g) })
		}
		all.Wait()
	}
	ensured := make([]error, many)
	each(func(i int, g *redisstream.Group) { _, ensured[i] = g.Ensure(t.Context()) })
	for i, err := range ensured {
		if (err != nil) != (i == 7) {
			t.Errorf("Ensure of group %d: %v", i, err)
		}
	}
	s.Do(t, "DEL", "{events}:fanout:losses:g7")
	if _, err := groups[7].Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		s.Do(t, "XADD", key, fmt.Sprint(i+1, "-0"), "event", "{}")
	}
	for i := range groups {
		s.Do(t, "XREADGROUP", "GROUP", fmt.Sprint("g", i), "a", "COUNT", fmt.Sprint(i%10+1), "STREAMS", key, ">")
	}
	s.Do(t, "XGROUP", "DESTROY", key, "g3")
	if _, err := rdb.Set(t.Context(), "{events}:fanout:losses:g5", "x", 0).Result(); err != nil {
		t.Fatal(err)
	}

	before := calls(t, s, "xinfo|groups")
	infos, infoErrs := make([]stream.GroupInfo, many), make([]error, many)
	lows, lowErrs, lossErrs := make([]stream.ID, many), make([]error, many), make([]error, many)
	each(func(i int, g *redisstream.Group) {
		_, lossErrs[i] = g.Losses(t.Context(), func(stream.Loss) {})
		lows[i], lowErrs[i] = g.Checkpoint(t.Context())
		infos[i], infoErrs[i] = g.Info(t.Context())
	})
	if n := calls(t, s, "xinfo|groups") - before; n > many {
		t.Errorf("all groups were listed %d times for %d looks", n, 3*many)
	}
	for i := range groups {
		read := uint64(i%10 + 1)
		switch {
		case i == 3:
			if !errors.Is(infoErrs[i], stream.ErrNoGroup) || !errors.Is(lowErrs[i], stream.ErrNoGroup) || !errors.Is(lossErrs[i], stream.ErrNoGroup) {
				t.Errorf("missing group: %v, %v, %v", infoErrs[i], lowErrs[i], lossErrs[i])
			}
			continue
		case lossErrs[i] != nil != (i == 5):
			t.Errorf("losses of group %d: %v", i, lossErrs[i])
		case infoErrs[i] != nil || lowErrs[i] != nil:
			t.Errorf("group %d: %v, %v", i, infoErrs[i], lowErrs[i])
		}
		if infos[i].LastDelivered.Ms != read || infos[i].Pending != int64(read) || !lows[i].Before(stream.ID{Ms: 1}) {
			t.Errorf("group %d: %+v, low-water mark %v; it has read %d", i, infos[i], lows[i], read)
		}
	}
}
