package integration

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
)

const retention = "retention:\n  " + eventsStream + ": {max_len: 20, interval: 1s}\n"

func logGroup(name string) string { return "  " + name + ": {handler: {log: {level: none}}}\n" }

// A stream is trimmed by hand to what its groups have settled, whether a
// process runs or not, and a dry run says so before.
func TestTrimByHand(t *testing.T) {
	t.Parallel()
	s := newSite(t).manifest(logGroup("a") + logGroup("b"))
	s.publish(events(trades(1, 150))...)
	if _, errs, code := commandAt(s, "127.0.0.1:0", "trim"); code != 2 || !strings.Contains(errs, "has no retention in groups.yaml") || !strings.Contains(errs, "retention:\n  \"events_stream\": {}") {
		t.Errorf("trim without a retention: exit code %d\n%s", code, errs)
	}
	s.manifest(logGroup("a") + logGroup("b") + retention)
	length := func() any { return s.redis.Do(t, "XLEN", eventsStream) }

	out, errs, code := commandAt(s, "127.0.0.1:0", "trim")
	if code != 1 || !strings.Contains(out, "missing in Redis: a, b") || !strings.Contains(errs, "a group is missing") {
		t.Errorf("trim before the groups were made: exit code %d\n%s%s", code, out, errs)
	}
	if _, errs, code := commandAt(s, "127.0.0.1:0", "run", "--until-caught-up"); code != 0 {
		t.Fatalf("run: exit code %d\n%s", code, errs)
	}
	s.publish(events(trades(2, 50))...)
	s.redis.Do(t, "XREADGROUP", "GROUP", "a", "ghost-0", "COUNT", 10, "STREAMS", eventsStream, ">")

	out, errs, code = commandAt(s, "127.0.0.1:0", "trim", "--dry-run")
	if code != 0 || !strings.Contains(out, "would be trimmed") || !strings.Contains(out, "30 entries more than max_len 20, needed by b, a") {
		t.Errorf("dry run: exit code %d\n%s%s", code, out, errs)
	}
	before := length()
	out, errs, code = commandAt(s, "127.0.0.1:0", "trim", eventsStream, "-o", "json")
	var told struct {
		DryRun  bool `json:"dry_run"`
		Streams []struct {
			Stream  string   `json:"stream"`
			Trimmed int64    `json:"trimmed"`
			Length  int64    `json:"length"`
			HeldBy  []string `json:"held_by"`
			Groups  []struct {
				Group   string `json:"group"`
				Pending int64  `json:"pending"`
			} `json:"groups"`
		} `json:"streams"`
	}
	if err := json.Unmarshal([]byte(out), &told); code != 0 || err != nil || len(told.Streams) != 1 {
		t.Fatalf("trim: exit code %d, %v\n%s%s", code, err, out, errs)
	}
	one := told.Streams[0]
	if told.DryRun || one.Stream != eventsStream || one.Length != 50 || one.Trimmed != before.(int64)-50 || length() != int64(50) {
		t.Errorf("trimmed %+v, %v of %v are left", one, length(), before)
	}
	if len(one.HeldBy) != 2 || len(one.Groups) != 2 || one.Groups[0].Pending+one.Groups[1].Pending != 10 {
		t.Errorf("held by %+v", one)
	}
	if _, errs, code := commandAt(s, "127.0.0.1:0", "trim", "elsewhere"); code != 2 || !strings.Contains(errs, "no group reads elsewhere") {
		t.Errorf("trim of a stream that nobody reads: exit code %d\n%s", code, errs)
	}
}

// What holds entries back and belongs to nobody is listed, and a running
// process does not touch it.
func TestOrphansAreListed(t *testing.T) {
	t.Parallel()
	s := newSite(t).manifest(logGroup("a") + retention)
	if out, errs, code := commandAt(s, "127.0.0.1:0", "orphans"); code != 0 || !strings.Contains(out, "nothing in Redis is without an owner") {
		t.Errorf("without any: exit code %d\n%s%s", code, out, errs)
	}
	s.publish(events(trades(1, 40))...)
	s.redis.Do(t, "XGROUP", "CREATE", eventsStream, "left", "0", "ENTRIESREAD", 0)
	s.redis.Do(t, "XREADGROUP", "GROUP", "left", "x", "COUNT", 3, "STREAMS", eventsStream, ">")
	s.redis.Do(t, "XGROUP", "CREATE", eventsStream, "a", "0", "ENTRIESREAD", 0)
	s.redis.Do(t, "XREADGROUP", "GROUP", "a", "ghost-0", "COUNT", 4, "STREAMS", eventsStream, ">")

	p := s.run().ready()
	eventually(t, 20*time.Second, "say that the bound is exceeded", func() error {
		for _, r := range p.log.since(0) {
			if r.text("msg") == "stream exceeds its bounds" && strings.Contains(r.text("error"), "left") {
				return nil
			}
		}
		return errors.New("not yet")
	})
	if n := p.metric("fanout_retention_held", `reason="needed"`); n != 1 {
		t.Errorf("fanout_retention_held is %v, want 1", n)
	}
	p.stop()
	if n := s.redis.Do(t, "XLEN", eventsStream); n != int64(40) {
		t.Errorf("%v entries are left, want 40", n)
	}

	out, errs, code := commandAt(s, "127.0.0.1:0", "orphans")
	if code != 0 {
		t.Fatalf("orphans: exit code %d\n%s", code, errs)
	}
	for _, want := range []string{"1 group that groups.yaml does not name", "left", "1 consumer left entries behind", "ghost-0"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	out, _, _ = commandAt(s, "127.0.0.1:0", "orphans", "-o", "json")
	var told struct {
		Groups []struct {
			Stream      string `json:"stream"`
			Group       string `json:"group"`
			Pending     int64  `json:"pending"`
			Undelivered *int64 `json:"undelivered"`
		} `json:"groups"`
		Consumers []struct {
			Group    string `json:"group"`
			Consumer string `json:"consumer"`
			Pending  int64  `json:"pending"`
		} `json:"consumers"`
	}
	if err := json.Unmarshal([]byte(out), &told); err != nil || len(told.Groups) != 1 || len(told.Consumers) != 1 {
		t.Fatalf("orphans as JSON: %v\n%s", err, out)
	}
	if g := told.Groups[0]; g.Stream != eventsStream || g.Group != "left" || g.Pending != 3 || g.Undelivered == nil || *g.Undelivered != 37 {
		t.Errorf("group %+v", g)
	}
	if c := told.Consumers[0]; c.Group != "a" || c.Consumer != "ghost-0" || c.Pending != 4 {
		t.Errorf("consumer %+v", c)
	}
}
