package consumer_test

import (
	"testing"
	"time"

	"example.com/fanout/pkg/consumer"
	"example.com/fanout/pkg/consumer/consumertest"
	"example.com/fanout/pkg/handler"
)

type config = consumer.Config

const streamName = consumertest.Stream

func TestEverythingIsHandledOnce(t *testing.T) {
	bubble(t, func(r *rig) {
		h := &recorder{}
		c := r.start("c-0", h)
		ids := r.add(1000)
		time.Sleep(5 * time.Second)
		if err := c.stop(handler.ErrStopping); err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, call := range h.all() {
			n += len(call.ids)
		}
		if n != len(ids) {
			t.Errorf("%d deliveries handled, want %d", n, len(ids))
		}
		r.wantAcked(ids...)
		r.wantPending(nil)
		r.wantAccounted()
	})
}
