package sqldb_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/handler/handlertest"
	"example.com/fanout/pkg/sink/internal/sqlstore"
	"example.com/fanout/pkg/sink/sqldb"
	"example.com/fanout/pkg/stream"
	"example.com/fanout/pkg/telemetry"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	var configs sync.Map // handler → its DSN
	handlertest.Run(t, handlertest.Config{
		New: func(t *testing.T) handler.Handler {
			c := tradesConfig(t.TempDir())
			h := mustNew(t, c, handlertest.Group)
			configs.Store(h, c.DSN)
			return h
		},
		Bad: func(i int) []byte { return fmt.Appendf(nil, `{"trade_id": %d, "market_id": null}`, i) },
		Effects: func(t *testing.T, h handler.Handler) string {
			dsn, _ := configs.Load(h)
			return strings.Join(rows(t, dsn.(telemetry.Secret), "SELECT * FROM trades ORDER BY 1, 2, 3"), "\n")
		},
		Once: true,
	})
}

func TestValuesAreExact(t *testing.T) {
	t.Parallel()
	tests := []struct{ json, want string }{ // value, typeof|value in SQL
		{`9007199254740993`, `'integer'|9007199254740993`},
		{`-9223372036854775808`, `'integer'|-9223372036854775808`},
		{`9223372036854775807`, `'integer'|9223372036854775807`},
		{`9223372036854775808`, `'text'|'9223372036854775808'`},
		{`2500.0`, `'integer'|2500`},
		{`2.5e3`, `'integer'|2500`},
		{`2.45`, `'text'|'2.45'`},
		{`0.1000000000000000055511151231257827`, `'text'|'0.1000000000000000055511151231257827'`},
		{`1e400`, `'text'|'1e400'`},
		{`"2500"`, `'text'|'2500'`},
		{`"0012"`, `'text'|'0012'`},
		{`""`, `'text'|''`},
		{`"a\u0000b é \"q\" 'x' \ud83d\ude00"`, "'text'|'a\x00b é \"q\" 'x' 😀'"},
		{`true`, `'integer'|1`},
		{`false`, `'integer'|0`},
		{`null`, `'null'|NULL`},
		{`{"a": [1, 2.0]}`, `'text'|'{"a": [1, 2.0]}'`},
		{`[]`, `'text'|'[]'`},
	}
	c := tradesConfig(t.TempDir())
	c.Columns = sqldb.Columns{{Name: "v", Path: "v"}, {Name: "none", Path: "not.there"}}
	c.Required = nil
	h := mustNew(t, c, "g")
	var batch []handler.Delivery
	var want []string
	for i, tt := range tests {
		batch = append(batch, handlertest.Delivery(t, "s", "e", stream.ID{Ms: uint64(100 + i)}, `{"v": `+tt.json+`}`))
		want = append(want, fmt.Sprintf("'g'|'e'|'%d-0'|%s|NULL", 100+i, tt.want))
	}
	mustHandle(t, h, handlertest.Batch("g", batch...))
	wantRows(t, c.DSN, "SELECT fanout_group, fanout_epoch, fanout_id, typeof(v), v, none FROM trades ORDER BY 3", want...)
}

func TestIDsBeyond63Bits(t *testing.T) {
	t.Parallel()
	c := tradesConfig(t.TempDir())
	h := mustNew(t, c, "g")
	for range 2 {
		mustHandle(t, h, handlertest.Batch("g",
			handlertest.Delivery(t, "s", "e", stream.MaxID, handlertest.Trade(0)),
			handlertest.Delivery(t, "s", "e", stream.MaxID.Prev(), handlertest.Trade(1)),
			handlertest.Delivery(t, "s", "e", stream.ID{}, handlertest.Trade(2))))
	}
	wantRows(t, c.DSN, "SELECT fanout_id, trade_id FROM trades ORDER BY trade_id",
		"'18446744073709551615-18446744073709551615'|1", "'18446744073709551615-18446744073709551614'|2", "'0-0'|3")
}

func TestRequired(t *testing.T) {
	t.Parallel()
	c := tradesConfig(t.TempDir())
	h := mustNew(t, c, "g")
	failed := failures(t, h.Handle(t.Context(), handlertest.Batch("g",
		handlertest.Delivery(t, "s", "e", stream.ID{Ms: 1}, `{"trade_id": 1, "market_id": "m"}`),
		handlertest.Delivery(t, "s", "e", stream.ID{Ms: 2}, `{"trade_id": 2}`),
		handlertest.Delivery(t, "s", "e", stream.ID{Ms: 3}, `{"trade_id": null, "market_id": "m"}`),
		handlertest.Delivery(t, "s", "e", stream.ID{Ms: 4}, `[]`),
		handlertest.Delivery(t, "s", "e", stream.ID{Ms: 5}, `{"trade_id": 5, "market_id": ""}`))))
	if len(failed) != 3 {
		t.Errorf("failed are %v, want 3", failed)
	}
	wantPermanent(t, failed[1], "required column market_id: market_id is missing")
	wantPermanent(t, failed[2], "required column trade_id: trade_id is null")
	wantPermanent(t, failed[3], "required column trade_id: trade_id is missing")
	wantRows(t, c.DSN, "SELECT trade_id, market_id, stake FROM trades", "1|'m'|NULL", "5|''|NULL")

	// A batch of nothing else never needs the store.
	failed = failures(t, h.Handle(t.Context(), handlertest.Batch("g", handlertest.Delivery(t, "s", "e", stream.ID{Ms: 2}, `{}`))))
	wantPermanent(t, failed[0], "required column")
}

func TestRefusedRowsStandAlone(t *testing.T) {
	t.Parallel()
	c := tradesConfig(t.TempDir())
	c.Create = false
	update(t, c.DSN, `CREATE TABLE trades (
		fanout_group TEXT NOT NULL, fanout_epoch TEXT NOT NULL, fanout_id TEXT NOT NULL,
		trade_id INTEGER UNIQUE, market_id TEXT, odds_ticks INTEGER CHECK (odds_ticks > 0), stake INTEGER NOT NULL, traded_at,
		UNIQUE (fanout_group, fanout_epoch, fanout_id))`)
	h := mustNew(t, c, "g")
	const n = 600 // several statements
	batch := handlertest.Trades(t, 0, n)
	bad := func(i int, payload string) {
		d := &batch.Deliveries[i]
		*d = handlertest.Delivery(t, d.Stream, d.Epoch, d.ID, payload)
	}
	bad(3, `{"trade_id": 4, "market_id": "m", "odds": {"ticks": 0}, "stake": {"value": 1}}`)
	bad(300, `{"trade_id": 1, "market_id": "m", "odds": {"ticks": 9}, "stake": {"value": 1}}`)
	bad(599, `{"trade_id": 600, "market_id": "m", "odds": {"ticks": 9}}`)
	for range 2 { // again as after a crash before the acknowledgement
		failed := failures(t, h.Handle(t.Context(), batch))
		if len(failed) != 3 {
			t.Errorf("failed are %v, want 3", failed)
		}
		wantPermanent(t, failed[3], "CHECK constraint")
		wantPermanent(t, failed[300], "UNIQUE constraint")
		wantPermanent(t, failed[599], "NOT NULL constraint")
		wantRows(t, c.DSN, "SELECT count(*) FROM trades", "597")
	}
}

func TestRedeliveryChangesNothing(t *testing.T) {
	t.Parallel()
	c := tradesConfig(t.TempDir())
	h := mustNew(t, c, "g")
	mustHandle(t, h, handlertest.Trades(t, 0, 300))
	// The rows as an operator has corrected them stay so.
	update(t, c.DSN, "UPDATE trades SET stake = -1")
	mustHandle(t, h, handlertest.Trades(t, 100, 300))
	d := handlertest.Trades(t, 399, 1).Deliveries[0]
	mustHandle(t, h, handlertest.Batch("g", d, d, d))
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	mustHandle(t, mustNew(t, c, "g"), handlertest.Trades(t, 0, 400)) // after a restart
	wantRows(t, c.DSN, "SELECT count(*), count(DISTINCT trade_id), sum(stake = -1) FROM trades", "400|400|300")
}

func TestGroupsAndEpochsKeepTheirOwnRows(t *testing.T) {
	t.Parallel()
	c := tradesConfig(t.TempDir())
	a, b := mustNew(t, c, "a"), mustNew(t, c, "b")
	first := handlertest.Trades(t, 0, 10)
	mustHandle(t, a, first)
	mustHandle(t, b, first)
	second := handlertest.Trades(t, 0, 10)
	for i := range second.Deliveries {
		second.Deliveries[i].Epoch = "later"
	}
	mustHandle(t, a, second)
	wantRows(t, c.DSN, "SELECT fanout_group, fanout_epoch, count(*) FROM trades GROUP BY 1, 2",
		"'a'|'epoch-1'|10", "'a'|'later'|10", "'b'|'epoch-1'|10")
}

// TestEpochsInOneBatch: rows keep the epoch of their own entry, also where rows of
// another epoch and refused ones stand between them.
func TestEpochsInOneBatch(t *testing.T) {
	t.Parallel()
	c := tradesConfig(t.TempDir())
	h := mustNew(t, c, "g")
	update(t, c.DSN, "CREATE TRIGGER odd BEFORE INSERT ON trades WHEN NEW.trade_id % 10 = 0 BEGIN SELECT RAISE(ABORT, 'refused'); END")
	batch := handlertest.Trades(t, 0, 100) // trades 1 to 100
	for i := range batch.Deliveries {
		switch d := &batch.Deliveries[i]; {
		case i == 5: // without what is required
			*d = handlertest.Delivery(t, d.Stream, d.Epoch, d.ID, "{}")
		case i >= 30 && i < 60:
			d.Epoch = "later"
		}
	}
	failed := failures(t, h.Handle(t.Context(), batch))
	if len(failed) != 11 {
		t.Errorf("%d deliveries failed, want 11: %v", len(failed), failed)
	}
	for i := 9; i < 100; i += 10 {
		wantPermanent(t, failed[i], "refused")
	}
	wantRows(t, c.DSN, "SELECT fanout_group, fanout_epoch, count(*), min(trade_id), max(trade_id), count(DISTINCT fanout_id) FROM trades GROUP BY 1, 2",
		"'g'|'epoch-1'|62|1|99|62", "'g'|'later'|27|31|59|27")
}

func TestColumnsAddedLater(t *testing.T) {
	t.Parallel()
	c := tradesConfig(t.TempDir())
	h := mustNew(t, c, "g")
	mustHandle(t, h, handlertest.Trades(t, 0, 1))
	c.Columns = append(sqldb.Columns{{Name: "whole odds", Path: "odds"}}, c.Columns[:2]...)
	without := *c
	without.Create = false
	if _, err := without.New(handlertest.Env(t, "g")); err == nil || !strings.Contains(err.Error(), "table trades lacks column whole odds; add it or set create: true") {
		t.Errorf("error %v", err)
	}
	mustHandle(t, mustNew(t, c, "g"), handlertest.Trades(t, 1, 1))
	mustHandle(t, h, handlertest.Trades(t, 2, 1)) // the old handler goes on until it is replaced
	wantRows(t, c.DSN, `SELECT trade_id, odds_ticks, "whole odds" FROM trades ORDER BY 1`,
		`1|100|NULL`, `2|NULL|'{"ticks": 107}'`, `3|114|NULL`)
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for made, want := range map[string]string{
		"": "table trades does not exist; create it or set create: true",
		"CREATE TABLE trades (trade_id, market_id, odds_ticks, stake, traded_at)":                                                               "lacks column fanout_group: it was not made for this handler",
		"CREATE TABLE trades (fanout_group, fanout_epoch, fanout_id, trade_id, market_id, odds_ticks, stake, traded_at)":                        "primary key or unique constraint on",
		"CREATE VIEW trades AS SELECT 1 fanout_group, 2 fanout_epoch, 3 fanout_id, 4 trade_id, 5 market_id, 6 odds_ticks, 7 stake, 8 traded_at": "must be a table",
	} {
		c := tradesConfig(t.TempDir())
		c.Create = false
		if made != "" {
			update(t, c.DSN, made)
		}
		if _, err := c.New(handlertest.Env(t, "g")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q in it", made, err, want)
		}
	}
}

func TestFullDiskHeals(t *testing.T) {
	t.Parallel()
	c := tradesConfig(t.TempDir())
	h := mustNew(t, c, "g")
	mustHandle(t, h, handlertest.Trades(t, 0, 10))
	update(t, c.DSN, "PRAGMA max_page_count = 8")
	batch := handlertest.Trades(t, 0, 1000)
	for range 2 {
		if err := h.Handle(t.Context(), batch); handler.MarkOf(err) != handler.MarkUnavailable {
			t.Fatalf("error %v, want unavailable", err)
		}
		wantRows(t, c.DSN, "SELECT count(*) FROM trades", "10")
	}
	update(t, c.DSN, "PRAGMA max_page_count = 1000000")
	mustHandle(t, h, batch)
	wantRows(t, c.DSN, "SELECT count(*) FROM trades", "1000")
}

func TestDroppedTableIsAnOutage(t *testing.T) {
	t.Parallel()
	c := tradesConfig(t.TempDir())
	h := mustNew(t, c, "g")
	update(t, c.DSN, "DROP TABLE trades")
	err := h.Handle(t.Context(), handlertest.Trades(t, 0, 3))
	if handler.MarkOf(err) != handler.MarkUnavailable || !strings.Contains(err.Error(), "restart the group") {
		t.Fatalf("error %v, want unavailable", err)
	}
	mustNew(t, c, "g") // as a restart does
	mustHandle(t, h, handlertest.Trades(t, 0, 3))
	wantRows(t, c.DSN, "SELECT count(*) FROM trades", "3")
}

func TestCallsAtOnce(t *testing.T) {
	t.Parallel()
	c := tradesConfig(t.TempDir())
	var handlers []handler.Handler
	for _, group := range []string{"a", "b"} {
		handlers = append(handlers, mustNew(t, c, group), mustNew(t, c, group)) // as two incarnations
	}
	var wg sync.WaitGroup
	for i, h := range handlers {
		for part := range 4 {
			wg.Go(func() {
				for n := range 5 {
					b := handlertest.Trades(t, (part+i)*20+n*13, 37)
					if err := h.Handle(t.Context(), b); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	wg.Wait()
	wantRows(t, c.DSN, "SELECT fanout_group, count(*), count(DISTINCT trade_id) FROM trades GROUP BY 1",
		"'a'|169|169", "'b'|169|169")
}

func TestDoneContext(t *testing.T) {
	t.Parallel()
	c := tradesConfig(t.TempDir())
	h := mustNew(t, c, "g")
	s, err := sqlstore.Open(c.DSN.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	err = s.Update(t.Context(), func(*sql.Tx) error { // another group is writing
		ctx, cancel := context.WithTimeoutCause(t.Context(), 20*time.Millisecond, handler.ErrStopping)
		defer cancel()
		err := h.Handle(ctx, handlertest.Trades(t, 0, 1))
		if !errors.Is(err, handler.ErrStopping) || handler.MarkOf(err) != handler.Unmarked {
			t.Errorf("error %v, want the stop without a mark", err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	wantRows(t, c.DSN, "SELECT count(*) FROM trades", "0")
}
