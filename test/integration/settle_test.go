package integration

import (
	"bytes"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.com/fanout/test/integration/faulty"
)

// poison is an event that buries makes permanent errors of.
const poison = `{"trade_id": 0, "poison": true}`

// buries fails for good each delivery of a poisonous event.
func buries(c faulty.Call) faulty.Verdict {
	var only []int
	for i, d := range c.Deliveries {
		if bytes.Contains(d.Event, []byte("poison")) {
			only = append(only, i)
		}
	}
	if len(only) == 0 {
		return faulty.Verdict{}
	}
	return faulty.Verdict{Act: faulty.Permanent, Only: only}
}

// A dead letter that cannot be written leaves its entry pending until it can,
// and holds up no other entry.
func TestDeadLetterKeyOfWrongType(t *testing.T) {
	t.Parallel()
	s := newSite(t).manifest(faultyGroup("probe"))
	s.board.Steer("probe", buries)
	s.redis.Do(t, "SET", deadLetters("probe"), "not a stream")
	p := s.run().ready()

	all := events(trades(12, 200))
	before := s.publish(all[:100]...)
	bad := s.publish(poison)[0]
	after := s.publish(all[100:]...)
	s.onlyPending("probe", bad)
	eventually(t, 10*time.Second, "say what is wrong with the dead letters", func() error {
		for _, r := range p.log.since(0) {
			if r.text("group") == "probe" && strings.Contains(r.text("error"), "WRONGTYPE") {
				return nil
			}
		}
		return fmt.Errorf("no line of the group says WRONGTYPE")
	})
	p.alive()

	s.redis.Do(t, "DEL", deadLetters("probe"))
	if _, ok := s.buried(20*time.Second, "probe", 1)[bad]; !ok {
		t.Errorf("%s was not buried", bad)
	}
	s.settled(10*time.Second, "probe")
	s.onceEach("probe", append(before, after...))
	p.stop()
}

// With Redis out of memory entries are still handled and acknowledged; a dead
// letter waits for room.
func TestRedisOutOfMemory(t *testing.T) {
	t.Parallel()
	s := newSite(t).manifest(faultyGroup("probe"))
	full := make(chan struct{})
	s.board.Steer("probe", func(c faulty.Call) faulty.Verdict {
		v := buries(c)
		v.Hold, v.Deaf = full, true
		return v
	})
	p := s.run().ready()
	all := events(trades(12, 600))
	ids := s.publish(all[:300]...)
	bad := s.publish(poison)[0]
	ids = append(ids, s.publish(all[300:]...)...)
	eventually(t, 10*time.Second, "call the handler", func() error {
		if s.board.Waiting("probe") == 0 {
			return fmt.Errorf("no call")
		}
		return nil
	})
	s.redis.Do(t, "CONFIG", "SET", "maxmemory-policy", "noeviction")
	s.redis.Do(t, "CONFIG", "SET", "maxmemory", "1")
	close(full)
	s.onlyPending("probe", bad)
	p.alive()

	s.redis.Do(t, "CONFIG", "SET", "maxmemory", "0")
	if _, ok := s.buried(20*time.Second, "probe", 1)[bad]; !ok {
		t.Errorf("%s was not buried", bad)
	}
	s.settled(10*time.Second, "probe")
	s.onceEach("probe", ids)
	p.stop()
}

// A process that sleeps beyond claim.min_idle loses its entries to another
// one. When it wakes up it does not acknowledge what is not its own any more.
func TestProcessThatSleeps(t *testing.T) {
	t.Parallel()
	s := newSite(t).manifest(
		faultyGroup("probe", "batch: {size: 5}", "claim: {min_idle: 2s, interval: 200ms}"))
	sleeper, other := s.run("--instance", "sleeper").ready(), s.run("--instance", "other").ready()
	wake, finish := make(chan struct{}), make(chan struct{})
	s.board.Steer("probe", func(c faulty.Call) faulty.Verdict {
		if c.PID == sleeper.pid() {
			return faulty.Verdict{Hold: wake, Deaf: true}
		}
		return faulty.Verdict{}
	})
	ids := s.publish(events(trades(12, 100))...)
	owners := func() map[string]int {
		n := map[string]int{}
		for _, owner := range s.pending("probe") {
			n[strings.Split(owner, "-")[0]]++
		}
		return n
	}
	eventually(t, 10*time.Second, "hold entries in one process alone", func() error {
		if o := owners(); o["sleeper"] == 0 || o["other"] > 0 || s.hasReadAll("probe") != nil {
			return fmt.Errorf("pending by owner: %v", o)
		}
		return nil
	})
	sleeper.signal(syscall.SIGSTOP)
	s.board.Steer("probe", func(faulty.Call) faulty.Verdict { return faulty.Verdict{Hold: finish, Deaf: true} })
	taken := map[string]string{} // what the other process has claimed, by ID
	eventually(t, 20*time.Second, "claim what the sleeper holds", func() error {
		for id, owner := range s.pending("probe") {
			if strings.HasPrefix(owner, "other-") {
				taken[id] = owner
			}
		}
		if len(taken) == 0 {
			return fmt.Errorf("pending by owner: %v", owners())
		}
		return nil
	})

	close(wake) // its calls will end well, for entries that it has lost too
	sleeper.signal(syscall.SIGCONT)
	lost := func(n int) { sleeper.above(float64(n-1), "fanout_lease_lost_total", `group="probe"`) }
	lost(1)
	now := s.pending("probe")
	for id, owner := range taken {
		if now[id] != owner {
			t.Errorf("%s was pending with %s and is with %q", id, owner, now[id])
		}
	}
	close(finish)
	s.settled(20*time.Second, "probe")
	s.all("probe", ids)
	lost(len(taken))
	sleeper.stop()
	other.stop()
}

// hasReadAll says whether the group has read the whole stream, whatever is
// pending.
func (s *site) hasReadAll(group string) error {
	g, err := s.group(group)
	if err != nil {
		return err
	}
	if g.Lag != 0 {
		return fmt.Errorf("%d entries to read", g.Lag)
	}
	return nil
}

// onlyPending waits until one entry alone is left pending in a group that has
// read the whole stream.
func (s *site) onlyPending(group, id string) {
	s.t.Helper()
	eventually(s.t, 20*time.Second, "settle all but one", func() error {
		if err := s.hasReadAll(group); err != nil {
			return err
		}
		pending := s.pending(group)
		if _, ok := pending[id]; !ok {
			s.t.Fatalf("%s is not pending", id)
		}
		if len(pending) > 1 {
			return fmt.Errorf("%d pending", len(pending))
		}
		return nil
	})
}

// A handler that takes three times as long as claim.min_idle runs once, in one
// process: what it works on is touched all the time.
func TestSlowHandlerRunsOnce(t *testing.T) {
	t.Parallel()
	const minIdle = time.Second
	s := newSite(t).manifest(faultyGroup("probe",
		"timeout: 900ms", "batch: {size: 5}", fmt.Sprintf("claim: {min_idle: %v, interval: 100ms}", minIdle)))
	s.board.Steer("probe", func(faulty.Call) faulty.Verdict {
		done := make(chan struct{})
		time.AfterFunc(3*minIdle, func() { close(done) })
		return faulty.Verdict{Hold: done, Deaf: true}
	})
	a, b := s.run("--instance", "a").ready(), s.run("--instance", "b").ready()
	ids := s.publish(events(trades(27, 40))...)
	s.settled(60*time.Second, "probe")
	s.onceEach("probe", ids)
	noLetters(t, s, "probe")
	a.stop()
	b.stop()
}
