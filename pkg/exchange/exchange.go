// Package exchange simulates a betting exchange: bettors back and lay outcomes
// on several markets, their orders meet in a price-time order book on the usual
// ladder of betting odds, and the trades come out as events.
//
//   - The same Config gives the same trades, on every machine.
//   - Every trade has odds on the ladder, those of the order that was there before.
//   - trade_id counts from 1 without gaps; timestamps never go back.
//   - Market m-1 is the busiest, then m-2, and so on (Zipf).
package exchange

import (
	"math/rand/v2"
	"strconv"
	"time"
)

// Config says what to simulate.
type Config struct {
	Seed    uint64
	Markets int       // named m-1, m-2, …; default 20, at most 10,000
	Start   time.Time // of simulated time; default 2025-11-23T00:00:00Z
	Rate    float64   // trades per simulated second on average; default 100
}

const (
	defaultMarkets = 20
	maxMarkets     = 10_000
	defaultRate    = 100
	lowestRate     = 1e-6
	defaultStart   = 1763856000 // seconds since 1970
)

// Exchange produces trades. It is not safe for concurrent use.
type Exchange struct {
	random  *rand.Rand
	zipf    *rand.Zipf
	rate    float64
	markets []market
	last    int64 // trade_id
	millis  int64 // simulated time since 1970
	nanos   int64 // of it beyond millis

	matched *market // the fills of its book are being given out
	given   int
}

type market struct {
	id   string
	fair float64 // the level around which bettors see fair odds
	book *book
}

// New starts a simulation with empty books.
func New(c Config) *Exchange {
	if c.Markets <= 0 {
		c.Markets = defaultMarkets
	}
	c.Markets = min(c.Markets, maxMarkets)
	if !(c.Rate > 0) {
		c.Rate = defaultRate
	}
	if c.Start.IsZero() {
		c.Start = time.Unix(defaultStart, 0)
	}
	random := rand.New(rand.NewPCG(c.Seed, 0x66616e6f7574))
	x := &Exchange{
		random:  random,
		zipf:    rand.NewZipf(random, 1.1, 2, uint64(c.Markets-1)),
		rate:    max(c.Rate, lowestRate),
		markets: make([]market, c.Markets),
		millis:  c.Start.UnixMilli(),
	}
	for i := range x.markets {
		x.markets[i] = market{
			id:   "m-" + strconv.Itoa(i+1),
			fair: float64(lowestFair + random.IntN(highestFair-lowestFair)),
			book: newBook(),
		}
	}
	return x
}

// Next simulates until the next trade.
func (x *Exchange) Next() Trade {
	for x.matched == nil || x.given == len(x.matched.book.fills) {
		x.matched, x.given = x.bet(), 0
		// All matches of one order happen at once, after a gap that keeps the rate.
		if n := len(x.matched.book.fills); n > 0 {
			x.nanos += int64(x.random.ExpFloat64() * float64(n) / x.rate * 1e9)
			x.millis += x.nanos / 1e6
			x.nanos %= 1e6
		}
	}
	f := x.matched.book.fills[x.given]
	x.given++
	x.last++
	return Trade{
		TradeID:   x.last,
		MarketID:  x.matched.id,
		OddsTicks: ladder[f.level],
		Stake:     f.stake,
		Timestamp: x.millis,
	}
}
