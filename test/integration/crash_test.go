package integration

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"example.com/fanout/test/integration/faulty"
)

// A process that is killed in the middle of a burst, again and again, costs
// nothing: the stores are exact in the end, and the next process does not wait
// for claim.min_idle, which is a minute here.
func TestKilledInBurst(t *testing.T) {
	t.Parallel()
	const kills = 3
	all := trades(3, 12_000)
	s := newSite(t).manifest(rowsGroup + minutesGroup)
	ids := s.publish(events(all[:6000])...)
	published := make(chan struct{})
	go func() {
		defer close(published)
		for rest := events(all[6000:]); len(rest) > 0; rest = rest[50:] {
			for _, event := range rest[:50] {
				ids = append(ids, s.add("*", "event", event))
			}
		}
	}()
	for i := range kills {
		p := s.run()
		eventually(t, 20*time.Second, "handle a part", func() error {
			g, err := s.group("rows")
			if err != nil {
				return err
			}
			if g.EntriesRead < int64(2000*(i+1)) {
				return fmt.Errorf("read %d", g.EntriesRead)
			}
			return nil
		})
		p.kill()
		if g, err := s.group("rows"); err != nil || g.EntriesRead >= int64(len(all)) {
			t.Fatalf("the burst was over before kill %d (%+v, %v)", i+1, g, err)
		}
	}
	last := s.run()
	<-published
	s.settled(30*time.Second, "rows", "minutes")
	last.stop()

	s.sameTrades("rows.db", all)
	s.sameMinutes("minutes.db", "minutes", "minutes", all, ids)
	noLetters(t, s, "rows", "minutes")
}

// An entry that kills the process in one of three groups is buried after
// max_deliveries crashes. No other entry is, in any group.
func TestKillerEntryIsBuriedAlone(t *testing.T) {
	t.Parallel()
	const deliveries = 10 // the default of max_deliveries
	groups := []string{"a", "b", "c"}
	var manifest string
	for _, g := range groups {
		manifest += faultyGroup(g, "batch: {size: 8}")
	}
	s := newSite(t).manifest(manifest)
	all := events(trades(10, 60))
	all[30] = `{"trade_id": 30, "killer": true}`
	ids := s.publish(all...)
	s.board.Steer("b", func(c faulty.Call) faulty.Verdict {
		for _, d := range c.Deliveries {
			if bytes.Contains(d.Event, []byte("killer")) {
				return faulty.Verdict{Act: faulty.Crash}
			}
		}
		return faulty.Verdict{}
	})

	crashes := 0
	for {
		p := s.run()
		eventually(t, 30*time.Second, "crash or finish", func() error {
			if p.hasEnded() || s.isSettled(groups...) == nil {
				return nil
			}
			return fmt.Errorf("after %d crashes: %w", crashes, s.isSettled(groups...))
		})
		if !p.hasEnded() {
			p.stop()
			break
		}
		if crashes++; crashes > deliveries {
			t.Fatalf("crashed %d times", crashes)
		}
	}
	if crashes != deliveries {
		t.Errorf("%d crashes before the entry was buried, want %d", crashes, deliveries)
	}
	letters := s.letters("b")
	if l, ok := letters[ids[30]]; !ok || len(letters) != 1 {
		t.Errorf("b buried %v, want %s alone", letters, ids[30])
	} else if l.Stage != "crash" || l.Deliveries != deliveries {
		t.Errorf("the letter says stage %q after %d deliveries, want crash after %d", l.Stage, l.Deliveries, deliveries)
	}
	noLetters(t, s, "a", "c")
	s.all("a", ids)
	s.all("c", ids)
	s.all("b", append(ids[:30:30], ids[31:]...))
}

// Processes that die while a sink is down tell nothing against the entries that
// wait for it.
func TestKilledInOutage(t *testing.T) {
	t.Parallel()
	const deliveries = 3
	all := events(trades(11, 40))
	s := newSite(t).manifest(faultyGroup("probe", fmt.Sprintf("max_deliveries: %d", deliveries), "batch: {size: 8}"))
	s.board.Steer("probe", func(faulty.Call) faulty.Verdict { return faulty.Verdict{Act: faulty.Unavailable} })
	ids := s.publish(all...)
	counts := map[string]int64{} // before the process
	for range 2 * deliveries {
		p := s.run()
		eventually(t, 20*time.Second, "find the sink down, and note that in Redis", func() error {
			g, err := p.groupStatus("probe")
			if err == nil && g.Breaker == nil {
				err = errors.New("the sink is up")
			}
			if err != nil {
				return err
			}
			for _, e := range s.pendingList("probe") {
				if e.RetryCount > max(counts[e.ID], 1) {
					return fmt.Errorf("%s has been delivered %d times, before this process %d", e.ID, e.RetryCount, counts[e.ID])
				}
			}
			return nil
		})
		p.kill()
		for _, e := range s.pendingList("probe") {
			counts[e.ID] = e.RetryCount
		}
	}
	s.board.Steer("probe", nil)
	p := s.run()
	s.settled(20*time.Second, "probe")
	p.stop()
	noLetters(t, s, "probe")
	for i, n := range s.board.Times("probe") {
		if n != 1 {
			t.Errorf("%s was handled %d times", i, n)
		}
	}
	if n := len(s.board.Times("probe")); n != len(ids) {
		t.Errorf("%d of %d were handled", n, len(ids))
	}
}
