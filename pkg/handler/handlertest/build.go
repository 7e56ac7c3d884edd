package handlertest

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"example.com/fanout/pkg/event"
	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/stream"
)

// What [Run] and the makers of this file use where the caller does not say.
const (
	Group  = "handlertest"
	Stream = "events_stream"
	Epoch  = "epoch-1"
)

// tradeStart is the time of the first default trade, in ms.
const tradeStart = 1_763_856_000_000

// idStart is the time of the first default ID: an hour before the tests began,
// so that no handler takes the entry for too old to be known.
var idStart = uint64(time.Now().Add(-time.Hour).UnixMilli())

// Trade is the i-th default event: a trade as the exchange publishes it. Trades
// are 250 ms apart and spread over eight markets; no two have the same trade_id.
func Trade(i int) []byte {
	return fmt.Appendf(nil,
		`{"trade_id": %d, "market_id": "m-%d", "odds": {"ticks": %d}, "stake": {"value": %d}, "timestamp": %d}`,
		i+1, i%8, 100+i*7%250, 500+i*137%100_000, tradeStart+int64(i)*250)
}

// ID is the ID of the entry that carries the i-th event: in the last hour, in
// order, the same for the whole run of the tests.
func ID(i int) stream.ID { return stream.ID{Ms: idStart + uint64(i)/4, Seq: uint64(i) % 4} }

// Delivery makes the delivery of an entry that holds payload, a JSON document,
// in its field "event": read as new, for the first time. It fails the test when
// the payload cannot be decoded.
func Delivery[P string | []byte](tb testing.TB, strm, epoch string, id stream.ID, payload P) handler.Delivery {
	tb.Helper()
	entry := stream.Entry{ID: id, Fields: []stream.Field{{Name: []byte("event"), Value: []byte(payload)}}}
	ev, err := event.Decoder{Field: "event", Format: event.JSON}.Decode(entry)
	if err != nil {
		tb.Fatalf("decode %s: %v", id, err)
	}
	return handler.Delivery{
		Delivery: &stream.Delivery{
			Entry:  entry,
			Stream: strm,
			Epoch:  epoch,
			Ref:    id,
			Origin: stream.New,
			Count:  1,
		},
		Event:   ev,
		Attempt: 1,
	}
}

// Batch makes a batch of the deliveries in the given order. Its low-water mark
// is not known.
func Batch(group string, deliveries ...handler.Delivery) *handler.Batch {
	return &handler.Batch{Group: group, Deliveries: deliveries}
}

// Trades makes a batch of n default trades, numbered from first on, as entries
// of [Stream] in [Epoch] for [Group].
func Trades(tb testing.TB, first, n int) *handler.Batch {
	tb.Helper()
	return batchOf(tb, Epoch, Group, Trade, first, n)
}

func batchOf(tb testing.TB, epoch, group string, payload func(int) []byte, first, n int) *handler.Batch {
	tb.Helper()
	deliveries := make([]handler.Delivery, n)
	for i := range deliveries {
		deliveries[i] = Delivery(tb, Stream, epoch, ID(first+i), payload(first+i))
	}
	return Batch(group, deliveries...)
}

// Env is what the engine would give to a handler of that group. It keeps
// identities for seven days and logs to the test's output.
func Env(tb testing.TB, group string) handler.Env {
	tb.Helper()
	return handler.Env{
		Group:   group,
		Dedupe:  7 * 24 * time.Hour,
		Version: "v1.2.3",
		Logger:  slog.New(slog.NewTextHandler(tb.Output(), nil)),
	}
}
