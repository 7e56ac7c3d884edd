package integration

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// openTerminal makes a terminal of a size; what is written to it goes into the
// book until nobody has it open any more.
func openTerminal(t *testing.T, width, height uint16) (tty *os.File, shown *logBook, closed <-chan struct{}) {
	t.Helper()
	ours, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	fd := int(ours.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatalf("unlock the terminal: %v", err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatalf("find the terminal: %v", err)
	}
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: height, Col: width}); err != nil {
		t.Fatalf("resize the terminal: %v", err)
	}
	tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	shown = &logBook{}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = io.Copy(shown, ours) // ends with an error of input
		ours.Close()
	}()
	t.Cleanup(func() { tty.Close() })
	return tty, shown, ended
}

var escapes = regexp.MustCompile(`\x1b\[[0-9;?]*[A-Za-z]`)

// status --watch keeps to its terminal, shows what changes, and gives the screen
// back.
func TestWatchOnTerminal(t *testing.T) {
	t.Parallel()
	const width = 60
	s := newSite(t).manifest(faultyGroup("a") + faultyGroup("b"))
	p := s.run().ready()
	tty, shown, closed := openTerminal(t, width, 24)
	cmd := s.command(fanoutBinary, p.admin, "status", "--watch", "--admin", p.admin)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	tty.Close()
	frames := func() []string { return strings.Split(shown.String(), "\x1b[H") }
	shows := func(text string) {
		t.Helper()
		eventually(t, 20*time.Second, "show "+text, func() error {
			all := frames()
			for _, line := range strings.Split(all[len(all)-1], "\r\n") {
				if strings.HasPrefix(strings.Join(strings.Fields(escapes.ReplaceAllString(line, "")), " "), text) {
					return nil
				}
			}
			return fmt.Errorf("it shows\n%q", all[len(all)-1])
		})
	}
	shows("a OK")
	p.ask(s, 0, "pause", "b")
	shows("b STOPPED")
	shows("b: → fanout resume b lets it go on")
	_ = cmd.Process.Signal(syscall.SIGINT)
	<-closed
	if err := cmd.Wait(); err != nil {
		t.Errorf("it ends with %v", err)
	}
	out := shown.String()
	if !strings.HasPrefix(out, "\x1b[?1049h") || !strings.HasSuffix(out, "\x1b[?1049l") || len(frames()) < 3 {
		t.Errorf("the screen is not given back:\n%q", out)
	}
	for _, frame := range frames() {
		for _, line := range strings.Split(frame, "\r\n") {
			if n := utf8.RuneCountInString(escapes.ReplaceAllString(line, "")); n > width {
				t.Errorf("%d columns on a terminal of %d: %q", n, width, line)
			}
		}
	}
	p.stop()
}
