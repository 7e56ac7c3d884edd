package window_test

import (
	"testing"
	"time"

	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/handler/handlertest"
	"example.com/fanout/pkg/sink/window"
	"example.com/fanout/pkg/telemetry"
)

func BenchmarkHandle(b *testing.B) {
	const size = 256
	c := &window.Config{
		Key: "market_id", Time: "timestamp", Size: time.Minute, Table: "market_minutes", Create: true,
		Measures: shippedMeasures,
		DSN:      telemetry.Secret("sqlite:" + b.TempDir() + "/a.db"),
	}
	h, err := c.New(handlertest.Env(b, "analytics"))
	if err != nil {
		b.Fatal(err)
	}
	defer h.Close()
	batches := make([]*handler.Batch, b.N)
	for i := range batches {
		batches[i] = handlertest.Trades(b, i*size, size)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for _, batch := range batches {
		if err := h.Handle(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N*size)/b.Elapsed().Seconds(), "rows/s")
}

var shippedMeasures = window.Measures{
	{Name: "trades", Expr: "count()"},
	{Name: "volume", Expr: "sum(stake.value)"},
	{Name: "open", Expr: "first(odds.ticks)"},
	{Name: "high", Expr: "max(odds.ticks)"},
	{Name: "low", Expr: "min(odds.ticks)"},
	{Name: "close", Expr: "last(odds.ticks)"},
	{Name: "vwap", Expr: "wavg(odds.ticks, stake.value)"},
}
