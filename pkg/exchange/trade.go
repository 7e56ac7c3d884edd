package exchange

import "strconv"

// Trade is one match of two orders.
type Trade struct {
	TradeID   int64  // counts from 1
	MarketID  string // m-1, m-2, …
	OddsTicks int64  // decimal odds times 100: 245 is 2.45
	Stake     int64  // minor units of money
	Timestamp int64  // milliseconds since 1970, of simulated time
}

// AppendJSON appends the trade as the event that is published:
//
//	{"trade_id":812,"market_id":"m-17","odds":{"ticks":245},"stake":{"value":2500},"timestamp":1763856000123}
//
// MarketID must need no escapes in JSON, as those of an [Exchange].
func AppendJSON(b []byte, t Trade) []byte {
	b = append(b, `{"trade_id":`...)
	b = strconv.AppendInt(b, t.TradeID, 10)
	b = append(b, `,"market_id":"`...)
	b = append(b, t.MarketID...)
	b = append(b, `","odds":{"ticks":`...)
	b = strconv.AppendInt(b, t.OddsTicks, 10)
	b = append(b, `},"stake":{"value":`...)
	b = strconv.AppendInt(b, t.Stake, 10)
	b = append(b, `},"timestamp":`...)
	b = strconv.AppendInt(b, t.Timestamp, 10)
	return append(b, '}')
}
