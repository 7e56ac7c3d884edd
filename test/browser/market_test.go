package browser

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

// rows reads a store of the site; each row is its values parted by spaces.
func (x *site) rows(file, query string) []string {
	x.t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(x.dir, file)+"?mode=ro&_pragma=busy_timeout(10000)")
	if err != nil {
		x.t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.Query(query)
	if err != nil {
		x.t.Fatal(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		x.t.Fatal(err)
	}
	var all []string
	for rows.Next() {
		values := make([]any, len(columns))
		into := make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			x.t.Fatal(err)
		}
		all = append(all, strings.TrimSuffix(fmt.Sprintln(values...), "\n"))
	}
	if err := rows.Err(); err != nil {
		x.t.Fatal(err)
	}
	return all
}

func (x *site) query(file, query string) string { return strings.Join(x.rows(file, query), "\n") }

// drawn are the candles of a market as the page has drawn them: their numbers,
// and where they stand.
type drawn struct {
	Start, Open, High, Low, Close, Volume, Trades int64
	Vwap                                          float64
	Title                                         string
	Wick                                          [2]float64 // y of high and low
	Body                                          [2]float64 // y of the upper and the lower end
	Bar                                           float64    // height
}

const readCandles = `[...document.querySelectorAll('.card[data-key="%s"] .candle')].map((g) => {
	const d = g.dataset, n = (e, a) => Number(g.querySelector(e).getAttribute(a));
	return {
		Start: +d.start, Open: +d.open, High: +d.high, Low: +d.low, Close: +d.close, Volume: +d.volume, Trades: +d.trades, Vwap: +d.vwap,
		Title: g.querySelector("title").textContent,
		Wick: [n(".wick", "y1"), n(".wick", "y2")], Body: [n(".body", "y"), n(".body", "y") + n(".body", "height")], Bar: n(".volume", "height"),
	};
})`

// What a chart shows is what stands in the store, and it is drawn to scale.
func TestMarket(t *testing.T) {
	t.Parallel()
	x := newMarket(t, 50*time.Minute, 14_000)
	x.settled("analytics")
	b := openTab(t)
	b.open(x.url() + "#/market")
	b.until(`document.querySelectorAll(".card").length === 6`)

	// The busiest markets first.
	since := time.Now().Add(-time.Hour).UnixMilli()
	busiest := x.rows("data/analytics.db", fmt.Sprintf("SELECT key FROM market_minutes WHERE window_start >= %d GROUP BY key ORDER BY sum(volume) DESC, key", since))
	eventually(t, "show the busiest first", func() error {
		if keys := value[[]string](b, `[...document.querySelectorAll(".keys tbody tr")].map((r) => r.dataset.key)`); fmt.Sprint(keys) != fmt.Sprint(busiest) {
			return fmt.Errorf("the busiest are %v, shown are %v", busiest, keys)
		}
		return nil
	})
	for _, key := range busiest[:6] {
		compare(t, x, b, key)
	}

	// It moves as trades come in.
	x.exchange = newExchange(0, 100)
	x.publish(x.trades(2000)...)
	x.settled("analytics")
	for _, key := range busiest[:2] {
		want := x.query("data/analytics.db", "SELECT sum(trades) FROM market_minutes WHERE key = '"+key+"'")
		b.until(fmt.Sprintf(`(`+readCandles+`).reduce((n, w) => n + w.Trades, 0) === %s`, key, want))
		compare(t, x, b, key)
	}

	// One market alone, with its numbers.
	b.click(`.card[data-key="`+busiest[0]+`"] h2 a`, busiest[0])
	b.until(`document.querySelectorAll(".card").length === 1 && document.querySelectorAll(".windows tbody tr").length > 5`)
	compare(t, x, b, busiest[0])
}

// compare wants the candles of a key to be its windows in the store.
func compare(t *testing.T, x *site, b *tab, key string) {
	t.Helper()
	var candles []drawn
	eventually(t, "show the windows of "+key, func() error {
		candles = value[[]drawn](b, fmt.Sprintf(readCandles, key))
		var got, want []string
		for _, c := range candles {
			got = append(got, fmt.Sprintln(c.Start, c.Open, c.High, c.Low, c.Close, c.Volume, c.Trades, fmt.Sprintf("%.9f", c.Vwap)))
		}
		for _, row := range x.rows("data/analytics.db", "SELECT window_start, open, high, low, close, volume, trades, printf('%.9f', vwap) FROM market_minutes WHERE key = '"+key+"' ORDER BY window_start") {
			want = append(want, row+"\n")
		}
		if len(want) == 0 || fmt.Sprint(got) != fmt.Sprint(want) {
			return fmt.Errorf("shown\n%swant\n%s", strings.Join(got, ""), strings.Join(want, ""))
		}
		return nil
	})
	// Odds and heights lie on one line: the greatest and the least odds say which.
	var high, low, top, bottom, most, tallest float64
	for i, c := range candles {
		if i == 0 || float64(c.High) > high {
			high, top = float64(c.High), c.Wick[0]
		}
		if i == 0 || float64(c.Low) < low {
			low, bottom = float64(c.Low), c.Wick[1]
		}
		if float64(c.Volume) > most {
			most, tallest = float64(c.Volume), c.Bar
		}
	}
	y := func(odds int64) float64 { return bottom + (float64(odds)-low)*(top-bottom)/(high-low) }
	near := func(a, b float64) bool { return a-b < 1.2 && b-a < 1.2 } // pixels; a body is one high at least
	for _, c := range candles {
		upper, lower := max(c.Open, c.Close), min(c.Open, c.Close)
		if !near(c.Wick[0], y(c.High)) || !near(c.Wick[1], y(c.Low)) || !near(c.Body[0], y(upper)) || !near(c.Body[1], y(lower)) {
			t.Errorf("%s: %+v is not drawn to scale: high at %.1f, open and close at %.1f and %.1f, low at %.1f", key, c, y(c.High), y(c.Open), y(c.Close), y(c.Low))
		}
		if !near(c.Bar, float64(c.Volume)/most*tallest) {
			t.Errorf("%s: the bar of %d is %.1f high, that of %.0f %.1f", key, c.Volume, c.Bar, most, tallest)
		}
		if want := fmt.Sprintf("open %.2f high %.2f low %.2f close %.2f", float64(c.Open)/100, float64(c.High)/100, float64(c.Low)/100, float64(c.Close)/100); !strings.Contains(c.Title, want) {
			t.Errorf("%s: %q lacks %q", key, c.Title, want)
		}
	}
}

// Keys are whatever producers write: they are shown as they are, and have charts
// of their own.
func TestOddKeys(t *testing.T) {
	t.Parallel()
	x := newSite(t, settings{groups: market})
	uuid := `0192d0c8-7a4b-7c3e-9d51-2f6b8a1c4e70`
	keys := []string{uuid, `50%25 & <b>x</b>/"q"`, strings.Repeat("Ж", 300), ` `, `7`}
	for i, key := range append(keys, "") {
		text, err := json.Marshal(key)
		if err != nil {
			t.Fatal(err)
		}
		if key == "7" {
			text = []byte("7") // an integer
		}
		x.publish(fmt.Sprintf(`{"trade_id":%d,"market_id":%s,"odds":{"ticks":%d},"stake":{"value":%d},"timestamp":%d}`, i, text, 200+i, 100*(i+1), time.Now().UnixMilli()))
	}
	b := openTab(t)
	b.open(x.url() + "#/market")
	b.until(`document.querySelectorAll(".card .candle").length === 6`)
	for _, width := range []int64{390, 1440} {
		b.size(width, 900)
		b.until(fmt.Sprintf("innerWidth === %d", width))
		b.fits("market")
		if over := value[float64](b, "document.documentElement.scrollWidth - innerWidth"); over > 0 {
			t.Errorf("at %d it is %v px wider than the screen", width, over)
		}
	}
	for i, key := range keys {
		b.hash("#/market")
		b.until(`document.querySelectorAll(".card").length === 6`)
		b.click(fmt.Sprintf(`.card[data-key=%q] h2 a`, key), "")
		b.until(fmt.Sprintf(`document.querySelectorAll(".card").length === 1 && document.querySelector(".card .price").textContent === "2.0%d"`, i))
	}
	b.hash("#/market/analytics/nobody")
	b.sees("no windows of this key")
	if marks := value[int](b, `document.querySelectorAll(".candles text[text-anchor=start]").length`); marks > 0 {
		t.Errorf("without a price there are %d prices at the axis", marks)
	}
	b.hash("#/market/%E0%A4%A") // an address that is none
	b.until(`location.hash === "#/"`)
}

// Keys that look the same are told apart, letters that turn the line are shown as
// what they are, and a key that no request can carry hides no other one.
func TestConfusingKeys(t *testing.T) {
	t.Parallel()
	x := newSite(t, settings{groups: market})
	publish := func(key string, odds, stake int) {
		x.publish(fmt.Sprintf(`{"trade_id":%d,"market_id":%s,"odds":{"ticks":%d},"stake":{"value":%d},"timestamp":%d}`, odds, key, odds, stake, time.Now().UnixMilli()))
	}
	publish(`5`, 205, 900)
	publish(`"5"`, 305, 800)
	publish(`"m-\u202elive"`, 405, 700)
	publish(`9007199254740993`, 505, 600)
	publish(`9007199254740992`, 605, 500)
	for i := range 12 {
		publish(`"`+strings.Repeat("Ю", 450+i)+`"`, 705, 1000) // 2.7 KB of an address each
	}
	b := openTab(t)
	b.open(x.url() + "#/market")
	b.until(`document.querySelectorAll(".keys tbody tr").length === 17`)
	last := func(key string) string {
		return fmt.Sprintf(`JSON.stringify([...document.querySelectorAll('.keys tr[data-key=%q]')].map((r) => r.children[1].textContent).sort())`, key)
	}
	for key, want := range map[string]string{"5": `["2.05","3.05"]`, "9007199254740993": `["5.05"]`, "9007199254740992": `["6.05"]`} {
		b.until(fmt.Sprintf(`%s === %q`, last(key), want))
	}
	b.until(`document.querySelectorAll(".card .candle").length === 6`)
	if text := value[string](b, "document.body.innerText"); !strings.Contains(text, `m-\u202elive`) || strings.Contains(text, "\u202e") {
		t.Errorf("letters that turn the line are shown as\n%s", text)
	}
	b.fits("market")
	b.hash("#/market/analytics/5")
	b.until(`document.querySelectorAll(".card .candle").length === 2`)
}

// Trades of a clock that is wrong are not read again and again.
func TestTradesOfTheFuture(t *testing.T) {
	t.Parallel()
	x := newSite(t, settings{groups: market})
	var events []string
	for i := range 3000 {
		events = append(events, fmt.Sprintf(`{"trade_id":%d,"market_id":"m-%d","odds":{"ticks":245},"stake":{"value":1250},"timestamp":%d}`, i, i%3, time.Now().Add(time.Duration(i)*time.Minute).UnixMilli()))
	}
	x.publish(events...)
	x.settled("analytics")
	b := openTab(t)
	b.open(x.url() + "#/market")
	b.until(`document.querySelectorAll(".card .candle").length > 0`)
	if n := value[int](b, `document.querySelectorAll(".candle").length`); n > 4 {
		t.Errorf("%d windows are shown", n)
	}
	if size := value[int](b, `performance.getEntriesByType("resource").filter((e) => e.name.includes("/windows?")).reduce((most, e) => Math.max(most, e.decodedBodySize), 0)`); size > 10_000 {
		t.Errorf("an answer has %d bytes", size)
	}
}

// The tape shows trades as they happen, and those that are notified marked.
func TestTape(t *testing.T) {
	t.Parallel()
	x := newSite(t, settings{groups: market})
	b := openTab(t)
	b.open(x.url() + "#/market")
	x.exchange = newExchange(time.Minute, 5)
	x.publish(x.trades(200)...)
	b.until(`document.querySelectorAll(".tape tr[data-id]").length > 10`)
	ids := x.publish(
		`{"trade_id":1,"market_id":"m-1","odds":{"ticks":245},"stake":{"value":1250},"timestamp":1763856000123}`,
		`{"trade_id":2,"market_id":"m-2","odds":{"ticks":1000},"stake":{"value":123456},"timestamp":1763856000124}`,
	)
	row := func(of string, id string) string {
		return fmt.Sprintf(`[...document.querySelectorAll(".tape")][%s].querySelector('tr[data-id="%s"]')`, of, id)
	}
	b.until(row("0", ids[0]) + `?.innerText.includes("m-1\t2.45\t12.50")`)
	b.until(row("0", ids[1]) + `?.innerText.includes("m-2\t10.00\t1,234.56")`)
	b.until(row("0", ids[1]) + `.classList.contains("marked") && !` + row("0", ids[0]) + `.classList.contains("marked")`)
	b.until(row("1", ids[1]) + ` && !` + row("1", ids[0]))
	b.press("Hold")
	later := x.publish(`{"trade_id":3,"market_id":"m-3","odds":{"ticks":200},"stake":{"value":100},"timestamp":1763856000125}`)
	x.settled("tape")
	b.until(find("button", "Go on"))
	if value[bool](b, "Boolean("+row("0", later[0])+")") {
		t.Error("what is held moves")
	}
	b.press("Go on")
	b.until(row("0", later[0]))
}
