package integration

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/fanout/test/redistest"
)

// Redis goes away and comes back with its data, then comes back empty and
// begins again with lower IDs, one of them used before: nothing is lost or
// swallowed, and the log stays small.
func TestRedisAway(t *testing.T) {
	t.Parallel()
	const outage = 10 * time.Second
	s := newSite(t, redistest.WithPersistence()).manifest(faultyGroup("probe") + rowsGroup)
	all := events(trades(8, 600))
	// publish adds 200 trades, the first under the ID ms-1.
	publish := func(ms, from int) {
		t.Helper()
		for i, event := range all[from : from+200] {
			s.add(fmt.Sprintf("%d-%d", ms, i+1), "event", event)
		}
	}
	p := s.run().ready()
	publish(5000, 0)
	s.settled(15*time.Second, "probe", "rows")

	mark := p.log.len()
	s.redis.Stop(t)
	<-time.After(outage) // the outage itself is what is tested
	p.alive()
	// Two groups of two consumers and what the process has of its own: a few
	// lines each, however often they try.
	if lines := p.log.len() - mark; lines > 30 {
		t.Errorf("an outage of %v took %d lines of log", outage, lines)
	}
	s.redis.Restart(t)
	publish(6000, 200)
	s.settled(20*time.Second, "probe", "rows")
	for _, group := range []string{"probe", "rows"} {
		s.checkpointed(group, "6000-200")
	}

	mark = p.log.len()
	s.redis.StartEmpty(t)
	publish(1000, 400)
	s.add("5000-1", "event", `{"trade_id":-1,"market_id":"again"}`)
	s.settled(30*time.Second, "probe", "rows")
	if lines := p.log.len() - mark; lines > 60 {
		t.Errorf("the empty Redis took %d lines of log", lines)
	}
	for _, group := range []string{"probe", "rows"} {
		if !slices.ContainsFunc(p.log.since(mark), func(r record) bool {
			return r.text("level") == "ERROR" && r.text("group") == group && strings.Contains(fmt.Sprint(r), "6000-200")
		}) {
			t.Errorf("no error says where %s stood in the stream that was lost", group)
		}
	}

	// The probe may see again what it had when an acknowledgement was lost. It
	// must have seen each entry, and 5000-1 in both lives of the stream.
	seen := map[string]bool{}
	epochs := map[string]bool{}
	for _, h := range s.board.Handled("probe") {
		seen[h.Epoch+"/"+h.ID] = true
		epochs[h.Epoch] = true
	}
	if len(seen) != len(all)+1 || len(epochs) != 2 {
		t.Errorf("the probe saw %d entries in %d lives of the stream, want %d in 2", len(seen), len(epochs), len(all)+1)
	}
	s.rows("rows.db", "trades", len(all)+1)
	noLetters(t, s, "probe", "rows")
	p.stop()
}

// checkpointed waits until a group's position is kept outside the group.
func (s *site) checkpointed(group, id string) {
	s.t.Helper()
	eventually(s.t, 5*time.Second, "keep the position of "+group, func() error {
		got, err := s.rdb.HGet(context.Background(), "{"+eventsStream+"}:fanout:checkpoint:"+group, "id").Result()
		if err == nil && got != id {
			err = fmt.Errorf("it is %s, want %s", got, id)
		}
		return err
	})
}

// A process that starts while Redis is away waits for it.
func TestRedisAwayAtStart(t *testing.T) {
	t.Parallel()
	s := newSite(t, redistest.WithPersistence()).manifest(faultyGroup("probe"))
	ids := s.publish(events(trades(8, 10))...)
	s.redis.Stop(t)
	p := s.run()
	eventually(t, 10*time.Second, "say that Redis is away", func() error {
		p.alive()
		for _, r := range p.log.since(0) {
			if r.text("level") == "WARN" && strings.Contains(r.text("msg"), "redis") {
				return nil
			}
		}
		return fmt.Errorf("no warning about redis")
	})
	s.redis.Restart(t)
	s.settled(20*time.Second, "probe")
	s.onceEach("probe", ids)
	p.ready().stop()
}
