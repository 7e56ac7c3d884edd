package integration

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"example.com/fanout/test/integration/faulty"
)

// doctor examines what a manifest has in Redis: before a group has run, after it
// was stopped in the midst of its work, and when Redis is away.
func TestDoctor(t *testing.T) {
	t.Parallel()
	s := newSite(t).manifest(faultyGroup("a", "consumers: 1"))
	examine := func(code int, parts ...string) {
		t.Helper()
		stdout, stderr, got := commandAt(s, "127.0.0.1:1", "doctor")
		text := strings.Join(strings.Fields(stdout), " ")
		for _, part := range parts {
			if got != code || !strings.Contains(text, part) {
				t.Errorf("doctor ended with %d, want %d and %q:\n%s%s", got, code, part, stdout, stderr)
			}
		}
	}
	examine(0, "ok server redis 7", "warn persistence ", "ok rights ", "ok group a: is not in Redis yet", "ok orphans none", "warnings")

	s.board.Steer("a", func(faulty.Call) faulty.Verdict { return faulty.Verdict{Hold: faulty.Never} })
	p := s.run("--instance", "host").ready()
	s.publish(events(trades(1, 7))...)
	eventually(t, 10*time.Second, "hold entries", func() error {
		if len(s.pending("a")) != 7 {
			return errors.New("not all are pending")
		}
		return nil
	})
	p.stop()
	examine(0, "ok orphans a: host-0 gave back 7 entries when it ended")

	stdout, _, code := commandAt(s, "127.0.0.1:1", "doctor", "-o", "json")
	var answer struct {
		OK       bool `json:"ok"`
		Findings []struct{ Level, Check, What string }
	}
	if err := json.Unmarshal([]byte(stdout), &answer); err != nil || code != 0 || !answer.OK || len(answer.Findings) < 10 {
		t.Errorf("as JSON it ended with %d, %v:\n%s", code, err, stdout)
	}
	s.redis.Stop(t)
	examine(1, "nothing listens at the address", "1 failure")
}
