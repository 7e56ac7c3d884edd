package integration

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.com/fanout/pkg/exchange"
	"example.com/fanout/pkg/stream"
)

// minutesGroup is a group that keeps windows of a minute in the table minutes
// of minutes.db, with the measures of the shipped manifest.
const minutesGroup = `  minutes:
    handler:
      window:
        key: market_id
        time: timestamp
        size: 1m
        measures:
          trades: count()
          volume: sum(stake.value)
          open: first(odds.ticks)
          high: max(odds.ticks)
          low: min(odds.ticks)
          close: last(odds.ticks)
          vwap: wavg(odds.ticks, stake.value)
        dsn: sqlite:minutes.db
        table: minutes
`

// sameTrades wants the table trades to hold each trade once, exactly.
func (s *site) sameTrades(file string, trades []exchange.Trade) {
	s.t.Helper()
	want := map[string]row{}
	for _, t := range trades {
		want[fmt.Sprint(t.TradeID)] = row{
			"trade_id": t.TradeID, "market_id": t.MarketID, "odds_ticks": t.OddsTicks,
			"stake": t.Stake, "traded_at": t.Timestamp,
		}
	}
	sameRows(s.t, "trades", s.query(file, "SELECT * FROM trades"), want, func(r row) string { return fmt.Sprint(r["trade_id"]) })
}

// sameMinutes wants every column of every row of a table of windows to be what
// comes out of the trades, which have been published under the IDs. Each column
// of the table must be one that is known here.
func (s *site) sameMinutes(file, table, group string, trades []exchange.Trade, ids []string) {
	s.t.Helper()
	want := map[string]row{}
	for k, trade := range byMinute(trades, ids) {
		want[k] = trade.row(group)
	}
	got := s.query(file, fmt.Sprintf("SELECT * FROM %q", table))
	if len(got) > 0 && len(want) > 0 {
		known := slices.Sorted(maps.Keys(want[slices.Collect(maps.Keys(want))[0]]))
		if columns := slices.Sorted(maps.Keys(got[0])); !slices.Equal(columns, known) {
			s.t.Errorf("%s has the columns %v, want %v", table, columns, known)
		}
	}
	sameRows(s.t, table, got, want, func(r row) string { return fmt.Sprintf("%v/%v", r["key"], r["window_start"]) })
}

const minute = 60_000 // milliseconds

// window is one minute of one market, worked out the slow and plain way.
type window struct {
	market string
	start  int64
	trades []published
}

// published is a trade and the ID that Redis gave it.
type published struct {
	exchange.Trade
	id stream.ID
}

func byMinute(trades []exchange.Trade, ids []string) map[string]*window {
	windows := map[string]*window{}
	for i, t := range trades {
		id, err := stream.ParseID(ids[i])
		if err != nil {
			panic(err)
		}
		start := t.Timestamp / minute * minute
		key := t.MarketID + "/" + strconv.FormatInt(start, 10)
		if windows[key] == nil {
			windows[key] = &window{market: t.MarketID, start: start}
		}
		windows[key].trades = append(windows[key].trades, published{t, id})
	}
	return windows
}

func (w *window) row(group string) row {
	slices.SortFunc(w.trades, func(a, b published) int {
		if a.Timestamp != b.Timestamp {
			return int(a.Timestamp - b.Timestamp)
		}
		return a.id.Compare(b.id)
	})
	first, last := w.trades[0], w.trades[len(w.trades)-1]
	high, low := first.OddsTicks, first.OddsTicks
	var volume, weighted int64
	for _, t := range w.trades {
		high, low = max(high, t.OddsTicks), min(low, t.OddsTicks)
		volume += t.Stake
		weighted += t.OddsTicks * t.Stake
	}
	return row{
		"fanout_group": group, "key": w.market, "window_start": w.start,
		"window_start_utc": time.UnixMilli(w.start).UTC().Format("2006-01-02T15:04:05.000Z"),
		"trades":           int64(len(w.trades)), "volume": volume,
		"open": first.OddsTicks, "open_at": first.Timestamp * 1e6, "open_id": first.id.String(),
		"high": high, "low": low,
		"close": last.OddsTicks, "close_at": last.Timestamp * 1e6, "close_id": last.id.String(),
		"vwap": float64(weighted) / float64(volume), "vwap_num": weighted, "vwap_den": volume,
	}
}

// The expectation itself, a window that was worked out on paper.
func TestWindowByHand(t *testing.T) {
	t.Parallel()
	trades := []exchange.Trade{
		{TradeID: 1, MarketID: "m", OddsTicks: 300, Stake: 10, Timestamp: 120_500},
		{TradeID: 2, MarketID: "m", OddsTicks: 200, Stake: 30, Timestamp: 120_000},
		{TradeID: 3, MarketID: "m", OddsTicks: 250, Stake: 60, Timestamp: 120_500},
		{TradeID: 4, MarketID: "m", OddsTicks: 900, Stake: 1, Timestamp: 180_000},
	}
	windows := byMinute(trades, strings.Fields("5-0 5-1 5-2 5-3"))
	if len(windows) != 2 {
		t.Fatalf("%d windows, want 2", len(windows))
	}
	want := row{
		"fanout_group": "g", "key": "m", "window_start": int64(120_000),
		"window_start_utc": "1970-01-01T00:02:00.000Z",
		"trades":           int64(3), "volume": int64(100),
		"open": int64(200), "open_at": int64(120_000_000_000), "open_id": "5-1",
		"high": int64(300), "low": int64(200),
		"close": int64(250), "close_at": int64(120_500_000_000), "close_id": "5-2",
		"vwap": 240.0, "vwap_num": int64(24_000), "vwap_den": int64(100),
	}
	if got := windows["m/120000"].row("g"); !maps.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}
