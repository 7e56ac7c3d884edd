package redisstream_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"example.com/fanout/pkg/deadletter"
	"example.com/fanout/pkg/redisstream"
	"example.com/fanout/pkg/stream"
	"example.com/fanout/pkg/telemetry"
	"example.com/fanout/test/redistest"
)

// source makes the group and a source of it.
func (s *scene) source(name string) *redisstream.Source {
	s.Helper()
	g := s.group(redisstream.Start{})
	ensure(s.T, g)
	return s.open(g.Source(name, "e"))
}

func (s *scene) open(src *redisstream.Source) *redisstream.Source {
	s.Cleanup(func() { _ = src.Close() })
	return src
}

// blocked waits until a reader's block has begun.
func (s *scene) blocked() {
	s.Helper()
	eventually(s.T, func() bool { return strings.Contains(s.do("INFO", "clients").(string), "blocked_clients:1\r") })
}

// A blocked read ends at once when its context is done.
func TestReadEndsWithItsContext(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	src := s.source("a")
	read(t, src) // connects
	for range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			_, err := src.Read(ctx, 1, time.Minute)
			done <- err
		}()
		s.blocked()
		start := time.Now()
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Fatalf("error %v, want the context's", err)
		}
		if d := time.Since(start); d > 300*time.Millisecond {
			t.Fatalf("it took %v", d)
		}
	}
}

func read(t *testing.T, src *redisstream.Source) []stream.Delivery {
	t.Helper()
	got, err := src.Read(t.Context(), 1000, 0)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// Whenever the context ends, before, during or after the block, no entry is
// lost between Redis and the caller.
func TestReadLosesNothingWhenStopped(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	src := s.source("a")
	read(t, src)
	const n = 300
	seen := map[stream.ID]bool{}
	for i := range n {
		ctx, cancel := context.WithCancel(t.Context())
		added := make(chan struct{})
		go func() {
			defer close(added)
			s.server.Client().Do(context.Background(), "XADD", key, fmt.Sprint(i+1, "-0"), "event", "{}")
		}()
		go cancel()
		got, err := src.Read(ctx, 10, time.Minute)
		if err != nil && len(got) > 0 {
			t.Fatalf("%d entries and %v", len(got), err)
		}
		for _, d := range got {
			seen[d.ID] = true
		}
		<-added
	}
	for _, d := range read(t, src) {
		seen[d.ID] = true
	}
	if len(seen) != n {
		t.Fatalf("%d entries seen, want %d", len(seen), n)
	}
}

// Where the block cannot be ended from outside it is short.
func TestReadWithoutPermissionToUnblock(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	ensure(t, s.group(redisstream.Start{}))
	for name, denied := range map[string]string{"unblock": "-client|unblock", "id": "-client|id", "all of client": "-client"} {
		t.Run(name, func(t *testing.T) {
			user := strings.ReplaceAll(name, " ", "")
			s.do("ACL", "SETUSER", user, "on", ">pw", "~*", "+@all", denied)
			c := openConfig(t, redisstream.Config{URL: telemetry.Secret(s.server.URL()), Username: user, Password: "pw"})
			src := s.open(c.Group(config()).Source("a", "e"))
			for range 2 {
				start := time.Now()
				if _, err := src.Read(t.Context(), 1, time.Minute); err != nil {
					t.Fatal(err)
				}
				if d := time.Since(start); d < 100*time.Millisecond || d > time.Second {
					t.Fatalf("it blocked for %v", d)
				}
			}
		})
	}
}

// A server that hangs does not hold a stop up for longer than its bound, and
// what it still delivers stays pending.
func TestReadOfHangingServer(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	src := s.source("a")
	read(t, src)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := src.Read(ctx, 1, time.Minute)
		done <- err
	}()
	s.blocked()
	s.server.Pause(t)
	start := time.Now()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v, want the context's", err)
	}
	if d := time.Since(start); d > 4*time.Second {
		t.Fatalf("it took %v", d)
	}
	s.server.Resume(t)
	s.add(1, 1)
	eventually(t, func() bool {
		got, err := src.Read(t.Context(), 1, time.Second)
		return err == nil && len(got) == 1
	})
}

// A reply that is lost on the wire is not asked for again: the read fails, and
// the entries stay in the own pending list.
func TestReadWithLostReply(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	p := newProxy(t, s.server.Addr())
	c := openConfig(t, redisstream.Config{URL: telemetry.Secret("redis://" + p.addr)})
	g := c.Group(config())
	ensure(t, g)
	src := s.open(g.Source("a", "e"))
	read(t, src)
	s.add(1, 2)
	p.loseReplies.Store(true)
	if got, err := src.Read(t.Context(), 1, time.Second); err == nil {
		t.Fatalf("read %v, want an error", got)
	}
	p.loseReplies.Store(false)
	if got := read(t, src); len(got) != 1 || got[0].ID != (stream.ID{Ms: 2}) {
		t.Fatalf("next read %v, want 2-0", got)
	}
	page, err := src.Own(t.Context(), stream.ID{}, 10)
	if err != nil || len(page.Deliveries) != 2 || page.Deliveries[0].ID != (stream.ID{Ms: 1}) || page.Deliveries[0].Count != 1 {
		t.Fatalf("own %+v, %v, want both, delivered once", page, err)
	}
}

// proxy passes a connection on, until it is to lose the replies: then it hangs
// up instead of passing one.
type proxy struct {
	addr        string
	loseReplies atomic.Bool
}

func newProxy(t *testing.T, target string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	p := &proxy{addr: l.Addr().String()}
	go func() {
		for {
			down, err := l.Accept()
			if err != nil {
				return
			}
			up, err := net.Dial("tcp", target)
			if err != nil {
				_ = down.Close()
				continue
			}
			t.Cleanup(func() { _, _ = up.Close(), down.Close() })
			pass := func(to, from net.Conn, lose func() bool) {
				defer to.Close()
				defer from.Close()
				buf := make([]byte, 1<<16)
				for {
					n, err := from.Read(buf)
					if err != nil || lose() {
						return
					}
					if _, err := to.Write(buf[:n]); err != nil {
						return
					}
				}
			}
			go pass(up, down, func() bool { return false })
			go pass(down, up, p.loseReplies.Load)
		}
	}()
	return p
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
		src := s.open(g.Source(fmt.Sprint("host with spaces-", i), "e"))
		go func() {
			var err error
			for err == nil {
				_, err = src.Read(ctx, 1, time.Minute)
			}
			done <- err
		}()
	}
	eventually(t, func() bool {
		return strings.Contains(s.do("INFO", "clients").(string), fmt.Sprintf("blocked_clients:%d\r", readers))
	})
	src := s.open(g.Source("other", "e"))
	start := time.Now()
	for range 100 {
		if _, err := src.Ack(t.Context(), nil, []stream.ID{{Ms: 1}}); err != nil {
			t.Fatal(err)
		}
	}
	if d := time.Since(start); d > time.Second {
		t.Errorf("100 acks took %v", d)
	}
	list := s.do("CLIENT", "LIST").(string)
	if n := strings.Count(list, "name=fanout:g:host_with_spaces-"); n != readers {
		t.Errorf("%d named connections, want %d", n, readers)
	}
	if n := strings.Count(list, "\n"); n > readers+4+2 {
		t.Errorf("%d connections, want one a reader, the control pool and the test's own", n)
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
			src := s.open(g.Source("a", "e"))
			read(t, src)
			done := make(chan error, 1)
			go func() {
				_, err := src.Read(t.Context(), 1, time.Minute)
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
				"Read":       func() error { _, err := src.Read(t.Context(), 1, 0); return err },
				"Own":        func() error { _, err := src.Own(t.Context(), stream.ID{}, 1); return err },
				"Claim":      func() error { _, err := src.Claim(t.Context(), stream.ID{}, 0, 1); return err },
				"Ack":        func() error { _, err := src.Ack(t.Context(), []stream.ID{id}, []stream.ID{id}); return err },
				"Ack, blind": func() error { _, err := src.Ack(t.Context(), nil, []stream.ID{id}); return err },
				"Hold":       func() error { _, err := src.Hold(t.Context(), []stream.Hold{{Ref: id}}); return err },
				"Bury":       func() error { _, err := src.Bury(t.Context(), id, letter); return err },
				"Info":       func() error { _, err := g.Info(t.Context()); return err },
				"Consumers":  func() error { _, err := g.Consumers(t.Context()); return err },
				"Checkpoint": func() error { _, err := g.Checkpoint(t.Context()); return err },
				"Losses":     func() error { _, err := g.Losses(t.Context()); return err },
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

func (s *scene) letter(id stream.ID, fields ...stream.Field) *deadletter.Letter {
	return &deadletter.Letter{Entry: stream.Entry{ID: id, Fields: fields}, Stream: key, Group: group, ID: id, Error: "bad"}
}

// Entries of any shape are buried with their fields as they were.
func TestBuryAnyEntry(t *testing.T) {
	t.Parallel()
	many := func(n int) []stream.Field {
		fields := make([]stream.Field, n)
		for i := range fields {
			fields[i] = stream.Field{Name: fmt.Append(nil, "n", i), Value: []byte("v")}
		}
		return fields
	}
	for name, fields := range map[string][]stream.Field{
		"10 MiB":          {{Name: []byte("event"), Value: bytes.Repeat([]byte("x"), 10<<20)}},
		"repeated names":  {{Name: []byte("a"), Value: []byte("1")}, {Name: []byte("a"), Value: []byte("2")}},
		"binary":          {{Name: []byte("\x00\r\n"), Value: []byte("\xff\x00\r\n")}},
		"as many as fit":  many(deadletter.MaxFields),
		"one more":        many(deadletter.MaxFields + 1),
		"twenty thousand": many(20_000),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			args := []any{"XADD", key, "1-0"}
			for _, f := range fields {
				args = append(args, f.Name, f.Value)
			}
			s.do(args...)
			src := s.source("a")
			got := read(t, src)
			if len(got) != 1 || !slices.EqualFunc(got[0].Fields, fields, sameField) {
				t.Fatal("the entry was read differently")
			}
			id := got[0].Ref
			burial, err := src.Bury(t.Context(), id, s.letter(id, got[0].Fields...))
			if err != nil || burial != stream.Buried {
				t.Fatalf("%v, %v", burial, err)
			}
			entries, err := s.server.Client().XRange(t.Context(), dead, "-", "+").Result()
			if err != nil || len(entries) != 1 {
				t.Fatalf("%d letters, %v", len(entries), err)
			}
			if l := parseLetter(t, s.server.Client(), entries[0].ID); !slices.EqualFunc(l.Entry.Fields, fields, sameField) {
				t.Fatal("the letter has other fields")
			}
			if again, err := src.Bury(t.Context(), id, s.letter(id)); err != nil || again != stream.NotPending {
				t.Fatalf("once more: %v, %v", again, err)
			}
			if n := s.do("XLEN", dead); n != int64(1) {
				t.Fatalf("%v letters, want 1", n)
			}
		})
	}
}

func sameField(a, b stream.Field) bool {
	return bytes.Equal(a.Name, b.Name) && bytes.Equal(a.Value, b.Value)
}

// A letter that cannot be written leaves the entry pending.
func TestBuryFails(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		before func(*scene)
		want   string
	}{
		"wrong type":    {func(s *scene) { s.do("SET", dead, "x") }, "WRONGTYPE"},
		"out of memory": {func(s *scene) { s.do("CONFIG", "SET", "maxmemory-policy", "noeviction", "maxmemory", "1") }, "OOM"},
		"no permission": {func(s *scene) { s.do("ACL", "SETUSER", "default", "resetkeys", "~"+key) }, "NOPERM"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			s.add(1, 1)
			src := s.source("a")
			id := s.take(src, 1)[0]
			test.before(s)
			_, err := src.Bury(t.Context(), id, s.letter(id, stream.Field{Name: []byte("a"), Value: []byte("b")}))
			if err == nil || !strings.Contains(redisstream.Describe(err), test.want) {
				t.Fatalf("error %v, want %s", err, test.want)
			}
			page, err := src.Own(t.Context(), stream.ID{}, 10)
			if err != nil || len(page.Deliveries) != 1 {
				t.Fatalf("pending %v, %v, want the entry", page, err)
			}
		})
	}
}

// While Redis is out of memory entries are read, held, acknowledged and
// released; the checkpoint is told beside the error and kept locally.
func TestOutOfMemory(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.add(1, 5)
	src := s.source("a")
	ids := s.take(src, 2)
	s.do("CONFIG", "SET", "maxmemory-policy", "noeviction", "maxmemory", "1")
	if n, err := src.Ack(t.Context(), ids[:1], ids[:1]); err != nil || n != 1 {
		t.Errorf("acked %d, %v", n, err)
	}
	if lost, err := src.Hold(t.Context(), []stream.Hold{{Ref: ids[1], Count: 0, Free: true}}); err != nil || lost != nil {
		t.Errorf("hold: lost %v, %v", lost, err)
	}
	if p, err := src.Claim(t.Context(), stream.ID{}, time.Minute, 10); err != nil || len(p.Deliveries) != 1 {
		t.Errorf("claim: %+v, %v", p, err)
	}
	g := s.group(redisstream.Start{})
	low, err := g.Checkpoint(t.Context())
	if low != (stream.ID{Ms: 1, Seq: 1<<64 - 1}) || err == nil || !strings.Contains(redisstream.Describe(err), "OOM") {
		t.Errorf("checkpoint %v, %v, want the mark and OOM", low, err)
	}
	kept := false
	for _, c := range s.store.kept {
		kept = kept || c.ID == low
	}
	if !kept {
		t.Errorf("the local store holds %+v", s.store.kept)
	}
}

// What has been claimed by another is not acknowledged, held or buried, though
// this process slept through it.
func TestOwnerIsChecked(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.add(1, 3000)
	a, b := s.source("a"), s.source("b")
	ids := s.take(a, 3000)
	if _, err := a.Hold(t.Context(), []stream.Hold{{Ref: ids[1500], Count: 1, Free: true}}); err != nil {
		t.Fatal(err)
	}
	var from stream.ID
	for {
		p, err := b.Claim(t.Context(), from, time.Hour, 100)
		if err != nil {
			t.Fatal(err)
		}
		if from = p.Next; p.Done {
			break
		}
	}
	theirs := ids[1500]
	if lost, err := a.Hold(t.Context(), []stream.Hold{{Ref: theirs, Count: stream.KeepCount}}); err != nil || len(lost) != 1 {
		t.Errorf("hold: lost %v, %v", lost, err)
	}
	if burial, err := a.Bury(t.Context(), theirs, s.letter(theirs)); err != nil || burial != stream.NotOurs {
		t.Errorf("bury: %v, %v", burial, err)
	}
	// Its own probe was claimed: each of the others is looked at.
	if n, err := a.Ack(t.Context(), []stream.ID{theirs}, ids); err != nil || n != 2999 {
		t.Errorf("acked %d, %v, want 2999", n, err)
	}
	if page, err := b.Own(t.Context(), stream.ID{}, 10); err != nil || len(page.Deliveries) != 1 || page.Deliveries[0].Ref != theirs {
		t.Errorf("b has %+v, %v, want %v", page, err, theirs)
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
	if _, err := src.Read(t.Context(), 1, 0); err == nil || redisstream.Describe(err) == err.Error() {
		t.Fatalf("read from a replica: %v, want a described error", err)
	}
	s.do("REPLICAOF", "NO", "ONE")
	eventually(t, func() bool {
		_, err := s.group(redisstream.Start{}).Ensure(t.Context())
		return err == nil
	})
	if _, err := src.Read(t.Context(), 1, 0); err != nil {
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
	if _, err := src.Read(t.Context(), 1, 0); err == nil || !strings.Contains(redisstream.Describe(err), "start Redis") && !strings.Contains(redisstream.Describe(err), "closed the connection") {
		t.Fatalf("read while it is away: %v (%s)", err, redisstream.Describe(err))
	}
	server.Restart(t)
	eventually(t, func() bool { _, err := src.Ack(t.Context(), nil, []stream.ID{{Ms: 1}}); return err == nil })
	if got := read(t, src); len(got) != 1 || got[0].ID != (stream.ID{Ms: 2}) {
		t.Fatalf("read %v, want 2-0", got)
	}
}
