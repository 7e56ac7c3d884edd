package window_test

import (
	"testing"

	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/handler/handlertest"
)

func BenchmarkHandle(b *testing.B) {
	const size = 256
	h := mustNew(b, minutesConfig(b.TempDir()), "analytics")
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
