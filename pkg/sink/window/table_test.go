package window_test

import (
	"strings"
	"testing"
	"time"

	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/handler/handlertest"
	"example.com/fanout/pkg/sink/window"
)

func TestGroupsShareATable(t *testing.T) {
	t.Parallel()
	c := minutesConfig(t.TempDir())
	a := mustNew(t, c, "a")
	other := minutesConfig("")
	other.DSN, other.Size, other.Measures = c.DSN, time.Hour, window.Measures{{Name: "trades", Expr: "count()"}, {Name: "biggest", Expr: "max(stake.value)"}}
	b := mustNew(t, other, "b")
	batch := handlertest.Trades(t, 0, 8)
	mustHandle(t, a, batch.Deliveries...)
	mustHandle(t, b, batch.Deliveries...)
	mustHandle(t, a, batch.Deliveries...)
	wantRows(t, c.DSN, "SELECT fanout_group, window_start % 3600000 = 0, sum(trades), count(volume), count(biggest) FROM market_minutes GROUP BY 1",
		"a|1|8|8|0", "b|1|8|0|8")
}

func TestEpochsAddUp(t *testing.T) {
	t.Parallel()
	c := minutesConfig(t.TempDir())
	h := mustNew(t, c, "g")
	first, second := handlertest.Trades(t, 0, 5), handlertest.Trades(t, 0, 5)
	for i := range second.Deliveries {
		second.Deliveries[i].Epoch = "later"
	}
	mustHandle(t, h, append(first.Deliveries, second.Deliveries...)...)
	mustHandle(t, h, append(second.Deliveries, first.Deliveries...)...)
	wantRows(t, c.DSN, "SELECT sum(trades) FROM market_minutes", "10")
}

func TestStateSurvivesARestart(t *testing.T) {
	t.Parallel()
	c := minutesConfig(t.TempDir())
	for i := range 20 { // each time the last ten come again
		h := mustNew(t, c, "g")
		mustHandle(t, h, handlertest.Trades(t, 10*i, 20).Deliveries...)
		if err := h.Close(); err != nil {
			t.Fatal(err)
		}
	}
	once := minutesConfig(t.TempDir())
	mustHandle(t, mustNew(t, once, "g"), handlertest.Trades(t, 0, 210).Deliveries...)
	const all = "SELECT * FROM market_minutes"
	wantRows(t, c.DSN, all, rows(t, once.DSN, all)...)
}

func TestDefinitionOfATableStays(t *testing.T) {
	t.Parallel()
	tests := []struct {
		change func(c *window.Config)
		want   string
	}{
		{func(c *window.Config) { c.Size = time.Hour }, `made with size "1m0s", not "1h0m0s"`},
		{func(c *window.Config) { c.Key = "" }, `made with key "market_id", not ""`},
		{func(c *window.Config) { c.Time = "" }, `made with time "timestamp", not ""`},
		{func(c *window.Config) { c.TimeUnit = "ms" }, `made with time_unit "auto", not "ms"`},
		{func(c *window.Config) { c.Measures[1].Expr = "sum(odds.ticks)" }, `measure volume was made with sum(stake.value), not sum(odds.ticks)`},
		{func(c *window.Config) { c.Measures[1].Expr = " sum( stake.value )"; c.TimeUnit = "" }, ""},
		{func(c *window.Config) { c.Measures = c.Measures[:3] }, ""},
		{func(c *window.Config) { c.Measures = append(c.Measures, window.Measure{Name: "more", Expr: "count()"}) }, ""},
		{func(c *window.Config) {
			c.Measures = append(c.Measures, window.Measure{Name: "more", Expr: "count()"})
			c.Create = false
		}, "lacks column more; add it or set create: true"},
	}
	for _, tt := range tests {
		dir := t.TempDir()
		mustNew(t, minutesConfig(dir), "g")
		c := minutesConfig(dir)
		tt.change(c)
		h, err := c.New(handlertest.Env(t, "g"))
		if err == nil {
			h.Close()
		}
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("error %v, want %q in it", err, tt.want)
		}
	}
}

func TestMeasureRemovedAndBackAsAnother(t *testing.T) {
	t.Parallel()
	c := minutesConfig(t.TempDir())
	mustNew(t, c, "g")
	all := c.Measures
	c.Measures = all[:1]
	mustNew(t, c, "g")
	c.Measures = append(all[:1:1], window.Measure{Name: "Volume", Expr: "sum(odds.ticks)"})
	if _, err := c.New(handlertest.Env(t, "g")); err == nil || !strings.Contains(err.Error(), "measure volume was made with sum(stake.value)") {
		t.Errorf("error %v, want the other measure of that name", err)
	}
}

func TestMeasureAddedLater(t *testing.T) {
	t.Parallel()
	c := minutesConfig(t.TempDir())
	c.Measures = c.Measures[:1]
	mustHandle(t, mustNew(t, c, "g"), handlertest.Trades(t, 0, 4).Deliveries...)
	c.Measures = append(c.Measures, window.Measure{Name: "volume", Expr: "sum(stake.value)"})
	mustHandle(t, mustNew(t, c, "g"), handlertest.Trades(t, 3, 2).Deliveries...)
	wantRows(t, c.DSN, "SELECT key, trades, volume FROM market_minutes ORDER BY key", "m-0|1|<nil>", "m-1|1|<nil>", "m-2|1|<nil>", "m-3|1|<nil>", "m-4|1|1048")
}

func TestDroppedTableBeginsAnew(t *testing.T) {
	t.Parallel()
	c := minutesConfig(t.TempDir())
	h, other := mustNew(t, c, "g"), minutesConfig("")
	other.DSN, other.Table = c.DSN, "kept"
	kept := mustNew(t, other, "g")
	batch := handlertest.Trades(t, 0, 16)
	mustHandle(t, h, batch.Deliveries...)
	mustHandle(t, kept, batch.Deliveries...)
	update(t, c.DSN, "DROP TABLE market_minutes")
	if err := h.Handle(t.Context(), handlertest.Trades(t, 16, 1)); handler.MarkOf(err) != handler.MarkUnavailable {
		t.Errorf("error %v, want unavailable", err)
	}
	c.Size = time.Hour
	mustHandle(t, mustNew(t, c, "g"), batch.Deliveries...)
	mustHandle(t, kept, batch.Deliveries...)
	wantRows(t, c.DSN, "SELECT sum(trades) FROM market_minutes", "16")
	wantRows(t, c.DSN, "SELECT sum(trades) FROM kept", "16")
}

func TestFullDiskHeals(t *testing.T) {
	t.Parallel()
	c := minutesConfig(t.TempDir())
	h := mustNew(t, c, "g")
	mustHandle(t, h, handlertest.Trades(t, 0, 10).Deliveries...)
	update(t, c.DSN, "PRAGMA max_page_count = 1")
	batch := handlertest.Trades(t, 0, 1000)
	for range 2 {
		if err := h.Handle(t.Context(), batch); handler.MarkOf(err) != handler.MarkUnavailable {
			t.Fatalf("error %v, want unavailable", err)
		}
		wantRows(t, c.DSN, "SELECT sum(trades), (SELECT count(*) FROM fanout_seen) FROM market_minutes", "10|10")
	}
	update(t, c.DSN, "PRAGMA max_page_count = 1000000")
	mustHandle(t, h, batch.Deliveries...)
	wantRows(t, c.DSN, "SELECT sum(trades), (SELECT count(*) FROM fanout_seen) FROM market_minutes", "1000|1000")
}

func TestForeignValuesHoldTheGroup(t *testing.T) {
	t.Parallel()
	for _, damage := range []string{"volume = 'much'", "open_id = 'x'", "trades = 1.5"} {
		c := minutesConfig(t.TempDir())
		h := mustNew(t, c, "g")
		mustHandle(t, h, handlertest.Trades(t, 0, 1).Deliveries...)
		update(t, c.DSN, "UPDATE market_minutes SET "+damage)
		if err := h.Handle(t.Context(), handlertest.Trades(t, 8, 1)); handler.MarkOf(err) != handler.MarkUnavailable {
			t.Errorf("%s: error %v with mark %d, want unavailable: no delivery is to blame", damage, err, handler.MarkOf(err))
		}
	}
}
