package chaos

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// Exit codes that a fault may bring about.
const (
	bySignal     = -1
	unclean      = 4  // not everything was confirmed
	badManifest  = 78 // a process that began while the manifest was broken
	respawnDelay = 50 * time.Millisecond
)

// outages are the times in which the processes could not reach Redis.
type outages struct {
	mu   sync.Mutex
	list []span
}

type span struct{ from, to time.Time }

// during notes that there is an outage while do runs.
func (o *outages) during(do func() error) error {
	from := time.Now()
	err := do()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.list = append(o.list, span{from, time.Now()})
	return err
}

// excuse reports whether a stop that has ended at a moment may have left
// something unsettled: Redis was away when it was told last, or would have been.
func (o *outages) excuse(ended time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, s := range o.list {
		if s.from.Before(ended) && s.to.After(ended.Add(-retryPause)) {
			return true
		}
	}
	return false
}

// retryPause is how long a consumer waits for Redis, or until it tries again, at
// most.
const retryPause = 10 * time.Second

// slot is a place for one process. While it is wanted, a process that has ended
// is followed by another.
type slot struct {
	name    string
	command func() *exec.Cmd
	log     string // what all of its processes write

	mu     sync.Mutex
	cmd    *exec.Cmd // nil between two processes
	wanted bool
	starts int
	exits  map[int]int // how often by code, of those that ended by themselves
	drains []int       // codes of those that were asked to end
	done   chan struct{}
}

func newSlot(name, log string, command func() *exec.Cmd) *slot {
	return &slot{name: name, log: log, command: command, exits: map[int]int{}}
}

// start begins to keep a process running.
func (s *slot) start() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.wanted {
		return
	}
	s.wanted, s.done = true, make(chan struct{})
	go s.keep(s.done)
}

func (s *slot) keep(done chan struct{}) {
	defer close(done)
	runtime.LockOSThread() // see endWithParent
	for {
		cmd, err := s.spawn()
		if cmd == nil {
			if err == nil {
				return
			}
			fmt.Fprintln(os.Stderr, err)
			time.Sleep(respawnDelay)
			continue
		}
		_ = cmd.Wait()
		code := cmd.ProcessState.ExitCode()
		s.mu.Lock()
		s.cmd = nil
		if !s.wanted {
			s.drains = append(s.drains, code)
			s.mu.Unlock()
			return
		}
		s.exits[code]++
		s.mu.Unlock()
		time.Sleep(respawnDelay)
	}
}

// spawn starts a process unless none is wanted.
func (s *slot) spawn() (*exec.Cmd, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.wanted {
		return nil, nil
	}
	log, err := os.OpenFile(s.log, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	defer log.Close()
	cmd := s.command()
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = endWithParent()
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start process: %w", err)
	}
	s.cmd = cmd
	s.starts++
	return cmd, nil
}

// signal tells the process, if there is one.
func (s *slot) signal(sig syscall.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd != nil {
		_ = s.cmd.Process.Signal(sig)
	}
}

// life tells one process from the next; 0 while there is none.
func (s *slot) life() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd == nil {
		return 0
	}
	return s.starts
}

// leftWork reports whether the last process was killed before it could stop, or
// could not reach Redis to give back what it held.
func (s *slot) leftWork() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.drains) > 0 && s.drains[len(s.drains)-1] != 0
}

// stop ends the process with a signal, for good.
func (s *slot) stop(sig syscall.Signal) error {
	s.mu.Lock()
	done := s.done
	if !s.wanted {
		s.mu.Unlock()
		return nil
	}
	s.wanted = false
	if s.cmd != nil {
		_ = s.cmd.Process.Signal(syscall.SIGCONT)
		_ = s.cmd.Process.Signal(sig)
	}
	s.mu.Unlock()
	select {
	case <-done:
		return nil
	case <-time.After(patience):
		s.signal(syscall.SIGQUIT) // its goroutines are in its log
		select {
		case <-done:
		case <-time.After(time.Second):
			s.signal(syscall.SIGKILL)
			<-done
		}
		return fmt.Errorf("%s did not end within %v of %v", s.name, patience, sig)
	}
}
