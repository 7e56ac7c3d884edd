package webhook_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/handler/handlertest"
)

// BenchmarkHandle posts to a server in the same process, 16 calls at once.
func BenchmarkHandle(b *testing.B) {
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
	}))
	defer s.Close()
	h, err := config(s.URL, signed).New(handler.Env{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	defer h.Close()
	batch := handlertest.Trades(b, 0, 1)
	b.ReportAllocs()
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := h.Handle(b.Context(), batch); err != nil {
				b.Error(err)
			}
		}
	})
}
