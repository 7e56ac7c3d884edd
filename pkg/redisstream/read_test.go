package redisstream_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"example.com/fanout/pkg/consumer/consumertest"
	"example.com/fanout/pkg/redisstream"
	"example.com/fanout/pkg/stream"
	"example.com/fanout/pkg/telemetry"
)

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
	slow := 0    // a starved machine has a few; without an end from outside it is most
	for range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			_, err := consumertest.Take(ctx, src, 1, time.Minute)
			done <- err
		}()
		s.blocked()
		start := time.Now()
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Fatalf("error %v, want the context's", err)
		}
		if d := time.Since(start); d > 300*time.Millisecond {
			slow++
		}
	}
	if slow > 6 {
		t.Errorf("%d of 20 reads took longer than 300 ms to end", slow)
	}
}

func read(t *testing.T, src *redisstream.Source) []stream.Delivery {
	t.Helper()
	got, err := consumertest.Take(t.Context(), src, 1000, 0)
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
		got, err := consumertest.Take(ctx, src, 10, time.Minute)
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
	g := s.group(redisstream.Start{})
	ensure(t, g)
	for name, denied := range map[string]string{"unblock": "-client|unblock", "id": "-client|id", "all of client": "-client"} {
		t.Run(name, func(t *testing.T) {
			user := strings.ReplaceAll(name, " ", "")
			s.do("ACL", "SETUSER", user, "on", ">pw", "~*", "+@all", denied)
			c := openConfig(t, redisstream.Config{URL: telemetry.Secret(s.server.URL()), Username: user, Password: "pw"})
			src := s.open(c.Group(config()).Source("a", g.Epoch()))
			least := time.Minute // a starved machine makes some of them longer
			for range 4 {
				start := time.Now()
				if _, err := consumertest.Take(t.Context(), src, 1, time.Minute); err != nil {
					t.Fatal(err)
				}
				least = min(least, time.Since(start))
			}
			if least < 100*time.Millisecond || least > time.Second {
				t.Fatalf("it blocked for %v", least)
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
		_, err := consumertest.Take(ctx, src, 1, time.Minute)
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
	// Redis may deliver it to the connection that was closed before it sees that.
	eventually(t, func() bool {
		got, err := consumertest.Take(t.Context(), src, 1, 0)
		if err == nil && len(got) == 1 {
			return true
		}
		page, err := src.Own(t.Context(), stream.ID{}, 1)
		return err == nil && len(page.Deliveries) == 1
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
	src := s.open(g.Source("a", g.Epoch()))
	read(t, src)
	s.add(1, 2)
	p.loseNext.Store(true)
	if got, err := consumertest.Take(t.Context(), src, 1, time.Second); err == nil {
		t.Fatalf("read %v, want an error", got)
	}
	if got := read(t, src); len(got) != 1 || got[0].ID != (stream.ID{Ms: 2}) {
		t.Fatalf("next read %v, want 2-0", got)
	}
	page, err := src.Own(t.Context(), stream.ID{}, 10)
	if err != nil || len(page.Deliveries) != 2 || page.Deliveries[0].ID != (stream.ID{Ms: 1}) || page.Deliveries[0].Count != 1 {
		t.Fatalf("own %+v, %v, want both, delivered once", page, err)
	}
}

// proxy passes connections on. Where it is to lose the next reply it hangs up
// instead of passing that one; where it is to keep it, nothing comes any more.
type proxy struct {
	addr     string
	loseNext atomic.Bool
	keepNext atomic.Bool
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
			go pass(down, up, func() bool {
				if p.keepNext.CompareAndSwap(true, false) {
					<-t.Context().Done()
				}
				return p.loseNext.CompareAndSwap(true, false)
			})
		}
	}()
	return p
}
