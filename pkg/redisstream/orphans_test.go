package redisstream_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"example.com/fanout/pkg/redisstream"
	"example.com/fanout/pkg/telemetry"
	"example.com/fanout/test/redistest"
)

func TestOrphans(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	c := open(t, s)
	if o, err := c.Orphans(t.Context(), key, nil); err != nil || len(o.Groups)+len(o.Consumers) > 0 {
		t.Fatalf("without a stream: %+v, %v", o, err)
	}
	for i := range 10 {
		s.Do(t, "XADD", key, fmt.Sprintf("%d-0", i+1), "f", "v")
	}
	commands(t, s, `XGROUP CREATE events g 0 ENTRIESREAD 0
		XREADGROUP GROUP g here-0 COUNT 2 STREAMS events >
		XREADGROUP GROUP g gone-0 COUNT 2 STREAMS events >
		XREADGROUP GROUP g gone-1 COUNT 1 STREAMS events >
		XACK events g 5-0
		XREADGROUP GROUP g by-hand COUNT 1 STREAMS events >
		XGROUP CREATE events left 0 ENTRIESREAD 0
		XREADGROUP GROUP left x COUNT 3 STREAMS events >
		XACK events left 1-0
		XGROUP CREATE events off 0 ENTRIESREAD 0
		SET fanout:instance:here token`)
	was := dump(t, s)
	o, err := c.Orphans(t.Context(), key, []string{"g", "off"})
	if err != nil {
		t.Fatal(err)
	}
	if now := dump(t, s); now != was {
		t.Errorf("the look has changed the stream from\n%s\nto\n%s", was, now)
	}
	if len(o.Groups) != 1 {
		t.Fatalf("groups %+v, want one", o.Groups)
	}
	g := o.Groups[0]
	if g.Group != "left" || g.Pending != 2 || g.OldestPending.String() != "2-0" || g.Undelivered != 7 || g.Consumers != 1 || g.Idle < 0 || g.Idle > time.Minute {
		t.Errorf("group %+v", g)
	}
	if got := fmt.Sprint(names(o.Consumers)); got != "[by-hand 1 6-0 gone-0 2 3-0]" {
		t.Errorf("consumers %s", got)
	}
}

func names(consumers []redisstream.OrphanConsumer) (all []string) {
	for _, c := range consumers {
		all = append(all, fmt.Sprint(c.Name, " ", c.Pending, " ", c.OldestPending))
	}
	return all
}

// The simulated server is left alone.
func TestRetentionOfMiniredis(t *testing.T) {
	t.Parallel()
	m := miniredis.RunT(t)
	c := openConfig(t, redisstream.Config{URL: telemetry.Secret("redis://" + m.Addr())})
	if _, err := m.XAdd(key, "1-0", []string{"f", "v"}); err != nil {
		t.Fatal(err)
	}
	rules := redisstream.Retention{Stream: key, MaxLen: 1, Drop: true}
	for what, call := range map[string]func() (redisstream.Trimmed, error){
		"trim": func() (redisstream.Trimmed, error) { return c.Trim(t.Context(), rules) },
		"plan": func() (redisstream.Trimmed, error) { return c.PlanTrim(t.Context(), rules) },
	} {
		if got, err := call(); err != nil || got.There || got.Entries > 0 {
			t.Errorf("%s: %+v, %v", what, got, err)
		}
	}
	if o, err := c.Orphans(t.Context(), key, nil); err != nil || len(o.Groups) > 0 {
		t.Errorf("orphans %+v, %v", o, err)
	}
	if entries, err := m.Stream(key); err != nil || len(entries) != 1 {
		t.Errorf("entries %v, %v", entries, err)
	}
}
