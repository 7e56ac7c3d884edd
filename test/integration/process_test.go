package integration

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// process is one running fanout.
type process struct {
	t     *testing.T
	cmd   *exec.Cmd
	admin string // host and port
	log   *logBook
	ended chan struct{} // closed after it has ended
}

// spawn starts a process. It is killed at the end of the test if it still runs
// then, and its log is shown if the test has failed.
func spawn(t *testing.T, cmd *exec.Cmd, admin string) *process {
	t.Helper()
	p := &process{t: t, cmd: cmd, admin: admin, log: &logBook{}, ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p.log, p.log
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", cmd.Path, err)
	}
	go func() {
		_ = cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGCONT)
		_ = cmd.Process.Kill()
		<-p.ended
		if t.Failed() {
			t.Logf("%s\nthe last lines of pid %d:\n%s", cmd, cmd.Process.Pid, p.log.tail(120))
		}
	})
	return p
}

// ready waits until the process calls itself ready.
func (p *process) ready() *process {
	p.t.Helper()
	eventually(p.t, 20*time.Second, "be ready", func() error {
		if p.hasEnded() {
			p.t.Fatalf("the process ended with %d before it was ready", p.cmd.ProcessState.ExitCode())
		}
		resp, err := http.Get("http://" + p.admin + "/readyz")
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			var body bytes.Buffer
			_, _ = body.ReadFrom(resp.Body)
			return fmt.Errorf("%s: %s", resp.Status, &body)
		}
		return nil
	})
	return p
}

func (p *process) hasEnded() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

func (p *process) signal(sig syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		p.t.Fatalf("signal the process: %v", err)
	}
}

// exit waits for the end and wants the given code.
func (p *process) exit(within time.Duration, code int) {
	p.t.Helper()
	if got := p.wait(within); got != code {
		p.t.Errorf("exit code %d, want %d", got, code)
	}
}

// wait waits for the end; a process that was killed gives -1.
func (p *process) wait(within time.Duration) int {
	p.t.Helper()
	select {
	case <-p.ended:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(within):
		p.t.Fatalf("the process did not end within %v", within)
		return 0
	}
}

// kill ends the process as a power cut would.
func (p *process) kill() {
	p.t.Helper()
	p.signal(syscall.SIGKILL)
	p.wait(10 * time.Second)
}

// stop drains the process and wants it to end well.
func (p *process) stop() {
	p.t.Helper()
	p.signal(syscall.SIGTERM)
	p.exit(20*time.Second, 0)
}

// logBook keeps what a process writes.
type logBook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logBook) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logBook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *logBook) tail(lines int) string {
	all := strings.Split(strings.TrimRight(l.String(), "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// len is the number of lines so far, as a start for since.
func (l *logBook) len() int { return strings.Count(l.String(), "\n") }

// since returns the records after the first n lines; lines that are no JSON
// have all their text as the message.
func (l *logBook) since(n int) []record {
	var records []record
	for i, line := range strings.SplitAfter(l.String(), "\n") {
		if i < n || !strings.HasSuffix(line, "\n") {
			continue
		}
		r := record{}
		if json.Unmarshal([]byte(line), &r) != nil {
			r = record{"msg": strings.TrimSpace(line)}
		}
		records = append(records, r)
	}
	return records
}

// record is one line of a JSON log.
type record map[string]any

func (r record) text(key string) string {
	if v, ok := r[key]; ok {
		return fmt.Sprint(v)
	}
	return ""
}

// eventually polls until check returns nil and fails the test with its last
// error after the deadline.
func eventually(t *testing.T, within time.Duration, what string, check func() error) {
	t.Helper()
	deadline := time.Now().Add(within)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("did not %s within %v: %v", what, within, err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// command runs a fanout command to its end and gives back what it wrote.
func command(t *testing.T, s *site, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := s.command(fanoutBinary, "", args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	timer := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s: %v", cmd, err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}
