package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/fanout/pkg/app"
	"example.com/fanout/pkg/manifest"
)

// serviceManager is the socket of a systemd.
type serviceManager struct {
	t    *testing.T
	conn *net.UnixConn

	mu   sync.Mutex
	told []string // messages
}

func newServiceManager(t *testing.T, address string) *serviceManager {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: address})
	if err != nil {
		t.Fatal(err)
	}
	m := &serviceManager{t: t, conn: conn}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for b := make([]byte, 4096); ; {
			n, err := conn.Read(b)
			if err != nil {
				return
			}
			m.mu.Lock()
			m.told = append(m.told, string(b[:n]))
			m.mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		_ = conn.Close()
		<-done
	})
	return m
}

// lines are all lines of all messages so far.
func (m *serviceManager) lines() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return strings.Split(strings.Join(m.told, "\n"), "\n")
}

func (m *serviceManager) count(line string) (n int) {
	for _, l := range m.lines() {
		if l == line {
			n++
		}
	}
	return n
}

func (m *serviceManager) hears(line string) {
	m.t.Helper()
	eventually(m.t, line, func() bool { return m.count(line) > 0 })
}

// notifiedProcess is a process whose condition a test sets.
type notifiedProcess struct {
	fakeProcess
	mu    sync.Mutex
	is    app.Condition
	looks int
}

func (p *notifiedProcess) condition() app.Condition {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.looks++
	return p.is
}

func (p *notifiedProcess) set(c app.Condition) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.is = c
}

// looked waits until the condition has been looked at that often again.
func (p *notifiedProcess) looked(t *testing.T, times int) {
	t.Helper()
	count := func() int {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.looks
	}
	until := count() + times
	eventually(t, "look at the process", func() bool { return count() >= until })
}

// notifying serves a process that tells a service manager how it is.
func notifying(t *testing.T, p *notifiedProcess, environ map[string]string) (n process, stop func(), ended chan error) {
	t.Helper()
	n = notify(p, p.condition, func(name string) string { return environ[name] }, slog.New(slog.DiscardHandler))
	ctx, stop := context.WithCancel(t.Context())
	t.Cleanup(stop)
	ended = make(chan error, 1)
	go func() { ended <- n.Serve(ctx) }()
	return n, stop, ended
}

func notifySocket(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "fanout-notify-") // t.TempDir is too long for a socket in it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "notify")
}

func TestNotify(t *testing.T) {
	t.Parallel()
	addresses := map[string]string{
		"path":     notifySocket(t),
		"abstract": fmt.Sprintf("@fanout-notify-%d", os.Getpid()),
	}
	for name, address := range addresses {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newServiceManager(t, address)
			release := make(chan struct{})
			p := &notifiedProcess{is: app.Condition{Alive: true, Text: "starting"}}
			p.serve = func(ctx context.Context) error {
				<-ctx.Done()
				<-release
				return nil
			}
			p.reload = func(context.Context) (manifest.Plan, error) { return manifest.Plan{}, errors.New("a fault") }
			n, stop, ended := notifying(t, p, map[string]string{
				"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "40000", "WATCHDOG_PID": strconv.Itoa(os.Getpid()),
			})

			m.hears("STATUS=starting")
			m.hears("WATCHDOG=1")
			if m.count("READY=1") > 0 {
				t.Error("ready before the start")
			}
			p.set(app.Condition{Started: true, Alive: true, Text: "up\nREADY=1\nMAINPID=1"})
			m.hears("READY=1")
			m.hears(`STATUS=up\nREADY=1\nMAINPID=1`)

			before := len(m.lines())
			if _, err := n.Reload(t.Context()); err == nil {
				t.Error("the fault of a reload is lost")
			}
			eventually(t, "end of the reload", func() bool { return slices.Contains(m.lines()[before:], "READY=1") })
			reload := m.lines()[before:]
			begun := slices.Index(reload, "RELOADING=1")
			if begun < 0 || begun > slices.Index(reload, "READY=1") || !strings.HasPrefix(reload[begun+1], "MONOTONIC_USEC=") {
				t.Errorf("reload is told as %v", reload)
			}

			// A loop that hangs: no sign of life, whatever else is told.
			p.set(app.Condition{Started: true, Text: "hangs"})
			m.hears("STATUS=hangs")
			beats := m.count("WATCHDOG=1")
			p.looked(t, 5)
			if more := m.count("WATCHDOG=1") - beats; more > 0 {
				t.Errorf("%d signs of life while a loop hangs", more)
			}
			p.set(app.Condition{Started: true, Alive: true, Text: "up again"})
			eventually(t, "sign of life", func() bool { return m.count("WATCHDOG=1") > beats })

			stop()
			m.hears("STOPPING=1")
			m.hears("STATUS=stopping: groups drain")
			beats = m.count("WATCHDOG=1")
			eventually(t, "sign of life while it drains", func() bool { return m.count("WATCHDOG=1") > beats })
			close(release)
			if err := <-ended; err != nil {
				t.Error(err)
			}
			if n := m.count("STOPPING=1"); n != 1 {
				t.Errorf("%d times STOPPING=1", n)
			}
		})
	}
}

// A process that ends by itself says so, too.
func TestNotifyEnd(t *testing.T) {
	t.Parallel()
	address := notifySocket(t)
	m := newServiceManager(t, address)
	p := &notifiedProcess{fakeProcess: fakeProcess{serve: func(context.Context) error { return nil }}}
	_, _, ended := notifying(t, p, map[string]string{"NOTIFY_SOCKET": address})
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	m.hears("STOPPING=1")
	if n := m.count("WATCHDOG=1"); n > 0 {
		t.Errorf("%d signs of life that nobody asked for", n)
	}
}

func TestNotifyNobody(t *testing.T) {
	t.Parallel()
	p := &notifiedProcess{}
	for _, socket := range []string{"", "vsock:2:1234", "notify"} {
		n := notify(p, p.condition, func(string) string { return socket }, slog.New(slog.DiscardHandler))
		if n != process(p) {
			t.Errorf("NOTIFY_SOCKET=%s is notified", socket)
		}
	}
	// A socket that nobody has hinders nothing.
	p.serve = func(context.Context) error { return nil }
	_, _, ended := notifying(t, p, map[string]string{"NOTIFY_SOCKET": notifySocket(t)})
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestWatchdog(t *testing.T) {
	t.Parallel()
	own := strconv.Itoa(os.Getpid())
	for _, test := range []struct {
		usec, pid string
		want      time.Duration
	}{
		{"30000000", own, 30 * time.Second},
		{"30000000", "", 30 * time.Second},
		{"30000000", "1", 0},
		{"", own, 0},
		{"0", own, 0},
		{"-1", own, 0},
		{"9223372036854775807", own, 0},
		{"30s", own, 0},
	} {
		got := watchdog(func(name string) string {
			return map[string]string{"WATCHDOG_USEC": test.usec, "WATCHDOG_PID": test.pid}[name]
		})
		if got != test.want {
			t.Errorf("WATCHDOG_USEC=%s WATCHDOG_PID=%s: %v, want %v", test.usec, test.pid, got, test.want)
		}
	}
}
