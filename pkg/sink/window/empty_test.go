package window_test

import (
	"context"
	"testing"

	"example.com/fanout/pkg/handler"
)

// TestEmpty: the group's windows and identities go, those of all epochs and of
// what was forgotten too; another group's stay; what comes again counts again.
func TestEmpty(t *testing.T) {
	t.Parallel()
	c := minutesConfig(t.TempDir())
	h, other := mustNew(t, c, "g"), mustNew(t, c, "other")
	trade := func(ms uint64) handler.Delivery {
		return delivery(t, ms, `{"market_id":"m","odds":{"ticks":200},"stake":{"value":10},"timestamp":1763856000000}`)
	}
	all := []handler.Delivery{trade(1), trade(2), trade(3)}
	earlier := trade(2)
	earlier.Epoch = "before"
	mustHandle(t, h, append(all, earlier)...)
	mustHandle(t, other, all...)
	const counts = "SELECT fanout_group, trades FROM market_minutes ORDER BY 1"
	wantRows(t, c.DSN, counts, "g|4", "other|3")
	update(t, c.DSN, "UPDATE fanout_sources SET pruned_ms = 2 WHERE grp = 'g' AND epoch = 'e'",
		"DELETE FROM fanout_seen WHERE source IN (SELECT id FROM fanout_sources WHERE grp = 'g') AND ms <= 2")

	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.(handler.Rebuilder).Empty(cancelled); err == nil {
		t.Error("emptied with a context that is done")
	}
	wantRows(t, c.DSN, counts, "g|4", "other|3")

	if err := h.(handler.Rebuilder).Empty(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantRows(t, c.DSN, counts, "other|3")
	wantRows(t, c.DSN, "SELECT grp, count(*) FROM fanout_sources JOIN fanout_seen ON source = id GROUP BY 1", "other|3")
	mustHandle(t, h, all...)
	mustHandle(t, h, all...)
	mustHandle(t, other, all...)
	wantRows(t, c.DSN, counts, "g|3", "other|3")
}
