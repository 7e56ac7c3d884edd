package window_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/handler/handlertest"
	"example.com/fanout/pkg/sink/window"
	"example.com/fanout/pkg/telemetry"
)

var base = time.UnixMilli(1763856000000).UTC() // 2025-11-23T00:00:00Z

func reader(t *testing.T, c *window.Config, group string) *window.Reader {
	t.Helper()
	r, err := c.NewReader(group)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// read follows the pages of a query to their end, and wants none to be longer
// than its limit.
func read(t *testing.T, r *window.Reader, q window.Query) []string {
	t.Helper()
	var all []string
	for page := 0; ; page++ {
		windows, next, err := r.Windows(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		if len(windows) > q.Limit {
			t.Fatalf("a page of %d has %d windows", q.Limit, len(windows))
		}
		for _, w := range windows {
			all = append(all, fmt.Sprintf("%T %v %v %v", w.Key, w.Key, w.Start.Sub(base), w.Values))
		}
		if next == "" {
			return all
		}
		if page > 10_000 {
			t.Fatal("the pages do not end")
		}
		q.After = next
	}
}

// filled is a store with trades of keys a, b, 7 (an integer) and "7" in some
// minutes: the i-th minute has 1+i trades of a, and one of each other.
func filled(t *testing.T, minutes int) *window.Config {
	t.Helper()
	c := minutesConfig(t.TempDir())
	c.Decimals = window.Decimals{{Path: "odds.ticks", Places: 2}}
	h := mustNew(t, c, "g")
	var all []handler.Delivery
	add := func(minute int, key string, odds, stake int) {
		all = append(all, delivery(t, uint64(len(all)+1), fmt.Sprintf(`{"market_id":%s,"odds":{"ticks":%d},"stake":{"value":%d},"timestamp":%d}`,
			key, odds, stake, base.Add(time.Duration(minute)*time.Minute).UnixMilli()+int64(len(all)%1000))))
	}
	for i := range minutes {
		for j := range i + 1 {
			add(i, `"a"`, 200+10*j, 5)
		}
		add(i, `"b"`, 300, 100)
		add(i, `7`, 400, 1)
		add(i, `"7"`, 500, 2)
	}
	mustHandle(t, h, all...)
	mustHandle(t, mustNew(t, c, "other"), delivery(t, 1, `{"market_id":"x","odds":{"ticks":1},"stake":{"value":1},"timestamp":1763856000000}`))
	return c
}

func TestReadWindows(t *testing.T) {
	t.Parallel()
	r := reader(t, filled(t, 4), "g")
	whole := read(t, r, window.Query{Limit: 1000})
	if len(whole) != 16 || whole[1] != "string 7 0s [1 2 500 500 500 500 500]" || whole[0] != "int64 7 0s [1 1 400 400 400 400 400]" {
		t.Fatalf("%d windows:\n%s", len(whole), strings.Join(whole, "\n"))
	}
	third := slices.IndexFunc(whole, func(w string) bool { return strings.HasPrefix(w, "string a 2m") })
	if want := "string a 2m0s [3 15 200 220 200 220 210]"; whole[third] != want {
		t.Errorf("got %s, want %s", whole[third], want)
	}
	only := func(keep func(string) bool) []string {
		return slices.DeleteFunc(slices.Clone(whole), func(w string) bool { return !keep(w) })
	}
	tests := []struct {
		name string
		q    window.Query
		want []string
	}{
		{"all", window.Query{}, whole},
		{"one key", window.Query{Keys: []string{"a"}}, only(func(w string) bool { return strings.HasPrefix(w, "string a") })},
		{"an integer is its text too", window.Query{Keys: []string{"7"}}, only(func(w string) bool { return strings.Contains(w, " 7 ") })},
		{"not an integer", window.Query{Keys: []string{"07"}}, nil},
		{"several keys", window.Query{Keys: []string{"b", "a", "c"}}, only(func(w string) bool { return !strings.Contains(w, " 7 ") })},
		{"since", window.Query{Since: base.Add(2 * time.Minute)}, whole[8:]},
		{"since within a window", window.Query{Since: base.Add(2*time.Minute + 1)}, whole[8:]},
		{"until", window.Query{Until: base.Add(2 * time.Minute)}, whole[:8]},
		{"between", window.Query{Keys: []string{"b"}, Since: base.Add(time.Minute), Until: base.Add(3 * time.Minute)},
			only(func(w string) bool {
				return strings.HasPrefix(w, "string b 1m") || strings.HasPrefix(w, "string b 2m")
			})},
		{"nothing", window.Query{Since: base.Add(time.Hour)}, nil},
	}
	for _, test := range tests {
		for _, limit := range []int{1, 2, 3, 7, 1000} { // whatever the pages are
			test.q.Limit = limit
			if got := read(t, r, test.q); !slices.Equal(got, test.want) {
				t.Errorf("%s by %d:\ngot  %q\nwant %q", test.name, limit, got, test.want)
			}
		}
	}
}

// A key whose windows lie among many others is found, page by page.
func TestReadSparse(t *testing.T) {
	t.Parallel()
	c := &window.Config{
		Key: "k", Time: "t", TimeUnit: "ms", Size: time.Millisecond, Measures: window.Measures{{Name: "n", Expr: "count()"}},
		DSN: telemetry.Secret("sqlite:" + filepath.Join(t.TempDir(), "w.db")), Table: "w", Create: true,
	}
	h := mustNew(t, c, "g")
	var all []handler.Delivery
	const starts = 2100 // more than one page goes through
	for i := range starts {
		key := "common"
		if i == 10 || i == starts-1 {
			key = "rare"
		}
		all = append(all, delivery(t, uint64(i+1), fmt.Sprintf(`{"k":%q,"t":%d}`, key, base.UnixMilli()+int64(i))))
	}
	mustHandle(t, h, all...)
	got := read(t, reader(t, c, "g"), window.Query{Keys: []string{"rare"}, Limit: 10})
	if want := []string{"string rare 10ms [1]", "string rare 2.099s [1]"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestRankKeys(t *testing.T) {
	t.Parallel()
	r := reader(t, filled(t, 4), "g")
	rank := func(by string, since, until time.Time, limit int) string {
		t.Helper()
		ranked, keys, complete, err := r.Keys(t.Context(), window.KeyQuery{By: by, Since: since, Until: until, Limit: limit})
		if err != nil || !complete {
			t.Fatalf("complete: %v; %v", complete, err)
		}
		text := ranked
		for _, k := range keys {
			text += fmt.Sprintf(" | %T %v %d %v-%v %v", k.Key, k.Key, k.Windows, k.First.Sub(base), k.Last.Sub(base), k.Totals[:3])
		}
		return text
	}
	for _, test := range []struct {
		by           string
		since, until time.Time
		limit        int
		want         string
	}{
		{"", time.Time{}, base.Add(time.Minute), 1, "volume | string b 1 0s-0s [1 100 <nil>]"},
		{"trades", base.Add(time.Minute), base.Add(2*time.Minute + time.Second), 1, "trades | string a 2 1m0s-2m0s [5 25 <nil>]"},
		{"", time.Time{}, time.Time{}, 2, "volume | string b 4 0s-3m0s [4 400 <nil>] | string a 4 0s-3m0s [10 50 <nil>]"},
		{"trades", time.Time{}, time.Time{}, 1, "trades | string a 4 0s-3m0s [10 50 <nil>]"},
		{"volume", base.Add(3 * time.Minute), time.Time{}, 9, "volume | string b 1 3m0s-3m0s [1 100 <nil>] | string a 1 3m0s-3m0s [4 20 <nil>] | string 7 1 3m0s-3m0s [1 2 <nil>] | int64 7 1 3m0s-3m0s [1 1 <nil>]"},
		{"", base.Add(time.Hour), time.Time{}, 9, "volume"},
	} {
		if got := rank(test.by, test.since, test.until, test.limit); got != test.want {
			t.Errorf("by %q:\ngot  %s\nwant %s", test.by, got, test.want)
		}
	}
	for _, by := range []string{"vwap", "high", "nothing", `"; DROP TABLE market_minutes`} {
		if _, _, _, err := r.Keys(t.Context(), window.KeyQuery{By: by, Limit: 1}); !errors.Is(err, window.ErrQuery) {
			t.Errorf("by %s: %v", by, err)
		}
	}
}

func TestReadBadCursor(t *testing.T) {
	t.Parallel()
	r := reader(t, filled(t, 1), "g")
	for _, after := range []string{"x", "%", "1", "1.", "1.x", "1.n", "1.nx", "a.tb", "99999999999999999999.ta"} {
		if strings.Contains(after, ".") {
			after = base64.RawURLEncoding.EncodeToString([]byte(after))
		}
		if _, _, err := r.Windows(t.Context(), window.Query{After: after, Limit: 1}); !errors.Is(err, window.ErrQuery) {
			t.Errorf("%q: %v", after, err)
		}
	}
}

// A store that is not there is told, and not made by reading; a table that is not
// there yet has no windows.
func TestReadNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := reader(t, minutesConfig(dir), "g")
	nothing := func(when string, want error) {
		t.Helper()
		windows, next, err := r.Windows(t.Context(), window.Query{Limit: 10})
		_, keys, _, err2 := r.Keys(t.Context(), window.KeyQuery{Limit: 10})
		if len(windows) > 0 || next != "" || len(keys) > 0 || !errors.Is(err, want) || !errors.Is(err2, want) {
			t.Errorf("%s: %v, %v; %v, %v", when, windows, err, keys, err2)
		}
	}
	nothing("without a file", window.ErrNoStore)
	path := filepath.Join(dir, "analytics.db")
	if _, err := os.Stat(path); err == nil {
		t.Error("reading has made a file")
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	nothing("with an empty file", window.ErrNoStore)
	other := minutesConfig(dir)
	other.Table = "other"
	mustNew(t, other, "g")
	nothing("without the table", nil)
	if err := os.WriteFile(filepath.Join(dir, "broken.db"), []byte(strings.Repeat("no database", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	broken := minutesConfig(dir)
	broken.DSN = telemetry.Secret("sqlite:" + filepath.Join(dir, "broken.db"))
	if _, _, err := reader(t, broken, "g").Windows(t.Context(), window.Query{Limit: 1}); err == nil || !strings.Contains(err.Error(), "not a SQLite database") {
		t.Errorf("a file that is no database: %v", err)
	}
}

// The handler writes while somebody reads, however long, and a reader sees what
// was there when it began.
func TestReadBesideWriter(t *testing.T) {
	t.Parallel()
	c := minutesConfig(t.TempDir())
	h := mustNew(t, c, "g")
	r := reader(t, c, "g")
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 12 {
			if err := h.Handle(t.Context(), handlertest.Batch("g", handlertest.Trades(t, 200*i, 200).Deliveries...)); err != nil {
				t.Error(err)
			}
		}
	}()
	reads := 0
	for running := true; running; reads++ {
		select {
		case <-done:
			running = false
		default:
		}
		windows, _, err := r.Windows(t.Context(), window.Query{Limit: 100_000})
		if err != nil {
			t.Fatal(err)
		}
		var counted int64
		for _, w := range windows {
			counted += w.Values[0].(int64)
		}
		if counted%200 != 0 {
			t.Fatalf("a reader sees %d trades, a part of a transaction", counted)
		}
	}
	if reads < 2 {
		t.Errorf("%d reads beside the writer", reads)
	}
	wantRows(t, c.DSN, "SELECT sum(trades) FROM market_minutes", "2400")
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := r.Windows(cancelled, window.Query{Limit: 1}); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that is done: %v", err)
	}
}

func TestMeasures(t *testing.T) {
	t.Parallel()
	c := minutesConfig(t.TempDir())
	c.Decimals = window.Decimals{{Path: "odds.ticks", Places: 2}, {Path: "stake.value", Places: 3}}
	r := reader(t, c, "g")
	if r.Table() != "market_minutes" || r.Size() != time.Minute || r.Key() != "market_id" || r.Time() != "timestamp" {
		t.Errorf("%s %s %s %s", r.Table(), r.Size(), r.Key(), r.Time())
	}
	got := fmt.Sprint(r.Measures())
	if want := "[{trades count   0} {volume sum stake.value  3} {open first odds.ticks  2} {high max odds.ticks  2} {low min odds.ticks  2} {close last odds.ticks  2} {vwap wavg odds.ticks stake.value 2}]"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	for places, faults := range map[int]int{0: 0, 18: 0, 19: 1, -1: 1} {
		c.Decimals = window.Decimals{{Path: "a", Places: places}}
		if found := c.Check(); len(found) != faults {
			t.Errorf("%d places: %v", places, found)
		}
	}
	c.Decimals = window.Decimals{{Path: "a..b", Places: 1}}
	if found := c.Check(); len(found) != 1 || found[0].Path != "decimals.a..b" {
		t.Errorf("a path that is none: %v", found)
	}
}
