package window_test

import (
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/handler/handlertest"
	"example.com/fanout/pkg/sink/internal/sqlstore"
	"example.com/fanout/pkg/sink/window"
	"example.com/fanout/pkg/stream"
	"example.com/fanout/pkg/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// minutesConfig is the group "analytics" of the shipped groups.yaml, with its
// store in dir.
func minutesConfig(dir string) *window.Config {
	return &window.Config{
		Key: "market_id", Time: "timestamp", TimeUnit: "auto", Size: time.Minute,
		Measures: window.Measures{
			{Name: "trades", Expr: "count()"},
			{Name: "volume", Expr: "sum(stake.value)"},
			{Name: "open", Expr: "first(odds.ticks)"},
			{Name: "high", Expr: "max(odds.ticks)"},
			{Name: "low", Expr: "min(odds.ticks)"},
			{Name: "close", Expr: "last(odds.ticks)"},
			{Name: "vwap", Expr: "wavg(odds.ticks, stake.value)"},
		},
		DSN:    telemetry.Secret("sqlite:" + filepath.Join(dir, "analytics.db")),
		Table:  "market_minutes",
		Create: true,
	}
}

func mustNew(t testing.TB, c *window.Config, group string) handler.Handler {
	t.Helper()
	if faults := c.Check(); len(faults) > 0 {
		t.Fatalf("check: %v", faults)
	}
	h, err := c.New(handlertest.Env(t, group))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}

func mustHandle(t *testing.T, h handler.Handler, deliveries ...handler.Delivery) {
	t.Helper()
	if err := h.Handle(t.Context(), handlertest.Batch("g", deliveries...)); err != nil {
		t.Fatal(err)
	}
}

// rows are the rows of a query, their columns joined by bars.
func rows(t *testing.T, dsn telemetry.Secret, query string) []string {
	t.Helper()
	path, _ := sqlstore.Path(dsn.Reveal())
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	list, err := db.Query(query)
	if err != nil {
		t.Fatal(err)
	}
	defer list.Close()
	names, err := list.Columns()
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for list.Next() {
		values, into := make([]any, len(names)), make([]any, len(names))
		for i := range values {
			into[i] = &values[i]
		}
		if err := list.Scan(into...); err != nil {
			t.Fatal(err)
		}
		texts := make([]string, len(values))
		for i, v := range values {
			texts[i] = fmt.Sprint(v)
		}
		all = append(all, strings.Join(texts, "|"))
	}
	if err := list.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

func wantRows(t *testing.T, dsn telemetry.Secret, query string, want ...string) {
	t.Helper()
	got := rows(t, dsn, query)
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%s\ngot  %s\nwant %s", query, strings.Join(got, "\n     "), strings.Join(want, "\n     "))
	}
}

// update runs statements through the connection that the handler uses.
func update(t *testing.T, dsn telemetry.Secret, statements ...string) {
	t.Helper()
	s, err := sqlstore.Open(dsn.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Update(t.Context(), func(tx *sql.Tx) error {
		for _, q := range statements {
			if _, err := tx.Exec(q); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

func failures(t *testing.T, err error) map[int]error {
	t.Helper()
	var b *handler.BatchError
	if !errors.As(err, &b) {
		t.Fatalf("error %v, want a batch error", err)
	}
	return b.Failed
}

func wantPermanent(t *testing.T, err error, text string) {
	t.Helper()
	if handler.MarkOf(err) != handler.MarkPermanent || !strings.Contains(err.Error(), text) {
		t.Errorf("error %v with mark %d, want permanent with %q", err, handler.MarkOf(err), text)
	}
}

func delivery(t *testing.T, ms uint64, payload string) handler.Delivery {
	t.Helper()
	return handlertest.Delivery(t, "s", "e", stream.ID{Ms: ms}, payload)
}

func TestConformance(t *testing.T) {
	t.Parallel()
	var stores sync.Map // handler → its DSN
	handlertest.Run(t, handlertest.Config{
		New: func(t *testing.T) handler.Handler {
			c := minutesConfig(t.TempDir())
			h := mustNew(t, c, handlertest.Group)
			stores.Store(h, c.DSN)
			return h
		},
		Bad: func(i int) []byte {
			return fmt.Appendf(nil, `{"market_id": "m", "odds": {"ticks": 2.5}, "stake": {"value": 1}, "timestamp": %d}`, i)
		},
		Effects: func(t *testing.T, h handler.Handler) string {
			dsn, _ := stores.Load(h)
			return strings.Join(rows(t, dsn.(telemetry.Secret), "SELECT * FROM market_minutes"), "\n")
		},
		Once: true,
	})
}

func TestOneWindow(t *testing.T) {
	t.Parallel()
	c := minutesConfig(t.TempDir())
	h := mustNew(t, c, "analytics")
	trade := func(ms uint64, odds, stake, at int64) handler.Delivery {
		return delivery(t, ms, fmt.Sprintf(`{"market_id": "m-1", "odds": {"ticks": %d}, "stake": {"value": %d}, "timestamp": %d}`, odds, stake, at))
	}
	// 2025-11-23T00:00:00Z
	const minute = 1763856000000
	mustHandle(t, h,
		trade(12, 300, 10, minute+500),
		trade(11, 200, 20, minute+500), // same time, lower ID
		trade(13, 250, 30, minute+59_999),
		trade(14, 999, 40, minute+60_000), // the next window
		trade(15, 111, 50, minute-1))      // late: the window before
	wantRows(t, c.DSN, "SELECT * FROM market_minutes ORDER BY window_start",
		"analytics|m-1|1763855940000|2025-11-22T23:59:00.000Z|1|50|111|1763855999999000000|15-0|111|111|111|1763855999999000000|15-0|111|5550|50",
		"analytics|m-1|1763856000000|2025-11-23T00:00:00.000Z|3|60|200|1763856000500000000|11-0|300|200|250|1763856059999000000|13-0|241.66666666666666|14500|60",
		"analytics|m-1|1763856060000|2025-11-23T00:01:00.000Z|1|40|999|1763856060000000000|14-0|999|999|999|1763856060000000000|14-0|999|39960|40")
}

func TestKeys(t *testing.T) {
	t.Parallel()
	c := minutesConfig(t.TempDir())
	c.Time = "" // that of the ID
	c.Measures = window.Measures{{Name: "n", Expr: "count()"}}
	h := mustNew(t, c, "g")
	mustHandle(t, h,
		delivery(t, 1, `{"market_id": 7}`), delivery(t, 2, `{"market_id": "7"}`), delivery(t, 3, `{"market_id": 7.0}`),
		delivery(t, 4, `{"market_id": ""}`), delivery(t, 5, `{"market_id": "a\u0000b'\""}`), delivery(t, 6, `{"market_id": -9223372036854775808}`))
	mustHandle(t, h, delivery(t, 7, `{"market_id": 7}`), delivery(t, 8, `{"market_id": "a\u0000b'\""}`))
	wantRows(t, c.DSN, "SELECT typeof(key), key, window_start, n FROM market_minutes ORDER BY key",
		"integer|-9223372036854775808|0|1", "integer|7|0|3", "text||0|1", "text|7|0|1", "text|a\x00b'\"|0|2")

	failed := failures(t, h.Handle(t.Context(), handlertest.Batch("g",
		delivery(t, 10, `{}`), delivery(t, 11, `{"market_id": null}`), delivery(t, 12, `{"market_id": 2.5}`), delivery(t, 13, `{"market_id": {}}`), delivery(t, 14, `{"market_id": true}`))))
	for i, want := range []string{"market_id is missing", "type null", "a key is a string or an integer", "type object", "type boolean"} {
		wantPermanent(t, failed[i], want)
	}
}

func TestNoKeyNoTime(t *testing.T) {
	t.Parallel()
	c := minutesConfig(t.TempDir())
	c.Key, c.Time, c.Size = "", "", time.Hour
	h := mustNew(t, c, "g")
	mustHandle(t, h, delivery(t, 3_600_000, `{"stake": {"value": 5}}`), delivery(t, 7_199_999, `[1]`), delivery(t, 7_200_000, `{}`))
	wantRows(t, c.DSN, "SELECT key, window_start, window_start_utc, trades, volume, open, vwap FROM market_minutes ORDER BY 2",
		"|3600000|1970-01-01T01:00:00.000Z|2|5|<nil>|<nil>", "|7200000|1970-01-01T02:00:00.000Z|1|<nil>|<nil>|<nil>")
}

func TestTimes(t *testing.T) {
	t.Parallel()
	c := minutesConfig(t.TempDir())
	c.Size = time.Second
	c.Measures = window.Measures{{Name: "n", Expr: "count()"}, {Name: "l", Expr: "last(v)"}}
	h := mustNew(t, c, "g")
	event := func(ms uint64, at string) handler.Delivery {
		return delivery(t, ms, fmt.Sprintf(`{"market_id": 1, "timestamp": %s, "v": %d}`, at, ms))
	}
	mustHandle(t, h,
		event(1, `-0.001`), event(2, `-1000000000000`), event(3, `"2025-11-23T00:00:00.000000002Z"`), event(4, `"2025-11-23T01:00:00.000000001+01:00"`),
		event(5, `1763856000123456`), event(6, `"1700-01-01T00:00:00Z"`))
	wantRows(t, c.DSN, "SELECT window_start, window_start_utc, n, l FROM market_minutes ORDER BY 1",
		"-8520336000000|1700-01-01T00:00:00.000Z|1|6",
		"-1000000000000|1938-04-24T22:13:20.000Z|1|2",
		"-1000|1969-12-31T23:59:59.000Z|1|1",
		"1763856000000|2025-11-23T00:00:00.000Z|3|5")
	failed := failures(t, h.Handle(t.Context(), handlertest.Batch("g",
		event(10, `null`), event(11, `"soon"`), event(12, `"1600-01-01T00:00:00Z"`), event(13, `"9999-01-01T00:00:00Z"`), event(14, `[]`))))
	for i, want := range []string{"timestamp is missing", "not a time", "outside the years 1678 to 2261", "outside the years 1678 to 2261", "not a time"} {
		wantPermanent(t, failed[i], "time: ")
		wantPermanent(t, failed[i], want)
	}

	ids := minutesConfig(t.TempDir())
	ids.Key, ids.Time = "", ""
	h = mustNew(t, ids, "g")
	failed = failures(t, h.Handle(t.Context(), handlertest.Batch("g", handlertest.Delivery(t, "s", "e", stream.MaxID, `{}`))))
	wantPermanent(t, failed[0], "outside the years")
}

func TestNumbersThatAreNotIntegers(t *testing.T) {
	t.Parallel()
	c := minutesConfig(t.TempDir())
	c.Key, c.Time = "", ""
	h := mustNew(t, c, "g")
	failed := failures(t, h.Handle(t.Context(), handlertest.Batch("g",
		delivery(t, 1, `{"odds": {"ticks": 2.5}}`), delivery(t, 2, `{"odds": {"ticks": "250"}}`),
		delivery(t, 3, `{"stake": {"value": 9223372036854775808}}`), delivery(t, 4, `{"stake": {"value": 25e1}}`))))
	if len(failed) != 3 {
		t.Errorf("failed are %v, want 3", failed)
	}
	wantPermanent(t, failed[0], "odds.ticks: ")
	wantPermanent(t, failed[1], "measures take integers of 64 bits")
	wantPermanent(t, failed[2], "stake.value: ")
	wantRows(t, c.DSN, "SELECT trades, volume FROM market_minutes", "1|250")
}

func TestOverflow(t *testing.T) {
	t.Parallel()
	const most, least = "9223372036854775807", "-9223372036854775808"
	tests := []struct {
		expr   string
		events [][2]string // of v and w
		failed []int
		want   string
	}{
		{"sum(v)", [][2]string{{most, "0"}, {"1", "0"}, {"-7", "0"}, {"7", "0"}, {"1", "0"}}, []int{1, 4}, most},
		{"sum(v)", [][2]string{{least, "0"}, {"-1", "0"}, {"1", "0"}}, []int{1}, "-9223372036854775807"},
		{"wavg(v, w)", [][2]string{{most, "1"}, {"1", "1"}, {"-1", "1"}}, []int{1}, "4.611686018427388e+18"},
		{"wavg(v, w)", [][2]string{{most, "2"}, {least, "-1"}, {least, "1"}}, []int{0, 1}, "-9.223372036854776e+18"},
		{"wavg(v, w)", [][2]string{{"0", most}, {"0", "1"}, {"0", "-" + most}}, []int{1}, "<nil>"},
		{"min(v)", [][2]string{{most, "0"}, {least, "0"}}, nil, least},
		{"max(v)", [][2]string{{least, "0"}, {most, "0"}}, nil, most},
	}
	for _, together := range []bool{true, false} {
		for _, tt := range tests {
			c := minutesConfig(t.TempDir())
			c.Key, c.Time = "", ""
			c.Measures = window.Measures{{Name: "n", Expr: "count()"}, {Name: "m", Expr: tt.expr}}
			h := mustNew(t, c, "g")
			var batch []handler.Delivery
			for i, e := range tt.events {
				batch = append(batch, delivery(t, uint64(i), fmt.Sprintf(`{"v": %s, "w": %s}`, e[0], e[1])))
			}
			failed := map[int]error{}
			for pass := range 2 { // the second is a redelivery of all
				if together {
					if err := h.Handle(t.Context(), handlertest.Batch("g", batch...)); err != nil {
						failed = failures(t, err)
					}
				} else {
					for i, d := range batch {
						if err := h.Handle(t.Context(), handlertest.Batch("g", d)); err != nil {
							failed[i] = failures(t, err)[0]
						}
					}
				}
				if pass > 0 {
					break // what failed before may fit now
				}
				if len(failed) != len(tt.failed) {
					t.Errorf("%s of %v: failed are %v, want %v", tt.expr, tt.events, failed, tt.failed)
				}
				for _, i := range tt.failed {
					wantPermanent(t, failed[i], "measure m: result does not fit into 64 bits")
				}
				wantRows(t, c.DSN, "SELECT n, m FROM market_minutes", fmt.Sprintf("%d|%s", len(tt.events)-len(tt.failed), tt.want))
				wantRows(t, c.DSN, "SELECT count(*) FROM fanout_seen", fmt.Sprint(len(tt.events)-len(tt.failed)))
			}
		}
	}
}

func TestOverflowLeavesNoEmptyWindow(t *testing.T) {
	t.Parallel()
	c := minutesConfig(t.TempDir())
	h := mustNew(t, c, "g")
	err := h.Handle(t.Context(), handlertest.Batch("g", delivery(t, 1,
		`{"market_id": 1, "timestamp": 0, "odds": {"ticks": 9223372036854775807}, "stake": {"value": 2}}`)))
	wantPermanent(t, failures(t, err)[0], "measure vwap")
	wantRows(t, c.DSN, "SELECT * FROM market_minutes")
}

func TestWeightsThatSumUpToNothing(t *testing.T) {
	t.Parallel()
	c := minutesConfig(t.TempDir())
	c.Key, c.Time = "", ""
	c.Measures = window.Measures{{Name: "avg", Expr: "wavg(v, w)"}}
	mustHandle(t, mustNew(t, c, "g"), delivery(t, 1, `{"v": 3, "w": 1}`), delivery(t, 2, `{"v": 5, "w": -1}`))
	wantRows(t, c.DSN, "SELECT avg, avg_num, avg_den FROM market_minutes", "<nil>|-2|0")
}

// Two epochs can bring the same time and ID with different values.
func TestFirstAndLastOfEqualEntries(t *testing.T) {
	t.Parallel()
	for _, order := range [][]int64{{1, 2}, {2, 1}} {
		c := minutesConfig(t.TempDir())
		c.Key, c.Time = "", ""
		h := mustNew(t, c, "g")
		for _, v := range order {
			mustHandle(t, h, handlertest.Delivery(t, "s", fmt.Sprint("epoch", v), stream.ID{Ms: 9}, fmt.Sprintf(`{"odds": {"ticks": %d}}`, v)))
		}
		wantRows(t, c.DSN, "SELECT trades, open, close FROM market_minutes", "2|1|2")
	}
}

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
