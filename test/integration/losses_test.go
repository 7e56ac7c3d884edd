package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/fanout/pkg/admin"
	"example.com/fanout/test/integration/faulty"
)

// lossLines are the lines that tell of losses of a group.
func lossLines(group string, processes ...*process) []record {
	var all []record
	for _, p := range processes {
		for _, r := range p.log.since(0) {
			if r.text("level") == "ERROR" && r.text("group") == group && r.text("reason") != "" {
				all = append(all, r)
			}
		}
	}
	return all
}

// loses waits until one of the processes has told of a loss with these
// attributes.
func loses(t *testing.T, group string, want record, processes ...*process) {
	t.Helper()
	eventually(t, 10*time.Second, fmt.Sprintf("tell of the loss %v", want), func() error {
		lines := lossLines(group, processes...)
		if slices.ContainsFunc(lines, func(got record) bool {
			for k, v := range want {
				if got.text(k) != fmt.Sprint(v) {
					return false
				}
			}
			return true
		}) {
			return nil
		}
		return fmt.Errorf("%d others: %v", len(lines), lines)
	})
}

// groupStatus is a group as the admin server of a process shows it.
func (p *process) groupStatus(name string) (admin.GroupStatus, error) {
	var g admin.GroupStatus
	resp, err := http.Get("http://" + p.admin + "/v1/groups/" + name)
	if err != nil {
		return g, err
	}
	defer resp.Body.Close()
	return g, json.NewDecoder(resp.Body).Decode(&g)
}

// What Redis loses is told once by one of two processes, also what it lost while
// none ran; it is counted, shown with its range, and a reason not to be ready,
// for processes that start later too.
func TestLossesAreTold(t *testing.T) {
	t.Parallel()
	s := newSite(t).manifest(faultyGroup("probe", "consumers: 1", "batch: {size: 1}", "timeout: 50s"))
	hold := make(chan struct{})
	s.board.Steer("probe", func(faulty.Call) faulty.Verdict { return faulty.Verdict{Hold: hold} })
	for i := 1; i <= 40; i++ {
		s.add(fmt.Sprintf("%d-0", i), "event", `{"n":1}`)
	}
	a, b := s.run("--instance", "a").ready(), s.run("--instance", "b").ready()
	// Each consumer holds three entries and takes no more. All have been looked at.
	eventually(t, 10*time.Second, "fill both processes", func() error {
		at, err := s.rdb.HGet(context.Background(), "{"+eventsStream+"}:fanout:losses:probe", "at").Result()
		if err != nil || at != "6-0" || len(s.pending("probe")) != 6 {
			return fmt.Errorf("looked at %s, %v, pending %v", at, err, s.pending("probe"))
		}
		return nil
	})
	s.redis.Do(t, "XDEL", eventsStream, "30-0", "31-0")
	loses(t, "probe", record{"msg": "entries lost", "reason": "deleted", "stream": eventsStream, "entries": 2, "first": "6-1", "last": "31-0"}, a, b)
	s.redis.Do(t, "XTRIM", eventsStream, "MINID", "21-0")
	loses(t, "probe", record{"msg": "entries lost", "reason": "trimmed", "entries": 14, "first": "6-1", "last": "31-0"}, a, b)
	eventually(t, 5*time.Second, "not be ready", func() error {
		g, err := b.groupStatus("probe")
		if err == nil && (len(g.Losses) != 2 || !strings.Contains(strings.Join(g.NotReady(), "\n"), "14 entries lost (trimmed) from 6-1 to 31-0")) {
			err = fmt.Errorf("losses %v, reasons %q", g.Losses, g.NotReady())
		}
		return err
	})
	trimmed := func(p *process) float64 {
		return p.metric("fanout_entries_lost_total", `group="probe"`, `reason="trimmed"`)
	}
	if got := trimmed(a) + trimmed(b); got != 14 {
		t.Errorf("%v counted as trimmed, want 14", got)
	}

	// While no process runs more is lost.
	a.kill()
	b.stop()
	s.redis.Do(t, "XTRIM", eventsStream, "MINID", "26-0")
	s.board.Steer("probe", nil)
	close(hold)
	c := s.run("--instance", "a")
	loses(t, "probe", record{"msg": "entries lost", "reason": "trimmed", "entries": 5, "first": "6-1", "last": "31-0"}, a, b, c)
	g, err := c.groupStatus("probe")
	if err != nil || len(g.Losses) < 3 || len(g.NotReady()) < 3 {
		t.Errorf("losses %v, reasons %q, %v", g.Losses, g.NotReady(), err)
	}
	out, _, _ := command(t, s, "status", "probe", "--admin", c.admin)
	for _, want := range []string{"trimmed: 5 entries, 6-1 to 31-0", "deleted: 2 entries, 6-1 to 31-0"} {
		if !strings.Contains(out, want) {
			t.Errorf("status does not say %q:\n%s", want, out)
		}
	}

	// What was pending and went with the trims is told too, and nothing twice.
	s.settled(20*time.Second, "probe")
	byReason, entries := map[string]int{}, 0
	eventually(t, 10*time.Second, "tell of what was pending", func() error {
		byReason, entries = map[string]int{}, 0
		for _, r := range lossLines("probe", a, b, c) {
			if r.text("note") == "they were pending" {
				n, _ := r["entries"].(float64)
				entries += int(n)
			} else {
				byReason[r.text("reason")]++
			}
		}
		if entries < 6 {
			return fmt.Errorf("%d of 6", entries)
		}
		return nil
	})
	if entries != 6 || byReason["trimmed"] != 2 || byReason["deleted"] != 1 || len(byReason) != 2 {
		t.Errorf("%d lost while pending, want 6; lines by reason %v, want 2 of trimmed and 1 of deleted", entries, byReason)
	}
	c.stop()
}

// A group that goes away is created again where it stood: one line says what may
// be gone and what may come again, whichever of the processes is first.
func TestMissingGroupIsTold(t *testing.T) {
	t.Parallel()
	s := newSite(t).manifest(faultyGroup("probe"))
	a, b := s.run("--instance", "a").ready(), s.run("--instance", "b").ready()
	ids := s.publish(events(trades(21, 200))...)
	s.settled(10*time.Second, "probe")
	s.checkpointed("probe", ids[len(ids)-1])

	s.redis.Do(t, "XGROUP", "DESTROY", eventsStream, "probe")
	loses(t, "probe", record{"msg": "group was missing in redis and was created again", "reason": "group_missing", "first": "", "repeats_from": ""}, a, b)
	a.ready()
	b.ready()
	s.redis.Do(t, "DEL", eventsStream)
	loses(t, "probe", record{"reason": "group_missing", "stream": eventsStream, "note": "it stood at " + ids[len(ids)-1] + ", the stream is gone"}, a, b)
	lines := lossLines("probe", a, b)
	for _, r := range lines[:1] {
		if r.text("first") == "" {
			r = lines[1]
		}
		if first := strings.Split(r.text("first"), "-")[0]; !strings.HasPrefix(ids[len(ids)-1], first) || r.text("last") <= r.text("first") {
			t.Errorf("gone from %s to %s, the last entry was %s", r.text("first"), r.text("last"), ids[len(ids)-1])
		}
	}
	more := s.publish(events(trades(22, 200))...)
	s.settled(20*time.Second, "probe")
	s.all("probe", append(ids, more...))
	if n := len(lossLines("probe", a, b)); n != 2 {
		t.Errorf("%d lines at last, want 2", n)
	}
	a.stop()
	b.stop()
}

// With on_missing_group: fail the group waits until somebody makes it, says so
// in one line, and makes no noise meanwhile. The others go on.
func TestMissingGroupIsKept(t *testing.T) {
	t.Parallel()
	s := newSite(t).manifest(faultyGroup("probe", "on_missing_group: fail") + faultyGroup("other"))
	p := s.run().ready()
	ids := s.publish(events(trades(23, 100))...)
	s.settled(10*time.Second, "probe", "other")
	s.checkpointed("probe", ids[99])
	s.redis.Do(t, "XGROUP", "DESTROY", eventsStream, "probe")
	want := "it stood at " + ids[99] + "; create it where it is to go on, such as XGROUP CREATE events_stream probe " + ids[99]
	eventually(t, 10*time.Second, "say that the group is missing", func() error {
		g, err := p.groupStatus("probe")
		if err == nil && !strings.Contains(strings.Join(g.NotReady(), "\n"), want) {
			err = fmt.Errorf("reasons %q", g.NotReady())
		}
		return err
	})
	more := s.publish(events(trades(24, 100))...)
	s.settled(10*time.Second, "other")
	before := s.errorReplies()
	<-time.After(3 * time.Second) // the wait itself is what is tested
	// The other group looks five times a second for replays that are not there.
	if n := s.errorReplies() - before; n > 30 {
		t.Errorf("%d errors of Redis while the group waits", n)
	}
	errors := 0
	for _, r := range p.log.since(0) {
		if r.text("group") == "probe" && r.text("level") == "ERROR" {
			errors++
		}
	}
	if errors != 1 {
		t.Errorf("%d lines at level error, want 1", errors)
	}
	s.redis.Do(t, "XGROUP", "CREATE", eventsStream, "probe", ids[99])
	s.settled(20*time.Second, "probe")
	s.onceEach("probe", append(ids, more...))
	p.ready().stop()
}

// errorReplies is how many errors Redis has answered so far.
func (s *site) errorReplies() (n int) {
	s.t.Helper()
	text, err := s.rdb.Info(context.Background(), "stats").Result()
	if err != nil {
		s.t.Fatalf("ask redis for its statistics: %v", err)
	}
	_, rest, _ := strings.Cut(text, "total_error_replies:")
	if _, err := fmt.Sscan(rest, &n); err != nil {
		s.t.Fatalf("no count of errors in %q", text)
	}
	return n
}

// A seek hides no loss: what a stopped group has lost is told while it is stopped,
// and after the move nothing of it is told again.
func TestSeekHidesNoLoss(t *testing.T) {
	t.Parallel()
	s := newSite(t).manifest(faultyGroup("probe"))
	for i := 1; i <= 10; i++ {
		s.add(fmt.Sprintf("%d-0", i), "event", `{"n":1}`)
	}
	p := s.run().ready()
	s.settled(10*time.Second, "probe")
	p.ask(s, 0, "stop", "probe")
	for i := 11; i <= 40; i++ {
		s.add(fmt.Sprintf("%d-0", i), "event", `{"n":1}`)
	}
	s.redis.Do(t, "XTRIM", eventsStream, "MINID", "16-0")
	loses(t, "probe", record{"msg": "entries lost", "reason": "trimmed", "entries": 5, "first": "10-1"}, p)
	s.redis.Do(t, "XTRIM", eventsStream, "MINID", "21-0")
	p.ask(s, 0, "seek", "probe", "--to", "30-0") // it looks by itself before it moves the group
	s.redis.Do(t, "XDEL", eventsStream, "25-0")
	p.ask(s, 0, "start", "probe")
	s.settled(20*time.Second, "probe")
	loses(t, "probe", record{"msg": "entries lost", "reason": "trimmed", "entries": 5, "first": "10-1"}, p)
	total := 0.0
	for _, r := range lossLines("probe", p) {
		n, _ := r["entries"].(float64)
		total += n
	}
	if total != 10 {
		t.Errorf("%v entries told as lost, want the 10 of the two trims: %v", total, lossLines("probe", p))
	}
	p.stop()
}

// A group that somebody else makes again after FLUSHALL, behind entries that
// nobody has read, is no group of before: that is told, and it goes on.
func TestGroupMadeByOthersIsTold(t *testing.T) {
	t.Parallel()
	s := newSite(t).manifest(faultyGroup("probe"))
	ids := s.publish(events(trades(31, 20))...)
	p := s.run().ready()
	s.settled(10*time.Second, "probe")
	s.checkpointed("probe", ids[19])
	s.redis.Do(t, "EVAL", `redis.call('FLUSHALL')
		for i = 1, 30 do redis.call('XADD', KEYS[1], '*', 'event', '{"n":1}') end
		redis.call('XGROUP', 'CREATE', KEYS[1], 'probe', '$')`, "1", eventsStream)
	loses(t, "probe", record{"level": "ERROR", "reason": "group_missing"}, p)
	later := s.publish(events(trades(32, 20))...)
	s.settled(10*time.Second, "probe")
	times := s.board.Times("probe")
	for _, id := range later {
		if times[id] != 1 {
			t.Errorf("%s was handled %d times", id, times[id])
		}
	}
	p.stop()
}
