package probe_test

import (
	"fmt"
	"testing"
	"time"

	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/handler/handlertest"
	"example.com/fanout/test/bench/probe"
)

func TestLatency(t *testing.T) {
	t.Parallel()
	var r probe.Recorder
	if got := r.Latency(); got != (probe.Latency{}) {
		t.Errorf("nothing gives %+v", got)
	}
	now := time.Unix(1763856000, 0)
	for i := range 101 { // 0 to 100 ms, in an order that is not theirs
		ago := time.Duration(i*37%101) * time.Millisecond
		r.Add(now, []int64{now.Add(-ago).UnixNano(), 0})
	}
	want := probe.Latency{Count: 101, P50: 50_000, P90: 90_000, P99: 99_000, Max: 100_000}
	if got := r.Latency(); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestSentIn(t *testing.T) {
	t.Parallel()
	tests := []struct {
		event string
		want  int64
	}{
		{`{"trade_id":1,"sent":1763856000123456789}`, 1763856000123456789},
		{`{"sent":12,"trade_id":1}`, 12},
		{`{"sent":0}`, 0},
		{`{"sent":`, 0},
		{`{"sent":"5"}`, 0},
		{`{"trade_id":1}`, 0},
		{``, 0},
	}
	for _, tt := range tests {
		if got := probe.SentIn([]byte(tt.event)); got != tt.want {
			t.Errorf("%s: got %d, want %d", tt.event, got, tt.want)
		}
	}
}

func TestHandler(t *testing.T) {
	t.Parallel()
	var r probe.Recorder
	h, err := probe.Factory(&r).Config().New(handlertest.Env(t, "g"))
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	var list []handler.Delivery
	for i, event := range []string{
		fmt.Sprintf(`{"sent":%d}`, time.Now().Add(-time.Minute).UnixNano()), `{"sent":0}`, `{"trade_id":1}`,
	} {
		list = append(list, handlertest.Delivery(t, "s", "e", handlertest.ID(i), event))
	}
	if err := h.Handle(t.Context(), handlertest.Batch("g", list...)); err != nil {
		t.Fatal(err)
	}
	if got := r.Latency(); got.Count != 1 || got.P50 < 60e6 {
		t.Errorf("got %+v, want one entry of a minute", got)
	}
	bad := handlertest.Batch("g", handlertest.Delivery(t, "s", "e", handlertest.ID(9), `{"sent":"now"}`))
	if err := h.Handle(t.Context(), bad); handler.MarkOf(err) != handler.MarkPermanent {
		t.Errorf("a time that is none gives %v", err)
	}
}
