package redisstream_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"example.com/fanout/pkg/consumer/consumertest"
	"example.com/fanout/pkg/deadletter"
	"example.com/fanout/pkg/redisstream"
	"example.com/fanout/pkg/stream"
	"example.com/fanout/test/redistest"
)

// source makes the group and a source of it.
func (s *scene) source(name string) *redisstream.Source {
	s.Helper()
	g := s.group(redisstream.Start{})
	ensure(s.T, g)
	return s.open(g.Source(name, g.Epoch()))
}

func (s *scene) open(src *redisstream.Source) *redisstream.Source {
	s.Cleanup(func() { _ = src.Close() })
	return src
}

// Readers that block hold no connection that acknowledgements need, and each
// has exactly one, with a name.
func TestConnections(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	g := s.group(redisstream.Start{})
	ensure(t, g)
	ctx, cancel := context.WithCancel(t.Context())
	const readers = 12
	done := make(chan error, readers)
	for i := range readers {
		cfg := config()
		cfg.Group = fmt.Sprint("reader", i) // of one group only one would wait in Redis
		g := s.client.Group(cfg)
		ensure(t, g)
		src := s.open(g.Source("host with spaces", g.Epoch()))
		go func() {
			var err error
			for err == nil {
				_, err = consumertest.Take(ctx, src, 1, time.Minute)
			}
			done <- err
		}()
	}
	eventually(t, func() bool {
		return strings.Contains(s.do("INFO", "clients").(string), fmt.Sprintf("blocked_clients:%d\r", readers))
	})
	src := s.open(g.Source("other", g.Epoch()))
	start := time.Now()
	for range 100 {
		if _, err := src.Ack(t.Context(), nil, []stream.ID{{Ms: 1}}); err != nil {
			t.Fatal(err)
		}
	}
	if d := time.Since(start); d > 20*time.Second { // behind the readers it would be minutes
		t.Errorf("100 acks took %v", d)
	}
	var appends errgroup.Group
	for range 4 * readers {
		appends.Go(func() error {
			return s.client.Append(t.Context(), "elsewhere", "event", make([][]byte, 100), 0)
		})
	}
	if err := appends.Wait(); err != nil {
		t.Error(err)
	}
	list := s.do("CLIENT", "LIST").(string)
	if n := strings.Count(list, ":host_with_spaces "); n != readers {
		t.Errorf("%d named connections, want %d", n, readers)
	}
	if n := strings.Count(list, "\n"); n > redisstream.Connections(readers)+2 {
		t.Errorf("%d connections, want one a reader, those that are shared and the test's own", n)
	}
	cancel()
	for range readers {
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
}

// The group or the stream goes away under a blocked read, and under every other
// call.
func TestGroupGoesAway(t *testing.T) {
	t.Parallel()
	for name, loss := range map[string][]any{
		"DEL": {"DEL", key}, "XGROUP DESTROY": {"XGROUP", "DESTROY", key, group}, "FLUSHALL": {"FLUSHALL"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			g := s.group(redisstream.Start{})
			ensure(t, g)
			src := s.open(g.Source("a", g.Epoch()))
			read(t, src)
			done := make(chan error, 1)
			go func() {
				_, err := consumertest.Take(t.Context(), src, 1, time.Minute)
				done <- err
			}()
			s.blocked()
			s.do(loss...)
			if err := <-done; !isNoGroup(err) {
				t.Errorf("blocked read: %v", err)
			}
			id := stream.ID{Ms: 1}
			letter := &deadletter.Letter{Stream: key, Group: group, ID: id}
			for call, do := range map[string]func() error{
				"Read":       func() error { _, err := consumertest.Take(t.Context(), src, 1, 0); return err },
				"Own":        func() error { _, err := src.Own(t.Context(), stream.ID{}, 1); return err },
				"Claim":      func() error { _, err := src.Claim(t.Context(), stream.ID{}, 0, 1); return err },
				"Ack":        func() error { _, err := src.Ack(t.Context(), []stream.ID{id}, []stream.ID{id}); return err },
				"Ack, blind": func() error { _, err := src.Ack(t.Context(), nil, []stream.ID{id}); return err },
				"Hold":       func() error { _, err := src.Hold(t.Context(), []stream.Hold{{Ref: id}}); return err },
				"Bury":       func() error { _, err := src.Bury(t.Context(), id, letter); return err },
				"Info":       func() error { _, err := g.Info(t.Context()); return err },
				"Consumers":  func() error { _, err := g.Consumers(t.Context()); return err },
				"Checkpoint": func() error { _, err := g.Checkpoint(t.Context()); return err },
				"Losses":     func() error { _, err := g.Losses(t.Context(), func(stream.Loss) {}); return err },
				"Reap":       func() error { _, err := g.Reap(t.Context(), 0, nil); return err },
			} {
				if err := do(); !isNoGroup(err) || strings.Contains(err.Error(), "script") {
					t.Errorf("%s: %v, want ErrNoGroup", call, err)
				}
			}
		})
	}
}

// Pages of great entries stay near their bound, and every entry comes.
func TestPagesOfGreatEntries(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	const n, size = 20, 1 << 20
	value := bytes.Repeat([]byte("x"), size)
	for i := range n {
		s.do("XADD", key, fmt.Sprint(i+1, "-0"), "event", value)
	}
	a, b := s.source("a"), s.source("b")
	s.take(a, n)
	walk := func(name string, page func(from stream.ID) (stream.Page, error)) {
		t.Helper()
		var from stream.ID
		var ids []stream.ID
		for range n + 1 {
			p, err := page(from)
			if err != nil {
				t.Fatal(err)
			}
			if len(p.Deliveries) > 5 {
				t.Fatalf("%s: a page of %d MiB", name, len(p.Deliveries))
			}
			for _, d := range p.Deliveries {
				if d.Size() != size+len("event") {
					t.Fatalf("%s: %d bytes", name, d.Size())
				}
				ids = append(ids, d.Ref)
			}
			if from = p.Next; p.Done {
				break
			}
		}
		if len(ids) != n || !slices.IsSortedFunc(ids, stream.ID.Compare) {
			t.Fatalf("%s: %v", name, ids)
		}
	}
	walk("own", func(from stream.ID) (stream.Page, error) { return a.Own(t.Context(), from, 100) })
	walk("claim", func(from stream.ID) (stream.Page, error) { return b.Claim(t.Context(), from, 0, 100) })
}

// XAUTOCLAIM examines a bounded number of entries a call: the cursor leads past
// a long head of entries that are not idle.
func TestClaimReachesTheTail(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.add(1, 3000)
	a, b := s.source("a"), s.source("b")
	ids := s.take(a, 3000)
	if _, err := a.Hold(t.Context(), []stream.Hold{{Ref: ids[2999], Count: 1, Free: true}}); err != nil {
		t.Fatal(err)
	}
	var cursor stream.ID
	for calls := 1; ; calls++ {
		p, err := b.Claim(t.Context(), cursor, time.Hour, 10)
		if err != nil {
			t.Fatal(err)
		}
		if len(p.Deliveries) == 1 && p.Deliveries[0].Ref == ids[2999] {
			if calls < 2 {
				t.Fatal("3000 entries were looked at in one call")
			}
			return
		}
		if len(p.Deliveries) > 0 || p.Done {
			t.Fatalf("call %d: %+v", calls, p)
		}
		cursor = p.Next
	}
}

// A replica answers READONLY: the reader dials anew and finds the primary.
func TestFailover(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.add(1, 1)
	src := s.source("a")
	primary := redistest.Start(t)
	s.do("REPLICAOF", "127.0.0.1", primary.Port)
	if _, err := consumertest.Take(t.Context(), src, 1, 0); err == nil || redisstream.Describe(err) == err.Error() {
		t.Fatalf("read from a replica: %v, want a described error", err)
	}
	s.do("REPLICAOF", "NO", "ONE")
	eventually(t, func() bool {
		_, err := s.group(redisstream.Start{}).Ensure(t.Context())
		return err == nil
	})
	if _, err := consumertest.Take(t.Context(), src, 1, 0); err != nil {
		t.Fatal(err)
	}
}

// Redis goes and comes back with its data: the same client and source go on.
func TestServerRestarts(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.WithPersistence())
	s := &scene{T: t, server: server, client: open(t, server), store: &memoryStore{}}
	s.add(1, 2)
	src := s.source("a")
	s.take(src, 1)
	server.Kill(t)
	if _, err := consumertest.Take(t.Context(), src, 1, 0); err == nil || !strings.Contains(redisstream.Describe(err), "start Redis") && !strings.Contains(redisstream.Describe(err), "closed the connection") {
		t.Fatalf("read while it is away: %v (%s)", err, redisstream.Describe(err))
	}
	server.Restart(t)
	eventually(t, func() bool { _, err := src.Ack(t.Context(), nil, []stream.ID{{Ms: 1}}); return err == nil })
	var got []stream.Delivery
	eventually(t, func() bool {
		var err error
		got, err = consumertest.Take(t.Context(), src, 10, 0)
		return err == nil
	})
	if len(got) != 1 || got[0].ID != (stream.ID{Ms: 2}) {
		t.Fatalf("read %v, want 2-0", got)
	}
}
