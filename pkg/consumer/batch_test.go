package consumer_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/fanout/pkg/consumer/consumertest"
	"example.com/fanout/pkg/deadletter"
	"example.com/fanout/pkg/event"
	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/stream"
	"example.com/fanout/pkg/telemetry"
)

// TestBatch looks at how arriving entries are cut into calls.
func TestBatch(t *testing.T) {
	t.Parallel()
	type arrival struct {
		at    time.Duration
		sizes []int // bytes of each
	}
	type cut struct {
		at time.Duration
		n  int
	}
	many := func(n, size int) (sizes []int) { return slices.Repeat([]int{size}, n) }
	const s = time.Second
	for name, c := range map[string]struct {
		size, bytes int
		linger      time.Duration
		arrivals    []arrival
		want        []cut
	}{
		"as it comes":                  {10, 1 << 20, 0, []arrival{{0, many(1, 30)}, {s, many(3, 30)}}, []cut{{0, 1}, {s, 3}}},
		"by size":                      {10, 1 << 20, 0, []arrival{{0, many(25, 30)}}, []cut{{0, 10}, {0, 10}, {0, 5}}},
		"by bytes":                     {10, 100, 0, []arrival{{0, many(5, 40)}}, []cut{{0, 2}, {0, 2}, {0, 1}}},
		"bytes, to the brim":           {10, 120, 0, []arrival{{0, many(6, 40)}}, []cut{{0, 3}, {0, 3}}},
		"a large one by itself":        {10, 100, 0, []arrival{{0, []int{40, 500, 40, 40}}}, []cut{{0, 1}, {0, 1}, {0, 2}}},
		"linger":                       {10, 1 << 20, s, []arrival{{0, many(2, 30)}, {s / 2, many(3, 30)}}, []cut{{s, 5}}},
		"linger, full before":          {10, 1 << 20, s, []arrival{{0, many(2, 30)}, {s / 2, many(8, 30)}}, []cut{{s / 2, 10}}},
		"linger, bytes before":         {10, 100, s, []arrival{{0, many(2, 40)}, {s / 2, many(1, 40)}}, []cut{{s / 2, 2}, {s + s/2, 1}}},
		"linger, the next begins anew": {10, 1 << 20, s, []arrival{{0, many(1, 30)}, {5 * s, many(1, 30)}}, []cut{{s, 1}, {6 * s, 1}}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(r *rig) {
				h := &recorder{}
				r.start("c-0", h, func(cfg *config) {
					cfg.BatchSize, cfg.BatchBytes, cfg.Linger, cfg.Concurrency = c.size, c.bytes, c.linger, 1
				})
				var ids []stream.ID
				for _, a := range c.arrivals {
					time.Sleep(a.at - r.at())
					for _, size := range a.sizes {
						payload := `{"n":"` + strings.Repeat("x", size-len(`event{"n":""}`)) + `"}`
						ids = append(ids, r.server.AddEvent(payload))
					}
				}
				time.Sleep(time.Minute)
				var got []cut
				var handled []stream.ID
				for _, call := range h.all() {
					got = append(got, cut{call.began.Sub(r.began), len(call.ids)})
					handled = append(handled, call.ids...)
				}
				if !slices.Equal(got, c.want) {
					t.Errorf("calls %v, want %v", got, c.want)
				}
				if !slices.Equal(handled, ids) {
					t.Errorf("handled %v, want the order of arrival %v", handled, ids)
				}
			})
		})
	}
}

// TestBounds: no more calls at once than slots, and no more taken from Redis
// than three times what they can hold.
func TestBounds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ size, bytes, concurrency, entries, want int }{
		{10, 1 << 20, 1, 500, 30},
		{10, 1 << 20, 4, 500, 120},
		{1, 1 << 20, 3, 500, 9},
		{256, 1 << 20, 2, 2500, 1536},
		{100, 1000, 1, 500, 31 + 32}, // by bytes: entries of 32, the first read before their size is known
	} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			bubble(t, func(r *rig) {
				for i := range c.entries {
					r.server.AddEvent(fmt.Sprintf(`{"n":%022d}`, i+1e9)[:26] + "}")
				}
				h := &recorder{answer: func(ctx context.Context, _ *handler.Batch) error { return pause(ctx, 10*time.Second) }}
				c0 := r.start("c-0", h, func(cfg *config) {
					cfg.BatchSize, cfg.BatchBytes, cfg.Concurrency, cfg.Timeout = c.size, c.bytes, c.concurrency, time.Hour
					cfg.Decoder.Format = event.Raw
				})
				for range 25 {
					time.Sleep(997 * time.Millisecond)
					n := len(r.server.Pending(groupName))
					if n > c.want {
						t.Fatalf("%d are taken, want at most %d", n, c.want)
					}
					if got := c0.Status().InFlight; got != n {
						t.Errorf("%d in flight, %d pending", got, n)
					}
				}
				if h.atOnce() != c.concurrency {
					t.Errorf("%d calls at once, want %d", h.atOnce(), c.concurrency)
				}
			})
		})
	}
}

// TestLingersNotWhenFull: a batch does not wait for entries for which there is no
// room, for as many as it may have.
func TestLingersNotWhenFull(t *testing.T) {
	bubble(t, func(r *rig) {
		ids := r.add(5000)
		r.start("c-0", &recorder{}, func(cfg *config) {
			cfg.BatchSize, cfg.Linger = 1000, time.Minute
			cfg.MaxBytes = func() int { return 200 }
		})
		time.Sleep(30 * time.Second)
		r.wantAcked(ids[0], ids[4900])
		time.Sleep(time.Minute) // what is left has room for more
		r.wantAcked(ids[len(ids)-1])
	})
}

// TestReadsGrow: a backlog is read in few and large pieces.
func TestReadsGrow(t *testing.T) {
	bubble(t, func(r *rig) {
		reads := 0
		ids := r.add(20_000)
		r.start("c-0", &recorder{answer: func(ctx context.Context, _ *handler.Batch) error { return pause(ctx, 10*time.Millisecond) }},
			func(cfg *config) { cfg.BatchSize = 500 },
			rewire(func(s *rewired) {
				s.read = func(ctx context.Context, c *stream.Chunk, limit int, wait time.Duration) error {
					reads++
					return s.Source.Read(ctx, c, limit, wait)
				}
			}))
		pass(990 * time.Millisecond)
		r.wantAcked(ids[0], ids[len(ids)-1])
		if most := 20_000/500 + 15; reads > most {
			t.Errorf("%d reads, want at most %d", reads, most)
		}
	})
}

// TestIntake: what is not to be handled never comes to the handler.
func TestIntake(t *testing.T) {
	t.Parallel()
	where, err := event.Compile("stake > 100")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		payload string
		stage   deadletter.Stage // of its letter
		handled bool
	}{
		"wanted":        {`{"stake": 101}`, "", true},
		"not wanted":    {`{"stake": 100}`, "", false},
		"path missing":  {`{"steak": 101}`, "", false},
		"type error":    {`{"stake": "much"}`, deadletter.Filter, false},
		"truncated":     {`{"stake": 101`, deadletter.Decode, false},
		"not JSON":      {"\x00\xff", deadletter.Decode, false},
		"empty":         {"", deadletter.Decode, false},
		"two documents": {`{"stake": 101}{}`, deadletter.Decode, false},
		"deeply nested": {strings.Repeat("[", 100_000), deadletter.Decode, false},
	} {
		for _, own := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, own %v", name, own), func(t *testing.T) {
				bubble(t, func(r *rig) {
					before := r.server.AddEvent(`{"stake": 200}`)
					id := r.server.AddEvent(c.payload)
					after := r.server.AddEvent(`{"stake": 300}`)
					if own {
						src := r.server.Source(groupName, "c-0", minIdle)
						_, _ = consumertest.Take(context.Background(), src, 10, 0)
						src.Close()
					}
					h := &recorder{}
					running := r.start("c-0", h, func(cfg *config) { cfg.Where = where })
					time.Sleep(10 * time.Second)
					r.wantAcked(before, after)
					if got := len(h.of(id)) == 1; got != c.handled {
						t.Errorf("handled %v, want %v", got, c.handled)
					}
					letters := r.server.Letters(groupName)
					if c.stage == "" {
						r.wantAcked(id)
						if len(letters) > 0 {
							t.Errorf("letters %s", brief(letters))
						}
					} else if len(letters) != 1 || letters[0].Stage != c.stage || letters[0].Attempts != 1 {
						t.Errorf("letters %s, want one of stage %s", brief(letters), c.stage)
					}
					filtered := int64(0)
					if !c.handled && c.stage == "" {
						filtered = 1
					}
					if n := r.metrics.Filtered.Load(); n != filtered {
						t.Errorf("%d filtered, want %d", n, filtered)
					}
					_ = running.stop(handler.ErrStopping)
					r.wantSettled(telemetry.Acked, 3-int64(len(letters)))
					r.wantAccounted()
				})
			})
		}
	}
}
