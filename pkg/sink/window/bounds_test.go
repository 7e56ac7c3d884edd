package window_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"example.com/fanout/pkg/sink/window"
)

// longKeys is a store with keys of 1 MiB, as of before keys were bounded.
func longKeys(t *testing.T, n int) *window.Config {
	t.Helper()
	c := minutesConfig(t.TempDir())
	mustNew(t, c, "g")
	for i := range n {
		update(t, c.DSN, fmt.Sprintf("INSERT INTO market_minutes (fanout_group, key, window_start, trades) VALUES ('g', '%03d' || hex(zeroblob(%d)), 0, %d)", i, 1<<19, i))
	}
	return c
}

// An answer is bounded in bytes, whatever the keys are, and its next is short.
func TestPagesAreBounded(t *testing.T) {
	t.Parallel()
	r := reader(t, longKeys(t, 5), "g")
	seen, after := "", ""
	for {
		windows, next, err := r.Windows(t.Context(), window.Query{Limit: 5000, After: after})
		if err != nil {
			t.Fatal(err)
		}
		bytes := 0
		for _, w := range windows {
			bytes += len(w.Key.(string))
			seen += " " + w.Key.(string)[:3]
		}
		if bytes > 4<<20 || len(next) > 2000 {
			t.Fatalf("%d bytes of keys, next of %d bytes", bytes, len(next))
		}
		if after = next; next == "" {
			break
		}
	}
	if seen != " 000 001 002 003 004" {
		t.Errorf("the pages have%s", seen)
	}
	_, keys, _, err := r.Keys(t.Context(), window.KeyQuery{Limit: 1000})
	if err != nil || len(keys) != 1 || keys[0].Windows != 1 {
		t.Errorf("%d keys of 1 MiB at once, %v", len(keys), err)
	}
}

// The longest key that there may be is one that pages go on behind.
func TestPagesOfLongKeys(t *testing.T) {
	t.Parallel()
	c := minutesConfig(t.TempDir())
	h := mustNew(t, c, "g")
	for i := range 3 {
		mustHandle(t, h, delivery(t, uint64(i+1), fmt.Sprintf(`{"market_id":"%s%d","odds":{"ticks":1},"stake":{"value":1},"timestamp":1763856000000}`, strings.Repeat("k", 1023), i)))
	}
	if got := read(t, reader(t, c, "g"), window.Query{Limit: 1}); len(got) != 3 {
		t.Errorf("%d windows", len(got))
	}
}

func TestBound(t *testing.T) {
	t.Parallel()
	r := reader(t, minutesConfig(t.TempDir()), "g")
	for after, want := range map[time.Duration]time.Duration{0: 0, time.Millisecond: time.Minute, time.Minute: time.Minute, -time.Second: 0, -time.Minute: -time.Minute} {
		if got := r.Bound(base.Add(after)); !got.Equal(base.Add(want)) {
			t.Errorf("%v: %v", after, got.Sub(base))
		}
	}
}
