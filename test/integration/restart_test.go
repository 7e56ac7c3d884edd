package integration

import (
	"bufio"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A signal restarts one group alone. This test measures time, so it does not
// run beside others.
func TestSignalRestartsOneGroup(t *testing.T) {
	const (
		window   = 1500 * time.Millisecond // of each measurement
		bound    = 100 * time.Millisecond
		attempts = 5 // a busy machine may spoil some of them; their median counts
	)
	s := newSite(t).manifest(faultyGroup("analytics", "restart_signal: 35") + faultyGroup("other"))
	p := s.run().ready()
	acks := watchAcks(t, s, "other")
	flow := startFlow(s)
	s.inFlow("analytics", "other")

	others := s.connections("other")
	if len(others) == 0 {
		t.Fatal("the other group has no named connections")
	}
	var excess []time.Duration
	for range attempts {
		control := acks.longestGap(window)

		before, mark := s.connections("analytics"), p.log.len()
		measured := make(chan time.Duration)
		go func() { measured <- acks.longestGap(window) }()
		p.signal(syscall.Signal(35))
		eventually(t, 5*time.Second, "log the restart with its cause", func() error {
			for _, r := range p.log.since(mark) {
				if r.text("group") == "analytics" && strings.Contains(r.text("cause"), "signal") {
					return nil
				}
			}
			return fmt.Errorf("no line of analytics names a signal as its cause")
		})
		eventually(t, 5*time.Second, "connect anew", func() error {
			after := s.connections("analytics")
			for id := range before {
				if _, old := after[id]; old {
					return fmt.Errorf("connection %s is still there", id)
				}
			}
			if len(after) < len(before) {
				return fmt.Errorf("%d connections, want %d", len(after), len(before))
			}
			return nil
		})
		excess = append(excess, <-measured-control)
	}
	slices.Sort(excess)
	t.Logf("longest gap between acks beyond the control run: %v", excess)
	if median := excess[len(excess)/2]; median > bound {
		t.Errorf("a restart of analytics held up the other group for %v, want at most %v", median, bound)
	}
	if now := s.connections("other"); !maps.Equal(now, others) {
		t.Errorf("the other group's connections were %v and are %v", others, now)
	}

	ids := flow.stop()
	s.settled(10*time.Second, "analytics", "other")
	s.onceEach("analytics", ids)
	s.onceEach("other", ids)
	p.stop()
}

// flow publishes a trade every few milliseconds until it is stopped.
type flow struct {
	quit, ended chan struct{}
	ids         []string // to be read after ended
}

func startFlow(s *site) *flow {
	f := &flow{quit: make(chan struct{}), ended: make(chan struct{})}
	all := events(trades(4, 10_000))
	go func() {
		defer close(f.ended)
		tick := time.NewTicker(3 * time.Millisecond)
		defer tick.Stop()
		for _, event := range all {
			select {
			case <-f.quit:
				return
			case <-tick.C:
				f.ids = append(f.ids, s.add("*", "event", event))
			}
		}
		s.t.Error("the flow ran dry")
	}()
	s.t.Cleanup(func() { f.stop() })
	return f
}

func (f *flow) stop() []string {
	select {
	case <-f.quit:
	default:
		close(f.quit)
	}
	<-f.ended
	return f.ids
}

// inFlow waits until each group has handled something.
func (s *site) inFlow(groups ...string) {
	s.t.Helper()
	eventually(s.t, 10*time.Second, "handle the flow", func() error {
		for _, group := range groups {
			if n := len(s.board.Handled(group)); n < 20 {
				return fmt.Errorf("%s has handled %d", group, n)
			}
		}
		return nil
	})
}

// ackClock notes when Redis executes an acknowledgement of a group.
type ackClock struct {
	mu    sync.Mutex
	times []time.Time
}

// watchAcks follows the commands of the server with MONITOR, which has the
// server's own time in each line.
func watchAcks(t *testing.T, s *site, group string) *ackClock {
	t.Helper()
	conn, err := net.Dial("tcp", s.redis.Addr())
	if err != nil {
		t.Fatal(err)
	}
	c := &ackClock{}
	lines := bufio.NewReaderSize(conn, 1<<20)
	if _, err := conn.Write([]byte("MONITOR\r\n")); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	t.Cleanup(func() {
		conn.Close()
		<-ended
	})
	go func() {
		defer close(ended)
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				return
			}
			if at, ok := ackTime(line, group); ok {
				c.mu.Lock()
				c.times = append(c.times, at)
				c.mu.Unlock()
			}
		}
	}()
	return c
}

// ackTime reads +1700000000.123456 [0 lua] "XACK" "stream" "group" "1-1".
func ackTime(line, group string) (time.Time, bool) {
	at, rest, ok := strings.Cut(strings.TrimPrefix(line, "+"), " ")
	_, command, ok2 := strings.Cut(rest, "] ")
	if !ok || !ok2 {
		return time.Time{}, false
	}
	words := strings.Fields(command)
	if len(words) < 4 || !strings.EqualFold(words[0], `"XACK"`) || words[2] != strconv.Quote(group) {
		return time.Time{}, false
	}
	seconds, err := strconv.ParseFloat(at, 64)
	return time.UnixMicro(int64(seconds * 1e6)), err == nil
}

// longestGap lets a window of time pass and returns the longest time in it
// without an acknowledgement.
func (c *ackClock) longestGap(window time.Duration) time.Duration {
	from := time.Now()
	<-time.After(window)
	to := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	longest, last := time.Duration(0), from
	for _, at := range c.times {
		if at.Before(from) || at.After(to) {
			continue
		}
		longest, last = max(longest, at.Sub(last)), at
	}
	return max(longest, to.Sub(last))
}
