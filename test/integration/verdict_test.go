package integration

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/fanout/pkg/telemetry"
	"example.com/fanout/test/integration/faulty"
)

// verdict waits until the verdict on a group is the wanted one and its reason
// has that part.
func (p *process) verdict(within time.Duration, group, code, why string) {
	p.t.Helper()
	eventually(p.t, within, "call "+group+" "+code, func() error {
		g, err := p.groupStatus(group)
		if err != nil {
			return err
		}
		v := g.Verdict
		if v.Code != code || !strings.Contains(v.Why, why) || v.Since.IsZero() || (v.Do == "") != (code == telemetry.VerdictOK) {
			return fmt.Errorf("it is %+v", v)
		}
		return nil
	})
}

// addTo appends n events to a stream.
func (s *site) addTo(stream string, n int) {
	s.t.Helper()
	_, err := s.rdb.Pipelined(context.Background(), func(p redis.Pipeliner) error {
		for i := range n {
			p.XAdd(context.Background(), &redis.XAddArgs{Stream: stream, Values: []string{"event", fmt.Sprintf(`{"trade_id":%d}`, i)}})
		}
		return nil
	})
	if err != nil {
		s.t.Fatalf("publish: %v", err)
	}
}

// One group is put into each verdict on purpose, all in one process.
func TestVerdicts(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.manifest(faultyGroup("quiet", "stream: quiet") +
		faultyGroup("busy", "stream: busy") +
		faultyGroup("down", "stream: busy") +
		faultyGroup("hangs", "stream: busy", "timeout: 10m", "claim: {min_idle: 20m}") +
		faultyGroup("slow", "stream: busy", "consumers: 1", "batch: {size: 1}") +
		faultyGroup("rests", "stream: busy") +
		faultyGroup("loses", "stream: cut") +
		"  fails:\n    stream: busy\n    restart: {intensity: 1}\n    handler: {sql: {dsn: \"sqlite:" + s.path("board") + "/no/x.db\", table: t, columns: {trade_id: trade_id}}}\n")
	s.board.Tell("down", faulty.Verdict{Act: faulty.Unavailable})
	s.board.Tell("loses", faulty.Verdict{Act: faulty.Unavailable})
	s.board.Tell("hangs", faulty.Verdict{Hold: faulty.Never})
	s.board.Steer("slow", func(faulty.Call) faulty.Verdict {
		done := make(chan struct{})
		time.AfterFunc(50*time.Millisecond, func() { close(done) })
		return faulty.Verdict{Hold: done}
	})
	s.addTo("quiet", 1)
	s.addTo("busy", 100)
	s.addTo("cut", 1000)
	p := s.run()
	p.verdict(20*time.Second, "loses", telemetry.VerdictSinkDown, "sink unavailable")
	flowing, stop := context.WithCancel(context.Background())
	flown := make(chan struct{})
	go func() {
		defer close(flown)
		for tick := time.NewTicker(100 * time.Millisecond); flowing.Err() == nil; <-tick.C {
			for range 10 {
				_ = s.rdb.XAdd(context.Background(), &redis.XAddArgs{Stream: "busy", Values: []string{"event", "{}"}}).Err()
			}
		}
	}()
	defer func() { stop(); <-flown }()
	if err := s.rdb.XTrimMaxLen(context.Background(), "cut", 100).Err(); err != nil {
		t.Fatal(err)
	}
	if _, stderr, code := command(t, s, "pause", "rests", "--admin", p.admin); code != 0 {
		t.Fatalf("pause ended with %d: %s", code, stderr)
	}

	p.verdict(20*time.Second, "rests", telemetry.VerdictStopped, "paused by ")
	p.verdict(20*time.Second, "loses", telemetry.VerdictSinkDown, " lost (trimmed) ")
	s.board.Steer("loses", nil)
	p.verdict(60*time.Second, "loses", telemetry.VerdictLosing, " lost (trimmed) ")
	p.verdict(20*time.Second, "down", telemetry.VerdictSinkDown, "told to unavailable")
	p.verdict(20*time.Second, "fails", telemetry.VerdictTripped, "build handler sql")
	p.verdict(90*time.Second, "hangs", telemetry.VerdictStalled, "nothing moves although ")
	p.verdict(90*time.Second, "slow", telemetry.VerdictLagging, "falls behind: ")
	p.verdict(20*time.Second, "busy", telemetry.VerdictOK, "")
	p.verdict(20*time.Second, "quiet", telemetry.VerdictOK, "nothing waits")

	// Scripts, people and monitoring are told the same.
	stdout, _, code := command(t, s, "status", "--check", "--admin", p.admin)
	if code != 1 || !strings.Contains(stdout, "LAGGING slow: ") || strings.Contains(stdout, "quiet") || strings.Contains(stdout, "busy") {
		t.Errorf("status --check ended with %d:\n%s", code, stdout)
	}
	if _, _, code := command(t, s, "status", "--check", "quiet", "--admin", p.admin); code != 0 {
		t.Errorf("status --check of a quiet group ended with %d", code)
	}
	if _, _, code := command(t, s, "status", "--check", "down", "--admin", p.admin); code != 2 {
		t.Errorf("status --check of a group whose sink is down ended with %d", code)
	}
	for group, verdict := range map[string]string{"slow": "lagging", "quiet": "ok", "fails": "tripped"} {
		labels := []string{fmt.Sprintf("group=%q", group), fmt.Sprintf("verdict=%q", verdict)}
		if got := p.metric("fanout_group_verdict", labels...); got != 1 {
			t.Errorf("the metric of %v is %v", labels, got)
		}
	}
	if g, err := p.groupStatus("slow"); err != nil || g.Backlog == nil || *g.Backlog < 100 || g.Rates.TenSeconds.Settled == nil ||
		*g.Rates.OneMinute.Added < 20 || g.DrainSeconds != nil || len(g.BacklogHistory) < 25 || !strings.HasPrefix(g.Server, "redis 7") {
		t.Errorf("what is known of slow: %+v, %v", g, err)
	}
	if g, err := p.groupStatus("down"); err != nil || g.Breaker == nil || !strings.Contains(g.Breaker.Error, "told to unavailable") || g.Breaker.Next == nil {
		t.Errorf("what is known of down: %+v, %v", g, err)
	}
	if g, err := p.groupStatus("fails"); err != nil || len(g.LatestRestarts) == 0 || g.LatestRestarts[0].Cause != "failed" || !strings.Contains(g.LatestRestarts[0].Error, "build handler") {
		t.Errorf("what is known of fails: %+v, %v", g, err)
	}
	g, err := p.groupStatus("hangs")
	if err != nil || len(g.Consumers) < 2 || g.Consumers[0].Connection == nil || g.Consumers[0].Pending == nil {
		t.Fatalf("what is known of hangs: %+v, %v", g, err)
	}
	if name := s.connections("hangs")[fmt.Sprint(g.Consumers[0].Connection.ID)]; name != "fanout:hangs:"+g.Consumers[0].Name {
		t.Errorf("client %d is %q in redis, not %s", g.Consumers[0].Connection.ID, name, g.Consumers[0].Name)
	}

	// What is mended is OK again, and the feed has told it all.
	s.board.Steer("slow", nil)
	s.board.Steer("down", nil)
	p.verdict(60*time.Second, "down", telemetry.VerdictOK, "")
	p.verdict(90*time.Second, "slow", telemetry.VerdictOK, "")
	if _, stderr, code := command(t, s, "resume", "rests", "--admin", p.admin); code != 0 {
		t.Fatalf("resume ended with %d: %s", code, stderr)
	}
	p.verdict(20*time.Second, "rests", telemetry.VerdictOK, "")
	eventually(t, 20*time.Second, "tell the whole story", func() error {
		stdout, _, _ = command(t, s, "events", "--admin", p.admin)
		for _, want := range []string{
			" down sink-down ", " down sink-up ", " slow verdict LAGGING: ", " slow verdict OK: ", " loses loss ",
			" fails restart ", " fails state tripped, was ", " rests state paused, was ", " rests verdict OK", " hangs verdict STALLED: ",
		} {
			if !strings.Contains(stdout, want) {
				return fmt.Errorf("no %q in\n%s", want, stdout)
			}
		}
		return nil
	})
	for _, never := range []string{
		" rests verdict STALLED", " rests verdict LAGGING", " down verdict STALLED", " quiet verdict ", " busy verdict ", " slow verdict STALLED",
	} {
		if strings.Contains(stdout, never) {
			t.Errorf("the events tell %q:\n%s", never, stdout)
		}
	}
}
