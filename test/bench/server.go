package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/fanout/pkg/exchange"
)

// eventsStream is the stream of the shipped manifest.
const eventsStream = "events_stream"

// seed makes all trades of a run the same.
const seed = 5

// server is the redis-server of the benchmark: no snapshots, no append-only
// file.
type server struct {
	*process
	addr    string
	rdb     *redis.Client
	firstMs int64 // of the first ID of the stream, see idOf
}

func startServer(ctx context.Context, dir string) (*server, error) {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, errors.New("redis-server is not installed; install it with: scripts/install-redis.sh")
	}
	// Another process may take the port before the server does: then the next
	// one is tried.
	for range 10 {
		addr, err := freeAddress()
		if err != nil {
			return nil, err
		}
		_, port, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, err
		}
		p, err := spawn(exec.Command(path, "--bind", "127.0.0.1", "--port", port, "--dir", dir,
			"--save", "", "--appendonly", "no", "--loglevel", "warning"))
		if err != nil {
			return nil, err
		}
		s := &server{process: p, addr: addr, rdb: redis.NewClient(&redis.Options{Addr: addr})}
		if s.answers(ctx) {
			return s, nil
		}
		s.close()
	}
	return nil, errors.New("start redis-server: it does not answer")
}

// answers waits until the process itself answers.
func (s *server) answers(ctx context.Context) bool {
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline) && !s.hasEnded(); {
		info, err := s.rdb.InfoMap(ctx, "server").Result()
		if err == nil && info["Server"]["process_id"] == strconv.Itoa(s.cmd.Process.Pid) {
			return true
		}
		time.Sleep(5 * time.Millisecond)
	}
	return false
}

func (s *server) close() {
	_ = s.rdb.Close()
	s.kill()
}

// url is the address in the form of the manifest.
func (s *server) url() string { return "redis://" + s.addr + "/0" }

// perMs is how many entries of the stream share the time in their IDs.
const perMs = 100

// idOf is the ID of the n-th entry that fill has added, from 1 on; 0-0 for 0.
func (s *server) idOf(n int) string {
	if n == 0 {
		return "0-0"
	}
	return fmt.Sprintf("%d-%d", s.firstMs+int64(n-1)/perMs, (n-1)%perMs)
}

// fill makes the stream of n trades.
func (s *server) fill(ctx context.Context, n int) error {
	s.firstMs = time.Now().UnixMilli() - int64(n)/perMs - 1
	out, err := newPublisher(s.addr, eventsStream)
	if err != nil {
		return err
	}
	defer out.close()
	x := exchange.New(exchange.Config{Seed: seed})
	var event []byte
	for i := 1; i <= n; i++ {
		event = exchange.AppendJSON(event[:0], x.Next())
		if err := out.add(s.idOf(i), event); err != nil {
			return fmt.Errorf("fill the stream: %w", err)
		}
	}
	return s.added(ctx, out, eventsStream, int64(n))
}

// added waits until the stream has had n entries.
func (s *server) added(ctx context.Context, out *publisher, stream string, n int64) error {
	if err := out.flush(); err != nil {
		return fmt.Errorf("fill the stream: %w", err)
	}
	for last, since := int64(-1), time.Now(); ; time.Sleep(2 * time.Millisecond) {
		length, err := s.rdb.XLen(ctx, stream).Result()
		switch {
		case err != nil:
			return fmt.Errorf("fill the stream: %w", err)
		case length == n:
			return nil
		case length != last:
			last, since = length, time.Now()
		case time.Since(since) > 20*time.Second:
			return fmt.Errorf("fill the stream: %d of %d entries arrived", length, n)
		}
	}
}

// entryBytes is the size of an entry in a reply, on average over the first
// ones: ID, name, JSON and what RESP puts around them.
func (s *server) entryBytes(ctx context.Context) (float64, error) {
	list, err := s.rdb.XRangeN(ctx, eventsStream, "-", "+", 1000).Result()
	if err != nil || len(list) == 0 {
		return 0, fmt.Errorf("look at the stream: %w", err)
	}
	n := 0
	for _, m := range list {
		n += len("*2\r\n*2\r\n") + bulkBytes(len(m.ID))
		for name, value := range m.Values {
			text, _ := value.(string)
			n += bulkBytes(len(name)) + bulkBytes(len(text))
		}
	}
	return float64(n) / float64(len(list)), nil
}

func bulkBytes(n int) int { return len("$\r\n\r\n") + len(strconv.Itoa(n)) + n }

// begin makes the groups anew, each with the same last entries before it, and
// removes everything else but the stream.
func (s *server) begin(ctx context.Context, stream string, groups []string, skip int) error {
	keys, err := s.rdb.Keys(ctx, "*").Result()
	if err != nil {
		return fmt.Errorf("begin a run: %w", err)
	}
	for _, key := range keys {
		if key == stream || key == eventsStream {
			continue
		}
		if err := s.rdb.Del(ctx, key).Err(); err != nil {
			return fmt.Errorf("begin a run: %w", err)
		}
	}
	old, err := s.rdb.XInfoGroups(ctx, stream).Result()
	if err != nil {
		return fmt.Errorf("begin a run: %w", err)
	}
	_, err = s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, g := range old {
			p.XGroupDestroy(ctx, stream, g.Name)
		}
		for _, name := range groups {
			p.Do(ctx, "XGROUP", "CREATE", stream, name, s.idOf(skip), "ENTRIESREAD", skip)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("begin a run: %w", err)
	}
	return nil
}

// settled is how many deliveries of all groups are settled: what was read less
// what is pending. skip is what begin was told.
func (s *server) settled(ctx context.Context, stream string, skip int) (int64, error) {
	groups, err := s.rdb.XInfoGroups(ctx, stream).Result()
	if err != nil {
		return 0, fmt.Errorf("ask for the progress: %w", err)
	}
	var n int64
	for _, g := range groups {
		n += g.EntriesRead - g.Pending - int64(skip)
	}
	return n, nil
}
