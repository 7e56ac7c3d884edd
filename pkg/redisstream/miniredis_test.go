package redisstream_test

import (
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"example.com/fanout/pkg/consumer/consumertest"
	"example.com/fanout/pkg/deadletter"
	"example.com/fanout/pkg/redisstream"
	"example.com/fanout/pkg/stream"
	"example.com/fanout/pkg/telemetry"
)

// The simulated server is for the demo alone: this is what the demo needs of it.
func TestMiniredis(t *testing.T) {
	t.Parallel()
	m := miniredis.RunT(t)
	rdb := redis.NewClient(&redis.Options{Addr: m.Addr(), DisableIdentity: true})
	t.Cleanup(func() { _ = rdb.Close() })
	c := openConfig(t, redisstream.Config{URL: telemetry.Secret("redis://" + m.Addr())})
	if server, err := c.Server(t.Context()); err != nil || !server.Simulated {
		t.Fatalf("server %+v, %v, want a simulated one", server, err)
	}
	r := newRig(t, c, rdb).(rig)
	if o := ensure(t, r.g); o.Created || o.Epoch == "" {
		t.Fatalf("second Ensure: %+v", o)
	}
	var ids []stream.ID
	for range 10 {
		ids = append(ids, r.Add("event", "{}"))
	}
	info := func(lag, pending int64) {
		t.Helper()
		i, err := r.g.Info(t.Context())
		if err != nil || !i.LagKnown || i.Lag != lag || i.Pending != pending || i.EntriesAdded != -1 || i.EntriesRead != -1 {
			t.Fatalf("info %+v, %v, want lag %d, pending %d", i, err, lag, pending)
		}
	}
	info(10, 0)

	a, b := r.Source("a"), r.Source("b")
	t.Cleanup(func() { _, _ = a.Close(), b.Close() })
	got, err := consumertest.Take(t.Context(), a, 6, time.Second)
	if err != nil || len(got) != 6 {
		t.Fatalf("read %d, %v, want 6", len(got), err)
	}
	info(4, 6)
	if got, err := consumertest.Take(t.Context(), b, 4, time.Minute); err != nil || len(got) != 4 {
		t.Fatalf("read %d, %v, want 4", len(got), err)
	}
	least := time.Minute // a starved machine makes some of them longer
	for range 4 {
		start := time.Now()
		if got, err := consumertest.Take(t.Context(), b, 4, time.Minute); err != nil || len(got) != 0 {
			t.Fatalf("read %d, %v, want none", len(got), err)
		}
		least = min(least, time.Since(start))
	}
	if least > time.Second {
		t.Fatalf("a block that nothing can end took %v", least)
	}
	if n, err := a.Ack(t.Context(), ids[:1], ids[:3]); err != nil || n != 3 {
		t.Fatalf("acked %d, %v, want 3", n, err)
	}
	if lost, err := a.Hold(t.Context(), []stream.Hold{{Ref: ids[3], Count: 0, Free: true}, {Ref: ids[9], Count: stream.KeepCount}}); err != nil || len(lost) != 1 || lost[0] != ids[9] {
		t.Fatalf("lost %v, %v, want %v", lost, err, ids[9])
	}
	page, err := b.Claim(t.Context(), stream.ID{}, time.Hour, 10)
	if err != nil || len(page.Deliveries) != 1 || page.Deliveries[0].Ref != ids[3] || page.Deliveries[0].Count != 0 {
		t.Fatalf("claimed %+v, %v, want %v with count 0", page, err, ids[3])
	}
	page, err = a.Own(t.Context(), stream.ID{}, 10)
	if err != nil || len(page.Deliveries) != 2 || !page.Done || page.Deliveries[0].Count != 1 {
		t.Fatalf("own %+v, %v, want 2", page, err)
	}
	letter := &deadletter.Letter{Entry: page.Deliveries[0].Entry, Stream: key, Group: group, ID: ids[4]}
	if burial, err := a.Bury(t.Context(), ids[4], letter); err != nil || burial != stream.Buried {
		t.Fatalf("bury: %v, %v", burial, err)
	}
	if low, err := r.g.Checkpoint(t.Context()); err != nil || low != ids[3].Prev() {
		t.Fatalf("checkpoint %v, %v, want %v", low, err, ids[3].Prev())
	}
	if n, err := r.g.Losses(t.Context(), func(stream.Loss) {}); err != nil || len(n) > 0 {
		t.Fatalf("losses %+v, %v", n, err)
	}
	if _, err := r.g.Consumers(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.DestroyGroup()
	if _, err := consumertest.Take(t.Context(), a, 1, 0); !isNoGroup(err) {
		t.Fatalf("read without group: %v", err)
	}
	if _, err := a.Ack(t.Context(), ids[:1], ids[:1]); !isNoGroup(err) {
		t.Fatalf("ack without group: %v", err)
	}
	if _, err := r.g.Info(t.Context()); !isNoGroup(err) {
		t.Fatalf("info without group: %v", err)
	}
	if o := ensure(t, r.g); !o.Recreated || o.NewEpoch || o.At != ids[3].Prev() {
		t.Fatalf("ensure after the loss: %+v, want at %v", o, ids[3].Prev())
	}
}
