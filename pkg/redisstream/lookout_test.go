package redisstream_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"

	"example.com/fanout/pkg/consumer/consumertest"
	"example.com/fanout/pkg/redisstream"
	"example.com/fanout/pkg/stream"
	"example.com/fanout/pkg/telemetry"
)

var blockedClients = regexp.MustCompile(`blocked_clients:(\d+)`)

func (s *scene) waiting() int {
	s.Helper()
	m := blockedClients.FindStringSubmatch(s.do("INFO", "clients").(string))
	n, err := strconv.Atoi(m[1])
	if err != nil {
		s.Fatal(err)
	}
	return n
}

// readers has n consumers of a group read until ctx is done, ten entries at a time.
// What comes is given to use, which they call at the same time.
func (s *scene) readers(ctx context.Context, g *redisstream.Group, n int, all *sync.WaitGroup, use func(reader int, got []stream.Delivery)) {
	s.Helper()
	for i := range n {
		src := s.open(g.Source(fmt.Sprint("c-", i), g.Epoch()))
		all.Go(func() {
			for ctx.Err() == nil {
				got, err := consumertest.Take(ctx, src, 10, time.Minute)
				if err != nil && ctx.Err() == nil {
					s.Error(err)
				}
				if len(got) > 0 {
					use(i, got)
				}
			}
		})
	}
}

// One consumer of a group waits in Redis, the others of the process for it to find
// something: then it is another's turn, so that each gets entries, and each entry
// comes once.
func TestOneLooksOut(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	g := s.group(redisstream.Start{})
	ensure(t, g)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	const (
		readers = 4
		entries = 100
	)
	var (
		mu   sync.Mutex
		came = map[stream.ID]int{}
		took [readers]int
		all  sync.WaitGroup
	)
	s.readers(ctx, g, readers, &all, func(i int, got []stream.Delivery) {
		mu.Lock()
		defer mu.Unlock()
		took[i]++
		for _, d := range got {
			came[d.ID]++
		}
	})
	for n := 1; n <= entries; n++ {
		s.blocked() // and only one
		s.add(n, n)
		eventually(t, func() bool { mu.Lock(); defer mu.Unlock(); return len(came) == n })
		if w := s.waiting(); w > 1 {
			t.Fatalf("%d wait in Redis", w)
		}
	}
	start := time.Now()
	cancel()
	all.Wait()
	if d := time.Since(start); d > 2*time.Second { // who waits for the others ends with its context
		t.Errorf("they took %v to end", d)
	}
	for id, n := range came {
		if n != 1 {
			t.Errorf("%s came %d times", id, n)
		}
	}
	for i, n := range took {
		if n < entries/readers/2 {
			t.Errorf("consumer %d got %d times something, of %d: %v", i, n, entries, took)
		}
	}
}

// A consumer that Redis does not answer keeps the others from waiting for a moment
// only.
func TestLookoutOverdue(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	p := newProxy(t, s.server.Addr())
	c := openConfig(t, redisstream.Config{URL: telemetry.Secret("redis://" + p.addr)})
	g := c.Group(config())
	ensure(t, g)
	a, b := s.open(g.Source("a", g.Epoch())), s.open(g.Source("b", g.Epoch()))
	read(t, a)
	read(t, b)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		_, err := consumertest.Take(ctx, a, 1, time.Minute)
		ended <- err
	}()
	s.blocked()
	p.keepNext.Store(true)
	s.add(1, 2)
	eventually(t, func() bool {
		got, err := consumertest.Take(t.Context(), b, 10, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		return len(got) == 1 && got[0].ID == stream.ID{Ms: 2}
	})
	select {
	case err := <-ended:
		t.Fatalf("the first consumer was answered: %v", err)
	default:
		cancel()
		<-ended
	}
}

// TestReadsApart: after a read that has brought little the next one of the group
// begins later, whichever consumer's it is. A backlog and an entry alone do not wait.
func TestReadsApart(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	cfg := config()
	const apart = 50 * time.Millisecond
	cfg.ReadsApart = apart
	g := s.client.Group(cfg)
	ensure(t, g)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var (
		mu       sync.Mutex
		reads, n int // that have brought something, and how much
		all      sync.WaitGroup
	)
	s.readers(ctx, g, 3, &all, func(_ int, got []stream.Delivery) {
		mu.Lock()
		defer mu.Unlock()
		reads++
		n += len(got)
	})
	s.blocked()
	start := time.Now()
	for i := 1; i <= 100; i++ {
		s.add(i, i)
		time.Sleep(time.Millisecond)
	}
	eventually(t, func() bool { mu.Lock(); defer mu.Unlock(); return n == 100 })
	took := time.Since(start)
	mu.Lock()
	// A read of ten is a full one, after which no time has to pass.
	if most := int(took/apart) + 1 + 100/10; reads > most {
		t.Errorf("%d reads have brought something in %s, want %d at most", reads, took, most)
	}
	mu.Unlock()
	cancel()
	all.Wait()

	cfg.ReadsApart = time.Hour
	g = s.client.Group(cfg)
	ensure(t, g)
	src := s.open(g.Source("c", g.Epoch()))
	s.add(101, 141)
	for i, want := range []int{10, 10, 10, 10, 1} {
		if got, err := consumertest.Take(t.Context(), src, 10, time.Minute); err != nil || len(got) != want {
			t.Fatalf("read %d: %d, %v, want %d", i, len(got), err, want)
		}
	}
}

// A read that fails leaves the place to the others.
func TestLookoutAfterFailure(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	p := newProxy(t, s.server.Addr())
	c := openConfig(t, redisstream.Config{URL: telemetry.Secret("redis://" + p.addr)})
	g := c.Group(config())
	ensure(t, g)
	a, b := s.open(g.Source("a", g.Epoch())), s.open(g.Source("b", g.Epoch()))
	read(t, a)
	read(t, b)
	s.add(1, 1)
	p.loseNext.Store(true)
	if got, err := consumertest.Take(t.Context(), a, 1, time.Second); err == nil {
		t.Fatalf("read %v, want an error", got)
	}
	s.add(2, 2)
	if got, err := consumertest.Take(t.Context(), b, 1, time.Millisecond); err != nil || len(got) != 1 {
		t.Fatalf("read %v, %v, want 2-0 at once", got, err)
	}
}

// Who waits for the place ends at once with its context.
func TestLookoutEndsWithItsContext(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	g := s.group(redisstream.Start{})
	ensure(t, g)
	a, b := s.open(g.Source("a", g.Epoch())), s.open(g.Source("b", g.Epoch()))
	read(t, b) // connects: from here on it waits for long
	stopped, stop := context.WithCancel(t.Context())
	var waits sync.WaitGroup
	defer waits.Wait()
	defer stop()
	waits.Go(func() {
		for stopped.Err() == nil {
			_, _ = consumertest.Take(stopped, a, 1, time.Minute)
		}
	})
	slow := 0 // a starved machine has a few; without an end it is most
	for range 20 {
		s.blocked()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		start := time.Now()
		for ctx.Err() == nil {
			_, _ = consumertest.Take(ctx, b, 1, time.Minute)
		}
		cancel()
		if time.Since(start) > 100*time.Millisecond {
			slow++
		}
	}
	if slow > 10 {
		t.Errorf("%d of 20 waits took longer than 100 ms to end", slow)
	}
}

// A connection that Redis has closed while it was others' turn fails nothing.
func TestLookoutAfterTimeout(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	src := s.source("a")
	read(t, src)
	s.do("CLIENT", "KILL", "TYPE", "normal")
	src.RestLine()
	if _, err := consumertest.Take(t.Context(), src, 1, time.Millisecond); err != nil {
		t.Fatal(err)
	}
}

// Large reads that find enough take turns. One that waits for its turn ends with
// its context, and goes on when a turn is free.
func TestLargeReadsTakeTurns(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	src := s.source("a")
	s.add(1, 600)
	if got, err := consumertest.Take(t.Context(), src, 256, 0); err != nil || len(got) != 256 {
		t.Fatalf("read %d, %v", len(got), err)
	}
	release := s.client.KeepTurns()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	start := time.Now()
	if got, err := consumertest.Take(ctx, src, 256, time.Minute); !errors.Is(err, context.DeadlineExceeded) || len(got) > 0 {
		t.Fatalf("it read %d without a turn, %v", len(got), err)
	}
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("it took %v to end", d)
	}
	time.AfterFunc(50*time.Millisecond, release)
	if got, err := consumertest.Take(t.Context(), src, 256, time.Minute); err != nil || len(got) != 256 {
		t.Fatalf("read %d, %v", len(got), err)
	}
	if got, err := consumertest.Take(t.Context(), src, 256, time.Minute); err != nil || len(got) != 88 {
		t.Fatalf("read %d, %v, want the rest", len(got), err)
	}
}
