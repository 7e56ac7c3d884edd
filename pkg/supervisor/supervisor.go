// Package supervisor restarts what fails, in the words of Erlang's OTP: a
// child that ends with an error or a panic is started again after a backoff,
// and one that does so more often than its restart intensity allows is tripped.
//
// Guarantees:
//   - A supervisor ends only when its context does, whatever its child does.
//   - Two incarnations of a child never overlap.
//   - A tripped child is not given up: it cools down for a period and is then
//     started again; a request for a restart starts it at once.
package supervisor

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"
)

// Policy says how a child is restarted.
type Policy struct {
	Intensity int           // restarts after a failure within Period before the child is tripped
	Period    time.Duration // see Intensity; also how long a tripped child cools down
	Healthy   time.Duration // a run of this length sets the backoff back; 0: one minute

	// Delay is the wait before the n-th restart in a row (1 is the first).
	Delay func(n int) time.Duration
}

// State is what a child is doing.
type State uint8

// The states.
const (
	Running State = iota // an incarnation runs
	Waiting              // failed, waits for its restart
	Tripped              // failed too often, cools down
	Stopped              // Serve has ended
)

// Event tells of a change of state.
type Event struct {
	State       State
	Incarnation int       // 1 for the first run
	Err         error     // why the last incarnation ended; nil for the first Running
	Restart     string    // the cause given to Restart when that ended it
	Next        time.Time // of the restart, for Waiting and Tripped
}

// PanicError is a panic of a child as an error.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// ErrRestart is the cause of an incarnation's context that was ended by Restart.
var ErrRestart = errors.New("restart requested")

// ErrEnded stands for a child that returned nil though nobody had asked it to.
var ErrEnded = errors.New("ended by itself")

var errExited = errors.New("ended its goroutine")

// Supervisor runs one child. Its methods are safe for concurrent use.
type Supervisor struct {
	policy  Policy
	run     func(ctx context.Context, incarnation int) error
	observe func(Event)
	restart chan string
}

// New returns a supervisor that runs run. observe is called from Serve's
// goroutine at every change of state and must not block; nil for none.
func New(policy Policy, run func(ctx context.Context, incarnation int) error, observe func(Event)) *Supervisor {
	if policy.Healthy <= 0 {
		policy.Healthy = time.Minute
	}
	if observe == nil {
		observe = func(Event) {}
	}
	return &Supervisor{policy: policy, run: run, observe: observe, restart: make(chan string, 1)}
}

// Restart ends the running incarnation, with [ErrRestart] as the cause of its
// context, and starts the next one at once; it also ends a wait for a restart
// and the cooling down of a tripped child. The next start meets all requests
// that came before it.
func (s *Supervisor) Restart(cause string) {
	select {
	case s.restart <- cause:
	default:
	}
}

// Serve runs the child until ctx is done and its last incarnation has ended.
// It returns the error of an incarnation that ended after ctx was done.
func (s *Supervisor) Serve(ctx context.Context) error {
	var (
		failures []time.Time // within Period
		inRow    int
		last     Event
	)
	for n := 1; ; n++ {
		select {
		case <-s.restart: // came while the last incarnation was ending
		default:
		}
		s.observe(Event{State: Running, Incarnation: n, Err: last.Err, Restart: last.Restart})
		began := time.Now()
		cause, err := s.incarnation(ctx, n)
		last = Event{State: Stopped, Incarnation: n, Err: err, Restart: cause}
		if ctx.Err() != nil {
			s.observe(last)
			return err
		}
		if cause != "" {
			failures, inRow = nil, 0
			continue
		}
		if err == nil {
			last.Err = ErrEnded
		}

		now := time.Now()
		if now.Sub(began) >= s.policy.Healthy {
			inRow = 0
		}
		inRow++
		failures = append(within(failures, now.Add(-s.policy.Period)), now)
		wait := Event{State: Waiting, Incarnation: n, Err: last.Err, Next: now.Add(s.policy.Delay(inRow))}
		if len(failures) > s.policy.Intensity {
			wait.State, wait.Next = Tripped, now.Add(max(s.policy.Period, wait.Next.Sub(now)))
			failures = nil
		}
		s.observe(wait)
		timer := time.NewTimer(time.Until(wait.Next))
		select {
		case <-timer.C:
		case last.Restart = <-s.restart:
			timer.Stop()
			failures, inRow = nil, 0
		case <-ctx.Done():
			timer.Stop()
			last.State = Stopped
			s.observe(last)
			return nil
		}
	}
}

// incarnation runs the child once. cause is that of the Restart which ended it.
func (s *Supervisor) incarnation(ctx context.Context, n int) (cause string, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	done := make(chan error, 1)
	go func() {
		err := errExited
		defer func() { done <- err }() // runtime.Goexit comes by here too
		err = Guard(func() error { return s.run(ctx, n) })()
	}()
	select {
	case err = <-done:
		return "", err
	case cause = <-s.restart:
		cancel(fmt.Errorf("%w: %s", ErrRestart, cause))
		return cause, <-done
	}
}

// Guard returns f with its panics turned into a [PanicError].
func Guard(f func() error) func() error {
	return func() (err error) {
		defer func() {
			if v := recover(); v != nil {
				err = &PanicError{Value: v, Stack: debug.Stack()}
			}
		}()
		return f()
	}
}

func within(times []time.Time, after time.Time) []time.Time {
	for len(times) > 0 && times[0].Before(after) {
		times = times[1:]
	}
	return times
}
