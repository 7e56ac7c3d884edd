package integration

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"example.com/fanout/test/integration/faulty"
)

// followEvents opens a live feed. A reader that does not read leaves what comes
// in the sockets.
func (p *process) followEvents(reads bool) {
	p.t.Helper()
	conn, err := net.Dial("tcp", p.admin)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { conn.Close() })
	_ = conn.(*net.TCPConn).SetReadBuffer(4096)
	fmt.Fprintf(conn, "GET /v1/events HTTP/1.1\r\nHost: %s\r\n\r\n", p.admin)
	if !reads {
		return
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil) //nolint:bodyclose // it ends with its connection
	if err != nil || resp.StatusCode != http.StatusOK {
		p.t.Fatalf("follow the events: %v, %v", resp, err)
	}
	go func() { _, _ = io.Copy(io.Discard, resp.Body) }()
}

// deliveries lets the groups handle n events each and returns how many a second
// they did.
func (s *site) deliveries(n int, groups ...string) float64 {
	s.t.Helper()
	began := time.Now()
	s.publish(events(trades(1, n))...)
	s.settled(60*time.Second, groups...)
	return float64(n*len(groups)) / time.Since(began).Seconds()
}

// A hundred clients follow the events, ten of them never read. The groups go on
// as without them, while one group makes events all the time, and clients that
// read hear of it.
func TestManyFollowers(t *testing.T) {
	t.Parallel()
	const n = 50_000
	s := newSite(t).manifest(`  a: {handler: {log: {level: none}}}
  b: {handler: {log: {level: none}}}
` + faultyGroup("noisy", "stream: noise", "dead_letter: {max_len: 1000000, overflow: drop_oldest}"))
	s.board.Tell("noisy", faulty.Verdict{Act: faulty.Permanent})
	p := s.run().ready()
	noise, made := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(made)
		for tick := time.NewTicker(50 * time.Millisecond); ; {
			select {
			case <-noise:
				return
			case <-tick.C:
				// Each restart is three events or more for each client.
				if resp, err := http.Post("http://"+p.admin+"/v1/groups/noisy/restart", "", nil); err == nil {
					resp.Body.Close()
				}
			}
		}
	}()
	first := s.deliveries(n, "a", "b")
	alone := min(first, s.deliveries(n, "a", "b"))
	for i := range 100 {
		p.followEvents(i >= 10)
	}
	followed := s.deliveries(n, "a", "b")
	close(noise)
	<-made
	t.Logf("deliveries a second: %.0f alone, %.0f with 100 followers of whom 10 never read", alone, followed)
	if followed < alone/5 {
		t.Errorf("with followers the groups do %.0f deliveries a second, without them %.0f: they wait for followers", followed, alone)
	}

	follower := beside(t, s, p, "events", "--follow", "noisy", "--recent", "0")
	eventually(t, 20*time.Second, "tell a follower of a dead letter", func() error {
		s.addTo("noise", 1)
		if text := follower.String(); !strings.Contains(text, " noisy dead-letters ") || !strings.Contains(text, "dead letter written (handle 1)") && !strings.Contains(text, "dead letters written (handle ") {
			return fmt.Errorf("it heard\n%s", text)
		}
		return nil
	})
	if got := p.metric("go_goroutines"); got < 100 {
		t.Errorf("%v goroutines: nobody follows", got)
	}
	began := time.Now()
	p.stop() // and does not wait for the followers
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("the process took %v to end", took)
	}
}

// beside starts a command that runs beside the test.
func beside(t *testing.T, s *site, p *process, args ...string) *logBook {
	t.Helper()
	return spawn(t, s.command(fanoutBinary, p.admin, append(args, "--admin", p.admin)...), p.admin).log
}
