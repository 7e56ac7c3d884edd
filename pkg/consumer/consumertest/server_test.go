package consumertest_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"example.com/fanout/pkg/consumer/consumertest"
	"example.com/fanout/pkg/deadletter"
	"example.com/fanout/pkg/stream"
)

func TestServerInABubble(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := consumertest.NewServer(t)
		src := server.Source(group, "a", time.Minute)
		begin := time.Now()

		if got, err := consumertest.Take(t.Context(), src, 10, time.Hour); len(got) != 0 || err != nil {
			t.Errorf("read: %d deliveries and error %v, want none", len(got), err)
		}
		if took := time.Since(begin); took != time.Hour {
			t.Errorf("read took %s of the bubble's time, want an hour", took)
		}

		time.AfterFunc(time.Minute, func() { server.AddEvent("{}") })
		got, err := consumertest.Take(t.Context(), src, 10, time.Hour)
		if err != nil || len(got) != 1 || time.Since(begin) != time.Hour+time.Minute {
			t.Errorf("read: %d deliveries and error %v after %s, want the one of 1h1m", len(got), err, time.Since(begin))
		}
		if ms := uint64(time.Now().UnixMilli()); got[0].ID.Ms != ms {
			t.Errorf("the ID is %s, want the bubble's time %d", got[0].ID, ms)
		}

		time.Sleep(90 * time.Second)
		if p := server.Pending(group); len(p) != 1 || p[0].Idle != 90*time.Second || p[0].Consumer != "a" {
			t.Errorf("pending: %+v, want one, idle for 90s", p)
		}

		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		begin = time.Now()
		if _, err := consumertest.Take(ctx, src, 10, time.Hour); !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != 3*time.Second {
			t.Errorf("read: %v after %s, want the deadline after 3s", err, time.Since(begin))
		}
		if err := src.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
}

func TestServerFaults(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		errDown := errors.New("down")
		server := consumertest.NewServer(t)
		a, b := server.Source(group, "a", time.Minute), server.Source(group, "b", time.Minute)
		ids := []stream.ID{server.AddEvent("1"), server.AddEvent("2"), server.AddEvent("3")}

		var calls []consumertest.Call
		server.SetFaults(func(c consumertest.Call) consumertest.Fault {
			calls = append(calls, c)
			switch {
			case c.Op == consumertest.Read && c.Consumer == "a" && c.N == 1:
				return consumertest.Fault{Fail: errDown}
			case c.Op == consumertest.Read && c.Consumer == "a" && c.N == 2:
				return consumertest.Fault{Lose: errDown}
			case c.Op == consumertest.Ack && c.N == 1:
				return consumertest.Fault{Lose: errDown, Delay: 5 * time.Second}
			case c.Op == consumertest.Hold:
				return consumertest.Fault{Block: true}
			}
			return consumertest.Fault{}
		})

		if _, err := consumertest.Take(t.Context(), a, 1, 0); !errors.Is(err, errDown) || len(server.Pending(group)) != 0 {
			t.Errorf("a read that fails: %v, %d pending, want %v and none", err, len(server.Pending(group)), errDown)
		}
		if got, err := consumertest.Take(t.Context(), a, 1, 0); !errors.Is(err, errDown) || len(got) != 0 || len(server.Pending(group)) != 1 {
			t.Errorf("a read whose reply is lost: %d deliveries, error %v, %d pending", len(got), err, len(server.Pending(group)))
		}
		if got, err := consumertest.Take(t.Context(), b, 1, 0); err != nil || len(got) != 1 || got[0].ID != ids[1] {
			t.Errorf("a read without a fault: %v and error %v, want the second entry", got, err)
		}

		begin := time.Now()
		if n, err := b.Ack(t.Context(), nil, ids[1:2]); n != 0 || !errors.Is(err, errDown) || server.Acked(group, ids[1]) != 1 {
			t.Errorf("an ack whose reply is lost: %d, error %v, acked %d times", n, err, server.Acked(group, ids[1]))
		}
		if took := time.Since(begin); took != 5*time.Second {
			t.Errorf("an ack that is slow took %s, want 5s", took)
		}

		ctx, cancel := context.WithTimeout(t.Context(), 7*time.Second)
		defer cancel()
		begin = time.Now()
		_, err := a.Hold(ctx, []stream.Hold{{Ref: ids[0], Count: 9}})
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != 7*time.Second || server.Pending(group)[0].Count != 1 {
			t.Errorf("a hold that blocks: %v after %s, want nothing done for 7s", err, time.Since(begin))
		}

		server.SetFaults(nil)
		if _, err := a.Hold(t.Context(), []stream.Hold{{Ref: ids[0], Count: 9}}); err != nil || server.Pending(group)[0].Count != 9 {
			t.Errorf("a hold after the faults: %v", err)
		}
		want := []consumertest.Call{
			{Op: consumertest.Read, Group: group, Consumer: "a", N: 1},
			{Op: consumertest.Read, Group: group, Consumer: "a", N: 2},
			{Op: consumertest.Read, Group: group, Consumer: "b", N: 1},
			{Op: consumertest.Ack, Group: group, Consumer: "b", N: 1},
			{Op: consumertest.Hold, Group: group, Consumer: "a", N: 1},
		}
		if !slices.Equal(calls, want) {
			t.Errorf("faults were asked for %v, want %v", calls, want)
		}
	})
}

func TestServerLosesGroupsAndData(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := consumertest.NewServer(t)
		src := server.Source(group, "a", time.Minute)
		for range 5 {
			server.AddEvent("{}")
		}
		got, err := consumertest.Take(t.Context(), src, 3, 0)
		if err != nil || len(got) != 3 {
			t.Fatalf("read: %d deliveries and error %v, want 3", len(got), err)
		}
		if last := server.LastDelivered(group); last != got[2].ID {
			t.Errorf("last delivered is %s, want %s", last, got[2].ID)
		}
		if burial, err := src.Bury(t.Context(), got[0].Ref, &deadletter.Letter{Entry: got[0].Entry}); err != nil || burial != stream.Buried {
			t.Fatalf("bury: %s and error %v", burial, err)
		}

		server.Trim(consumertest.Stream, 1)
		page, err := src.Own(t.Context(), stream.ID{}, 10)
		if err != nil || len(page.Vanished) != 2 || len(page.Deliveries) != 0 {
			t.Errorf("own after a trim: %+v and error %v, want two vanished", page, err)
		}

		server.DestroyGroup(group)
		src = server.Source(group, "a", time.Minute)
		if _, err := consumertest.Take(t.Context(), src, 1, 0); !errors.Is(err, stream.ErrNoGroup) {
			t.Errorf("read without the group: %v, want %v", err, stream.ErrNoGroup)
		}
		server.CreateGroup(consumertest.Stream, group, got[2].ID)
		if got, err = consumertest.Take(t.Context(), src, 10, 0); err != nil || len(got) != 1 {
			t.Errorf("read of the new group: %d deliveries and error %v, want the one left", len(got), err)
		}
		if n := len(server.Letters(group)); n != 1 {
			t.Errorf("%d letters after the loss of the group, want 1", n)
		}

		epoch := server.Epoch()
		server.Flush()
		if _, err := consumertest.Take(t.Context(), src, 1, 0); !errors.Is(err, stream.ErrNoGroup) {
			t.Errorf("read after a flush: %v, want %v", err, stream.ErrNoGroup)
		}
		if len(server.Letters(group)) != 0 || len(server.Pending(group)) != 0 || !server.LastDelivered(group).IsZero() {
			t.Errorf("something is left after a flush")
		}
		server.CreateGroup(consumertest.Stream, group, stream.ID{})
		server.AddAt(consumertest.Stream, got[0].ID, "event", "{}")
		again, err := consumertest.Take(t.Context(), server.Source(group, "a", time.Minute), 10, 0)
		if err != nil || len(again) != 1 || again[0].Epoch == epoch || again[0].Epoch != server.Epoch() {
			t.Errorf("read after a flush: %+v and error %v, want one of another epoch than %s", again, err, epoch)
		}
	})
}

func TestServerTellsMisacks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := consumertest.NewServer(t)
		a, b := server.Source(group, "a", time.Minute), server.Source(group, "b", time.Minute)
		ids := []stream.ID{server.AddEvent("1"), server.AddEvent("2")}
		if _, err := consumertest.Take(t.Context(), a, 2, 0); err != nil {
			t.Fatalf("read: %v", err)
		}
		time.Sleep(2 * time.Minute)
		if _, err := a.Hold(t.Context(), []stream.Hold{{Ref: ids[1], Count: stream.KeepCount}}); err != nil {
			t.Fatalf("hold: %v", err)
		}
		if _, err := b.Claim(t.Context(), stream.ID{}, time.Minute, 10); err != nil {
			t.Fatalf("claim: %v", err)
		}
		// The second entry was touched later than the first and cannot stand for it.
		if n, err := a.Ack(t.Context(), ids[1:], ids); n != 2 || err != nil {
			t.Errorf("ack: %d and error %v, want 2: the probe is trusted", n, err)
		}
		if got := server.Misacked(group); !slices.Equal(got, ids[:1]) {
			t.Errorf("misacked %v, want %v", got, ids[:1])
		}
	})
}

// report records what a server complains of.
type report struct {
	testing.TB
	errors int
}

func (r *report) Helper()               {}
func (r *report) Errorf(string, ...any) { r.errors++ }

func TestSourceReportsMisuse(t *testing.T) {
	t.Parallel()
	for name, misuse := range map[string]func(t *testing.T, server *consumertest.Server, src *consumertest.Source){
		"two readers": func(t *testing.T, server *consumertest.Server, src *consumertest.Source) {
			go func() { _, _ = consumertest.Take(t.Context(), src, 1, time.Minute) }()
			synctest.Wait()
			_, _ = src.Own(t.Context(), stream.ID{}, 1)
			server.AddEvent("{}")
		},
		"two settlers": func(t *testing.T, server *consumertest.Server, src *consumertest.Source) {
			server.SetFaults(func(consumertest.Call) consumertest.Fault { return consumertest.Fault{Delay: time.Second} })
			go func() { _, _ = src.Ack(t.Context(), nil, nil) }()
			synctest.Wait()
			_, _ = src.Hold(t.Context(), nil)
		},
		"a call after close": func(t *testing.T, _ *consumertest.Server, src *consumertest.Source) {
			_ = src.Close()
			_, _ = src.Ack(t.Context(), nil, nil)
		},
		"a close while reading": func(t *testing.T, server *consumertest.Server, src *consumertest.Source) {
			go func() { _, _ = consumertest.Take(t.Context(), src, 1, time.Minute) }()
			synctest.Wait()
			_ = src.Close()
			server.AddEvent("{}")
		},
		"a second close": func(_ *testing.T, _ *consumertest.Server, src *consumertest.Source) {
			_ = src.Close()
			_ = src.Close()
		},
		"a max of 0": func(t *testing.T, _ *consumertest.Server, src *consumertest.Source) {
			_, _ = src.Claim(t.Context(), stream.ID{}, 0, 0)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := &report{TB: t}
				server := consumertest.NewServer(r)
				misuse(t, server, server.Source(group, "a", time.Minute))
				synctest.Wait()
				if r.errors == 0 {
					t.Errorf("nothing was reported")
				}
			})
		})
	}
}
