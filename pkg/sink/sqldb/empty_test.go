package sqldb_test

import (
	"strings"
	"testing"

	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/handler/handlertest"
)

// TestEmpty: the group's rows go, of all epochs, another group's stay, and what
// is handled again comes in again.
func TestEmpty(t *testing.T) {
	t.Parallel()
	c := tradesConfig(t.TempDir())
	h, other := mustNew(t, c, handlertest.Group), mustNew(t, c, "other")
	mustHandle(t, h, handlertest.Trades(t, 0, 20))
	mustHandle(t, h, handlertest.Batch(handlertest.Group, handlertest.Delivery(t, handlertest.Stream, "epoch-0", handlertest.ID(1), handlertest.Trade(1))))
	mustHandle(t, other, handlertest.Trades(t, 0, 5))
	count := func(want string) {
		t.Helper()
		if got := strings.Join(rows(t, c.DSN, "SELECT fanout_group, count(*) FROM trades GROUP BY 1 ORDER BY 1"), " "); got != want {
			t.Errorf("rows %s, want %s", got, want)
		}
	}
	count("'handlertest'|21 'other'|5")
	if err := h.(handler.Rebuilder).Empty(t.Context()); err != nil {
		t.Fatal(err)
	}
	count("'other'|5")
	mustHandle(t, h, handlertest.Trades(t, 0, 20))
	count("'handlertest'|20 'other'|5")
}
