package probe_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/handler/handlertest"
	"example.com/fanout/test/bench/probe"

	"gopkg.in/yaml.v3"
)

func troubled(t *testing.T, kind string) handler.Handler {
	t.Helper()
	c := probe.Trouble().Config()
	if err := yaml.Unmarshal([]byte("kind: "+kind), c); err != nil {
		t.Fatal(err)
	}
	if faults := c.Check(); len(faults) > 0 {
		t.Fatal(faults)
	}
	h, err := c.New(handlertest.Env(t, "g"))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestTrouble(t *testing.T) {
	t.Parallel()
	batch := handlertest.Batch("g", handlertest.Delivery(t, "s", "e", handlertest.ID(1), "{}"))
	err := troubled(t, "fail").Handle(t.Context(), batch)
	if err == nil || handler.MarkOf(err) != handler.Unmarked {
		t.Errorf("fail: error %v, want one without a mark", err)
	}
	if faults := probe.Trouble().Config().Check(); len(faults) != 1 {
		t.Errorf("a handler of no kind: %v", faults)
	}
	synctest.Test(t, func(t *testing.T) {
		h, start := troubled(t, "slow"), time.Now()
		if err := h.Handle(t.Context(), batch); err != nil || time.Since(start) < 50*time.Millisecond {
			t.Errorf("slow: %v after %v", err, time.Since(start))
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(handler.ErrStopping)
		if err := h.Handle(ctx, batch); !errors.Is(err, handler.ErrStopping) {
			t.Errorf("slow, stopped: %v", err)
		}
	})
}
