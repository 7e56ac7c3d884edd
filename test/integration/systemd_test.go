package integration

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// systemd is the socket of one, with the messages that came, in order.
type systemd struct {
	t       *testing.T
	address string

	mu   sync.Mutex
	told []string
}

func (s *site) systemd() *systemd {
	s.t.Helper()
	m := &systemd{t: s.t, address: s.path("notify")}
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: m.address})
	if err != nil {
		s.t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for b := make([]byte, 4096); ; {
			n, err := conn.Read(b)
			if err != nil {
				return
			}
			m.mu.Lock()
			m.told = append(m.told, "\n"+string(b[:n])+"\n")
			m.mu.Unlock()
		}
	}()
	s.t.Cleanup(func() {
		_ = conn.Close()
		<-done
	})
	return m
}

// run starts the process as a service.
func (m *systemd) run(s *site, args ...string) *process {
	m.t.Helper()
	admin := freeAddress(m.t)
	cmd := s.command(faultyBinary, admin, append([]string{"run", "--log-format", "json"}, args...)...)
	cmd.Env = append(cmd.Env, "NOTIFY_SOCKET="+m.address, "WATCHDOG_USEC=400000") // no WATCHDOG_PID: any process's
	return spawn(m.t, cmd, admin)
}

// since are the messages from one on.
func (m *systemd) since(from int) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.told[from:])
}

// hears waits for a message with all the parts, at from or later, and tells
// which one it is.
func (m *systemd) hears(from int, parts ...string) (at int) {
	m.t.Helper()
	eventually(m.t, 20*time.Second, fmt.Sprintf("tell systemd %q", parts), func() error {
		told := m.since(from)
		for i, message := range told {
			if !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(message, part) }) {
				at = from + i
				return nil
			}
		}
		return fmt.Errorf("there were %q", told)
	})
	return at
}

// The built binary as a service of systemd: it says when it has started, that it
// is alive, when a reload begins and ends and what became of it, and that it stops.
func TestSystemdService(t *testing.T) {
	t.Parallel()
	s := newSite(t).manifest(faultyGroup("a"))
	m := s.systemd()
	p := m.run(s)
	m.hears(0, "\nREADY=1\n")
	p.ready()
	m.hears(0, "\nSTATUS=all groups work (1)\n")
	m.hears(0, "\nWATCHDOG=1\n")

	// A process that is stopped gives no sign of life, and one when it goes on.
	p.signal(syscall.SIGSTOP)
	const quiet = time.Second // more than twice what systemd would wait
	for said, since := len(m.since(0)), time.Now(); time.Since(since) < quiet; time.Sleep(10 * time.Millisecond) {
		if n := len(m.since(0)); n > said { // sent before the stop
			said, since = n, time.Now()
		}
	}
	stopped := len(m.since(0))
	p.signal(syscall.SIGCONT)
	m.hears(stopped, "\nWATCHDOG=1\n")

	s.manifest(faultyGroup("a") + faultyGroup("b"))
	p.signal(syscall.SIGHUP)
	begun := m.hears(stopped, "\nRELOADING=1\n", "\nMONOTONIC_USEC=")
	done := m.hears(begun, "\nREADY=1\n")
	m.hears(begun, "\nSTATUS=all groups work (2)\n")

	s.file("groups.yaml", "version: 1\ngroups:\n  a:\n    handler: nothing\n")
	p.signal(syscall.SIGHUP)
	begun = m.hears(done+1, "\nRELOADING=1\n")
	done = m.hears(begun, "\nREADY=1\n")
	m.hears(begun, "\nSTATUS=reload refused, the groups before it run on (groups.yaml:4:")

	p.signal(syscall.SIGTERM)
	m.hears(done, "\nSTOPPING=1\n")
	p.exit(20*time.Second, 0)
}

// A service whose Redis is away has started: systemd need not wait, and shows
// what is the matter.
func TestSystemdServiceWithoutRedis(t *testing.T) {
	t.Parallel()
	s := newSite(t).manifest(faultyGroup("a"))
	s.redis.Stop(t)
	m := s.systemd()
	p := m.run(s)
	m.hears(0, "\nREADY=1\n")
	m.hears(0, "\nSTATUS=redis: nothing listens at the address in redis.url")
	s.redis.Restart(t)
	m.hears(0, "\nSTATUS=all groups work (1)\n")
	p.stop()
}

// A start that fails is no start.
func TestSystemdServiceThatFails(t *testing.T) {
	t.Parallel()
	s := newSite(t).manifest(faultyGroup("a"))
	first := s.run("--instance", "blue").ready()
	m := s.systemd()
	m.run(s, "--instance", "blue").exit(60*time.Second, 1)
	m.hears(0, "\nSTOPPING=1\n")
	for _, message := range m.since(0) {
		if strings.Contains(message, "READY=1") {
			t.Errorf("a start that failed is told as %q", message)
		}
	}
	first.stop()
}
