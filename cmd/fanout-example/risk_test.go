package main

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/handler/handlertest"
)

func newRisk(t *testing.T, limit int64, log *bytes.Buffer) handler.Handler {
	t.Helper()
	env := handlertest.Env(t, "risk")
	if log != nil {
		env.Logger = slog.New(slog.NewTextHandler(log, nil))
	}
	h, err := (&riskConfig{Limit: limit}).New(env)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestRiskConformance(t *testing.T) {
	t.Parallel()
	handlertest.Run(t, handlertest.Config{
		New: func(t *testing.T) handler.Handler { return newRisk(t, 1, nil) },
		Bad: func(int) []byte { return []byte(`{"market_id": "m-1", "odds": {"ticks": 245}}`) },
		Effects: func(_ *testing.T, h handler.Handler) string {
			r := h.(*risk)
			r.mu.Lock()
			defer r.mu.Unlock()
			all := map[string]int64{}
			for name, m := range r.markets {
				all[name] = m.liability
			}
			return fmt.Sprint(all)
		},
	})
}

func TestRiskWarnsOnce(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	h := newRisk(t, 3000, &log)
	trade := func(i int) handler.Delivery { // liability 1450
		return handlertest.Delivery(t, handlertest.Stream, handlertest.Epoch, handlertest.ID(i),
			`{"market_id": "m-17", "odds": {"ticks": 245}, "stake": {"value": 1000}}`)
	}
	for i, want := range []int{0, 0, 1, 1} {
		if err := h.Handle(t.Context(), handlertest.Batch("risk", trade(i))); err != nil {
			t.Fatal(err)
		}
		if got := strings.Count(log.String(), "market is over its limit"); got != want {
			t.Errorf("%d warnings after %d trades, want %d:\n%s", got, i+1, want, &log)
		}
	}
	if !strings.Contains(log.String(), "market=m-17 liability=4350 limit=3000") {
		t.Errorf("the warning does not say what happened: %s", &log)
	}
}

func TestRiskRefuses(t *testing.T) {
	t.Parallel()
	for _, payload := range []string{
		`{}`,
		`[1]`,
		`{"market_id": "m-1", "odds": {"ticks": "245"}, "stake": {"value": 1}}`,
		`{"market_id": "m-1", "odds": {"ticks": 2.5}, "stake": {"value": 1}}`,
		`{"market_id": "m-1", "odds": {"ticks": 99}, "stake": {"value": 1}}`,
		`{"market_id": "m-1", "odds": {"ticks": 100001}, "stake": {"value": 1}}`,
		`{"market_id": "m-1", "odds": {"ticks": 245}, "stake": {"value": -1}}`,
		`{"market_id": "m-1", "odds": {"ticks": 100000}, "stake": {"value": 9223372036854775807}}`,
	} {
		h := newRisk(t, 1, nil)
		err := h.Handle(t.Context(), handlertest.Batch("risk",
			handlertest.Delivery(t, handlertest.Stream, handlertest.Epoch, handlertest.ID(0), payload)))
		if handler.MarkOf(err) != handler.MarkPermanent {
			t.Errorf("%s: %v, want a permanent error", payload, err)
		}
	}
}

// A sum that does not fit is refused, and the sum before it stands.
func TestRiskOverflow(t *testing.T) {
	t.Parallel()
	h := newRisk(t, 1, nil)
	var last error
	for i := range 200 {
		last = h.Handle(t.Context(), handlertest.Batch("risk",
			handlertest.Delivery(t, handlertest.Stream, handlertest.Epoch, handlertest.ID(i),
				`{"market_id": "m-1", "odds": {"ticks": 100000}, "stake": {"value": 92233720368547}}`)))
		if last != nil {
			break
		}
	}
	var named *handler.BatchError
	if !errors.As(last, &named) || !strings.Contains(last.Error(), "does not fit") {
		t.Fatalf("got %v, want an error that says that the sum does not fit", last)
	}
	if got := h.(*risk).markets["m-1"].liability; got <= 0 {
		t.Errorf("liability is %d", got)
	}
}

func TestRiskCountsOnce(t *testing.T) {
	t.Parallel()
	h := newRisk(t, 1, nil)
	trade := func(epoch string) handler.Delivery { // liability 1450
		return handlertest.Delivery(t, handlertest.Stream, epoch, handlertest.ID(0),
			`{"market_id": "m-17", "odds": {"ticks": 245}, "stake": {"value": 1000}}`)
	}
	for _, epoch := range []string{"a", "a", "b"} {
		if err := h.Handle(t.Context(), handlertest.Batch("risk", trade(epoch))); err != nil {
			t.Fatal(err)
		}
	}
	if got := h.(*risk).markets["m-17"].liability; got != 2900 {
		t.Errorf("liability of an entry, its redelivery and another stream's entry is %d, want 2900", got)
	}
}

func TestRiskForgets(t *testing.T) {
	t.Parallel()
	h := newRisk(t, 1, nil)
	if err := h.Handle(t.Context(), handlertest.Trades(t, 0, 100)); err != nil {
		t.Fatal(err)
	}
	next := handlertest.Trades(t, 100, 1)
	next.LowWater = handlertest.ID(89)
	if err := h.Handle(t.Context(), next); err != nil {
		t.Fatal(err)
	}
	if got, want := len(h.(*risk).seen), 11; got != want {
		t.Errorf("%d identities are remembered, want the %d above the low-water mark", got, want)
	}
}
