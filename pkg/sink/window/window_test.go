package window_test

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/handler/handlertest"
	"example.com/fanout/pkg/sink/window"
	"example.com/fanout/pkg/stream"
	"example.com/fanout/pkg/telemetry"
)

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
	mustHandle(t, h, delivery(t, 60_000, `{"market_id": "`+strings.Repeat("я", 512)+`"}`)) // as long as a key may be
	wantRows(t, c.DSN, "SELECT typeof(key), key, window_start, n FROM market_minutes WHERE window_start = 0 ORDER BY key",
		"integer|-9223372036854775808|0|1", "integer|7|0|3", "text||0|1", "text|7|0|1", "text|a\x00b'\"|0|2")

	failed := failures(t, h.Handle(t.Context(), handlertest.Batch("g",
		delivery(t, 10, `{}`), delivery(t, 11, `{"market_id": null}`), delivery(t, 12, `{"market_id": 2.5}`), delivery(t, 13, `{"market_id": {}}`), delivery(t, 14, `{"market_id": true}`),
		delivery(t, 15, `{"market_id": "`+strings.Repeat("я", 513)+`"}`))))
	for i, want := range []string{"market_id is missing", "type null", "a key is a string or an integer", "type object", "type boolean", "is of 1026 bytes; a key has 1024 at most"} {
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

// The average is rounded once, from the exact quotient.
func TestAverageIsTheNearestFloat(t *testing.T) {
	t.Parallel()
	type pair struct{ v, w int64 } // two of them make a window
	windows := [][2]pair{
		{{1<<53 + 1, 1}, {0, 0}}, {{math.MaxInt64, 1}, {0, 1 << 52}}, {{math.MinInt64, 1}, {1, 1}}, {{-1, 1}, {1, math.MaxInt64 - 1}},
		{{1, math.MinInt64}, {1, 1}}, {{0, -1}, {0, -1}}, {{1, 3}, {2, 3}}, {{9007199254740993, 3}, {1, 4}},
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		bits := rnd.IntN(31)
		part := func() pair { return pair{rnd.Int64()>>(bits+2) - 1<<(59-bits), rnd.Int64() >> (62 - bits)} }
		windows = append(windows, [2]pair{part(), part()})
	}
	c := minutesConfig(t.TempDir())
	c.Key, c.Time = "k", ""
	c.Measures = window.Measures{{Name: "avg", Expr: "wavg(v, w)"}}
	h := mustNew(t, c, "g")
	var batch []handler.Delivery
	var want []string
	rounded := 0 // those that two roundings would get wrong
	for i, w := range windows {
		num, den := new(big.Int), new(big.Int)
		for j, e := range w {
			num.Add(num, new(big.Int).Mul(big.NewInt(e.v), big.NewInt(e.w)))
			den.Add(den, big.NewInt(e.w))
			batch = append(batch, delivery(t, uint64(2*i+j), fmt.Sprintf(`{"k": %d, "v": %d, "w": %d}`, i, e.v, e.w)))
		}
		avg := "<nil>"
		if den.Sign() != 0 {
			f, _ := new(big.Rat).SetFrac(num, den).Float64()
			avg = fmt.Sprint(f)
			if f != float64(num.Int64())/float64(den.Int64()) {
				rounded++
			}
		}
		want = append(want, fmt.Sprintf("%d|%s", i, avg))
	}
	mustHandle(t, h, batch...)
	if rounded == 0 {
		t.Error("no window tells one rounding from two")
	}
	wantRows(t, c.DSN, "SELECT key, avg FROM market_minutes ORDER BY key", want...)
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
