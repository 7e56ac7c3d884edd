package redisstream_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"example.com/fanout/pkg/consumer/consumertest"
	"example.com/fanout/pkg/redisstream"
	"example.com/fanout/pkg/stream"
	"example.com/fanout/pkg/telemetry"
)

// calls is how often the server has been given a command.
func (s *scene) calls(command string) (n int) {
	s.Helper()
	for line := range strings.Lines(s.do("INFO", "commandstats").(string)) {
		if rest, ok := strings.CutPrefix(line, "cmdstat_"+command+":calls="); ok {
			_, _ = fmt.Sscanf(rest, "%d", &n)
		}
	}
	return n
}

func (s *scene) pendingOf() int64 {
	s.Helper()
	return s.do("XPENDING", key, group).([]any)[0].(int64)
}

// Many entries go with plain XACKs, from the second time on; few do not.
func TestAckPlainly(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	src := s.source("a")
	s.add(1, 700)
	for i, n := range []int{200, 200, 200, 100} {
		ids := s.take(src, n)
		if acked, err := src.Ack(t.Context(), ids[:1], ids); err != nil || acked != n {
			t.Fatalf("acknowledged %d, %v, want %d", acked, err, n)
		}
		if got, want := s.calls("exec"), min(i, 2); got != want {
			t.Errorf("after %d rounds %d transactions, want %d", i+1, got, want)
		}
	}
	if n := s.pendingOf(); n != 0 {
		t.Errorf("%d are pending", n)
	}
}

// A connection that Redis has closed while it was not used is made anew, and no
// acknowledgement fails for it.
func TestAckAfterRest(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	src := s.source("a")
	s.add(1, 3)
	for round := range 3 {
		ids := s.take(src, 1)
		if acked, err := src.Ack(t.Context(), ids, ids); err != nil || acked != 1 {
			t.Fatalf("round %d: acknowledged %d, %v, want 1", round, acked, err)
		}
		made := 0
		for line := range strings.Lines(s.do("CLIENT", "LIST").(string)) {
			if !strings.Contains(line, " name=fanout:acks ") {
				continue
			}
			made++
			if round == 1 { // the first one rests and is used again
				s.do("CLIENT", "KILL", "ID", strings.TrimPrefix(strings.Fields(line)[0], "id="))
			}
		}
		if want := min(round, 1); made != want { // the first time the library brings the script
			t.Errorf("round %d: %d connections to acknowledge on, want %d", round, made, want)
		}
		s.client.RestAckLines()
	}
}

// A transaction acknowledges nothing when entries were taken over, or the group
// was made or moved, between the look and itself.
func TestAckPlainlyGivesWay(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		between func(s *scene, g *redisstream.Group, ids []stream.ID)
		acked   bool
	}{
		"nothing": {func(*scene, *redisstream.Group, []stream.ID) {}, true},
		"entries are added and read": {func(s *scene, g *redisstream.Group, _ []stream.ID) {
			s.do("XADD", key, "*", "event", "{}")
			_ = s.take(s.open(g.Source("b", g.Epoch())), 1)
		}, true},
		"a claim that finds nothing": {func(s *scene, g *redisstream.Group, _ []stream.ID) {
			s.claim(g, time.Hour, 0)
		}, true},
		"a claim": {func(s *scene, g *redisstream.Group, ids []stream.ID) {
			s.do("XCLAIM", key, group, "a-0", "0", ids[2].String(), "IDLE", "100000", "JUSTID")
			s.claim(g, time.Minute, 1)
		}, false},
		"the group is made anew": {func(s *scene, g *redisstream.Group, _ []stream.ID) {
			s.do("XGROUP", "DESTROY", key, group)
			ensure(s.T, g)
		}, false},
		"the group is moved": {func(s *scene, g *redisstream.Group, ids []stream.ID) {
			m := redisstream.Move{From: ids[9], To: ids[4], Read: 5, Resting: "a-"}
			if err := g.Seek(s.Context(), m); err != nil {
				s.Fatal(err)
			}
		}, false},
		"all is flushed": {func(s *scene, _ *redisstream.Group, _ []stream.ID) { s.do("FLUSHALL") }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			g := s.group(redisstream.Start{})
			ensure(t, g)
			src := s.open(g.Source("a-0", g.Epoch()))
			s.add(1, 10)
			ids := s.take(src, 10)
			s.do("SET", "{events}:fanout:untaken:g", "1")
			acked, done, err := src.AckPlainly(t.Context(), ids[:1], ids, func() { c.between(s, g, ids) })
			if err != nil || done != c.acked {
				t.Fatalf("done %v, %v, want %v", done, err, c.acked)
			}
			if want := 10; c.acked && acked != want || !c.acked && acked != 0 {
				t.Errorf("%d are acknowledged", acked)
			}
		})
	}
}

// claim takes over what has been idle for that long, which are n.
func (s *scene) claim(g *redisstream.Group, idle time.Duration, n int) {
	s.Helper()
	page, err := s.open(g.Source("b", g.Epoch())).Claim(s.Context(), stream.ID{}, idle, 100)
	if err != nil || len(page.Deliveries) != n {
		s.Fatalf("claimed %d, %v, want %d", len(page.Deliveries), err, n)
	}
}

// What is not ours any more at the first look stays where it is.
func TestAckPlainlyLooksFirst(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.client.AckPlainlyFrom(1)
	g := s.group(redisstream.Start{})
	ensure(t, g)
	a, b := s.open(g.Source("a", g.Epoch())), s.open(g.Source("b", g.Epoch()))
	s.add(1, 6)
	ids := s.take(a, 3)
	if n, err := a.Ack(t.Context(), ids[:1], ids[:1]); n != 1 || err != nil { // makes the key
		t.Fatal(n, err)
	}
	s.do("XCLAIM", key, group, "b", "0", ids[1].String(), "JUSTID") // by hand: it deletes no key
	if n, err := a.Ack(t.Context(), ids[1:2], ids[1:]); n != 1 || err != nil {
		t.Errorf("acknowledged %d, %v, want the one that is ours", n, err)
	}
	if n := s.pendingOf(); n != 1 {
		t.Errorf("%d are pending, want 1", n)
	}
	if n := s.calls("exec"); n != 0 {
		t.Errorf("%d transactions, want none", n)
	}
	if _, err := b.Ack(t.Context(), ids[1:2], ids[1:2]); err != nil {
		t.Fatal(err)
	}
	if n := s.pendingOf(); n != 0 {
		t.Errorf("%d are pending, want none", n)
	}
}

// A user who may not watch keys acknowledges all the same.
func TestAckPlainlyNotAllowed(t *testing.T) {
	t.Parallel()
	for _, denied := range []string{"-watch", "-multi", "-exec", "-setnx", "-discard"} {
		t.Run(denied, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			s.do("ACL", "SETUSER", "u", "on", ">pw", "~*", "+@all", denied)
			c := openConfig(t, redisstream.Config{URL: telemetry.Secret(s.server.URL()), Username: "u", Password: "pw"})
			c.AckPlainlyFrom(1)
			g := c.Group(config())
			ensure(t, g)
			src := s.open(g.Source("a", g.Epoch()))
			s.add(1, 9)
			for range 3 {
				ids := s.take(src, 3)
				if n, err := src.Ack(t.Context(), ids[:1], ids); n != 3 || err != nil {
					t.Fatalf("acknowledged %d, %v", n, err)
				}
			}
		})
	}
}

// All that the engine relies on holds of plain acknowledgements, too.
func TestSuitePlainly(t *testing.T) {
	t.Parallel()
	consumertest.TestSource(t, func(t *testing.T) consumertest.Rig {
		s := newScene(t)
		s.client.AckPlainlyFrom(1)
		s.do("SET", "{events}:fanout:untaken:g", "1")
		return newRig(t, s.client, s.server.Client())
	})
}
