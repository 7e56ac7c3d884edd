package exchange_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"math"
	"testing"
	"time"

	"example.com/fanout/pkg/exchange"
)

// start is when the trades of the tests begin.
var start = time.UnixMilli(1763856000000)

func digest(c exchange.Config, n int) string {
	x := exchange.New(c)
	h := sha256.New()
	var b []byte
	for range n {
		b = append(exchange.AppendJSON(b[:0], x.Next()), '\n')
		h.Write(b)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func TestSameSeedSameTrades(t *testing.T) {
	t.Parallel()
	c := exchange.Config{Seed: 42, Markets: 12, Start: start, Rate: 250}
	const golden = "1ff265574650b7c4c5ffddbe1a321e5529bdc90f2425a44bcdb6a370c2d06f35"
	if got := digest(c, 20_000); got != golden {
		t.Errorf("the trades have changed: %s", got)
	}
	c.Seed++
	if digest(c, 20_000) == golden {
		t.Error("another seed gives the same trades")
	}
}

func TestTrades(t *testing.T) {
	t.Parallel()
	onLadder := map[int64]bool{}
	for _, s := range []struct{ from, to, by int64 }{
		{101, 200, 1}, {200, 300, 2}, {300, 400, 5}, {400, 600, 10}, {600, 1000, 20},
		{1000, 2000, 50}, {2000, 3000, 100}, {3000, 5000, 200}, {5000, 10000, 500}, {10000, 100000, 1000},
	} {
		for odds := s.from; odds <= s.to; odds += s.by {
			onLadder[odds] = true
		}
	}

	const n, rate = 100_000, 500
	x := exchange.New(exchange.Config{Seed: 7, Markets: 10, Start: start, Rate: rate})
	last := start.UnixMilli()
	var large, sameTime int
	byMarket := map[string]int{}
	odds := map[int64]bool{}
	for i := range n {
		trade := x.Next()
		switch {
		case trade.TradeID != int64(i+1):
			t.Fatalf("trade %d has the ID %d", i+1, trade.TradeID)
		case !onLadder[trade.OddsTicks]:
			t.Fatalf("%d is not on the ladder", trade.OddsTicks)
		case trade.Stake <= 0:
			t.Fatalf("the stake is %d", trade.Stake)
		case trade.Timestamp < last:
			t.Fatalf("time went back by %d ms", last-trade.Timestamp)
		}
		if trade.Timestamp == last {
			sameTime++
		}
		if trade.Stake >= 50_000 {
			large++
		}
		last = trade.Timestamp
		byMarket[trade.MarketID]++
		odds[trade.OddsTicks] = true
	}

	if share := float64(large) / n; share < 0.015 || share > 0.06 {
		t.Errorf("%.1f %% of the stakes reach 50000", share*100)
	}
	if got := n / (float64(last-start.UnixMilli()) / 1000); math.Abs(got-rate) > rate*0.03 {
		t.Errorf("the rate is %.0f a second, want %d", got, rate)
	}
	if len(byMarket) != 10 || byMarket["m-1"] < 2*byMarket["m-5"] || byMarket["m-2"] < byMarket["m-6"] || byMarket["m-10"] == 0 {
		t.Errorf("trades by market are %v", byMarket)
	}
	if len(odds) < 50 {
		t.Errorf("only %d different odds", len(odds))
	}
	if sameTime == 0 {
		t.Error("no order was matched by several")
	}
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	for _, c := range []exchange.Config{{}, {Markets: -1, Rate: math.NaN()}, {Rate: -1}, {Markets: 1, Rate: math.Inf(1)}, {Markets: 1, Rate: 1e-300}} {
		x := exchange.New(c)
		last := int64(1763856000000)
		for range 10_000 {
			trade := x.Next()
			if trade.Timestamp < last {
				t.Fatalf("%+v: time went back", c)
			}
			last = trade.Timestamp
		}
	}
}

func TestAppendJSON(t *testing.T) {
	t.Parallel()
	trade := exchange.Trade{TradeID: 812, MarketID: "m-17", OddsTicks: 245, Stake: 2500, Timestamp: 1763856000123}
	const want = `{"trade_id":812,"market_id":"m-17","odds":{"ticks":245},"stake":{"value":2500},"timestamp":1763856000123}`
	got := exchange.AppendJSON([]byte("x"), trade)
	if string(got) != "x"+want || !json.Valid(got[1:]) {
		t.Errorf("JSON is %s", got)
	}
}

// Not parallel: it counts the allocations of the process.
func TestTradesDoNotAllocate(t *testing.T) {
	x := exchange.New(exchange.Config{Seed: 1, Markets: 5})
	b := make([]byte, 0, 256)
	for range 50_000 {
		x.Next()
	}
	if n := testing.AllocsPerRun(1_000, func() { b = exchange.AppendJSON(b[:0], x.Next()) }); n != 0 {
		t.Errorf("%v allocations a trade", n)
	}
}

func BenchmarkNext(b *testing.B) {
	x := exchange.New(exchange.Config{Seed: 1})
	buf := make([]byte, 0, 256)
	b.ReportAllocs()
	for b.Loop() {
		buf = exchange.AppendJSON(buf[:0], x.Next())
	}
}
