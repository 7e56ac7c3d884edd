package cli

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"example.com/fanout/pkg/app"
	"example.com/fanout/pkg/manifest"
	"example.com/fanout/pkg/telemetry"
)

const (
	notifyInterval = 5 * time.Second        // between two looks at the process
	notifyStarting = 100 * time.Millisecond // the same until it has started
	notifyTimeout  = time.Second            // of one message
	longestStatus  = 500                    // bytes
)

// notified is a process that tells systemd how it is (sd_notify): when it has
// started, reloads and stops, a line for systemctl status, and a sign of life
// for as long as no loop of the process hangs.
type notified struct {
	process
	condition func() app.Condition

	socket   string        // where systemd listens; "@…" in the abstract namespace
	interval time.Duration // between two looks at the process
	watchdog bool          // systemd wants a sign of life
	unheard  telemetry.Repeat

	ready atomic.Bool   // READY=1 was sent
	look  chan struct{} // asks for a look at the process now
}

// notify wraps a process where systemd asks for it by the environment, and
// returns the process itself otherwise.
func notify(p process, condition func() app.Condition, getenv func(string) string, logger *slog.Logger) process {
	socket := getenv("NOTIFY_SOCKET")
	switch {
	case socket == "":
		return p
	case !strings.HasPrefix(socket, "/") && !strings.HasPrefix(socket, "@"):
		logger.Warn("service manager is not notified", "hint", "NOTIFY_SOCKET is neither a path nor an abstract socket")
		return p
	}
	n := &notified{
		process: p, condition: condition, socket: socket, interval: notifyInterval, look: make(chan struct{}, 1),
		unheard: telemetry.Repeat{
			Logger: logger, Level: slog.LevelWarn,
			Begin: "service manager cannot be notified", End: "service manager is notified again",
		},
	}
	if within := watchdog(getenv); within > 0 {
		n.watchdog, n.interval = true, min(within/4, notifyInterval)
	}
	return n
}

// watchdog is how long systemd waits for a sign of life of this process; 0: it
// does not.
func watchdog(getenv func(string) string) time.Duration {
	if pid := getenv("WATCHDOG_PID"); pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return 0
	}
	micros, err := strconv.ParseInt(getenv("WATCHDOG_USEC"), 10, 64)
	if err != nil || micros <= 0 || micros > int64(24*time.Hour/time.Microsecond) {
		return 0
	}
	return time.Duration(micros) * time.Microsecond
}

// Serve serves the process and tells how it is until it has ended.
func (n *notified) Serve(ctx context.Context) error {
	told, end := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(told)
		n.tell(ctx, end)
	}()
	defer func() {
		close(end)
		<-told
	}()
	stopping := context.AfterFunc(ctx, func() { n.send("STOPPING=1") })
	err := n.process.Serve(ctx)
	if stopping() { // it ended by itself
		n.send("STOPPING=1")
	}
	return err
}

// tell looks at the process until end is closed. A look that does not return is
// a process that hangs: then no sign of life goes out either.
func (n *notified) tell(ctx context.Context, end <-chan struct{}) {
	said := ""
	for {
		c := n.condition()
		if ctx.Err() != nil {
			c.Text = "stopping: groups drain"
		}
		var lines []string
		if c.Started && !n.ready.Load() {
			lines = append(lines, "READY=1")
		}
		if status := printable(c.Text, longestStatus); status != said {
			lines, said = append(lines, "STATUS="+status), status
		}
		if n.watchdog && c.Alive {
			lines = append(lines, "WATCHDOG=1")
		}
		if len(lines) > 0 {
			n.send(lines...)
		}
		interval := n.interval
		if c.Started {
			n.ready.Store(true)
		} else {
			interval = min(interval, notifyStarting)
		}
		timer := time.NewTimer(interval)
		select {
		case <-timer.C:
		case <-n.look:
			timer.Stop()
		case <-end:
			timer.Stop()
			return
		}
	}
}

// Reload reloads the process and tells when that begins and ends. systemd waits
// for both, and takes a reload that was refused for one that is done; the
// status says so.
func (n *notified) Reload(ctx context.Context) (manifest.Plan, error) {
	if !n.ready.Load() { // systemd knows of no reload before the start
		return n.process.Reload(ctx)
	}
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return manifest.Plan{}, fmt.Errorf("read clock: %w", err)
	}
	n.send("RELOADING=1", fmt.Sprintf("MONOTONIC_USEC=%d", now.Nano()/1000))
	plan, err := n.process.Reload(ctx)
	if ctx.Err() == nil {
		n.send("READY=1")
	}
	select {
	case n.look <- struct{}{}:
	default: // asked for already
	}
	return plan, err
}

// send sends one message. It opens the socket each time: a systemd that was
// restarted has a new one.
func (n *notified) send(lines ...string) {
	err := func() error {
		conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Net: "unixgram", Name: n.socket})
		if err != nil {
			return err
		}
		defer conn.Close()
		if err := conn.SetWriteDeadline(time.Now().Add(notifyTimeout)); err != nil {
			return err
		}
		_, err = conn.Write([]byte(strings.Join(lines, "\n")))
		return err
	}()
	if err != nil {
		n.unheard.Fault(err)
		return
	}
	n.unheard.Clear()
}
