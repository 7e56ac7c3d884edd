package supervisor_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"example.com/fanout/pkg/supervisor"
)

var errChild = errors.New("child fails")

var policy = supervisor.Policy{
	Intensity: 3,
	Period:    time.Minute,
	Delay:     func(n int) time.Duration { return time.Duration(n) * time.Second },
}

// child is under a supervisor in a bubble of its own, and notes what happens.
type child struct {
	*supervisor.Supervisor
	began  time.Time
	log    []string // what was observed, with the time since the begin
	stop   context.CancelFunc
	done   chan struct{}
	err    error // of Serve, once done is closed
	served int   // runs at this moment
}

func (c *child) at() time.Duration { return time.Since(c.began).Round(time.Millisecond) }

// supervise runs a child until the test stops it.
func supervise(t *testing.T, p supervisor.Policy, run func(ctx context.Context, n int) error) *child {
	c := &child{began: time.Now(), done: make(chan struct{})}
	c.Supervisor = supervisor.New(p, func(ctx context.Context, n int) error {
		if c.served++; c.served > 1 {
			t.Errorf("two incarnations at once")
		}
		defer func() { c.served-- }()
		return run(ctx, n)
	}, func(ev supervisor.Event) {
		line := fmt.Sprintf("%s %s %d", c.at(), [...]string{"running", "waiting", "tripped", "stopped"}[ev.State], ev.Incarnation)
		if ev.Err != nil {
			line += " err=" + ev.Err.Error()
		}
		if ev.Restart != "" {
			line += " restart=" + ev.Restart
		}
		if !ev.Next.IsZero() {
			line += " next=" + ev.Next.Sub(c.began).String()
		}
		c.log = append(c.log, line)
	})
	var ctx context.Context
	ctx, c.stop = context.WithCancel(context.Background())
	go func() {
		defer close(c.done)
		c.err = c.Serve(ctx)
	}()
	t.Cleanup(func() { c.stop(); <-c.done })
	return c
}

// until runs the supervisor up to a time since its begin.
func (c *child) until(at time.Duration) {
	time.Sleep(at - time.Since(c.began))
	synctest.Wait()
}

func (c *child) want(t *testing.T, lines ...string) {
	t.Helper()
	if !slices.Equal(c.log, lines) {
		t.Errorf("observed\n  %s\nwant\n  %s", strings.Join(c.log, "\n  "), strings.Join(lines, "\n  "))
	}
}

// sleep is a child that runs for a time, or until it is stopped.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func bubble(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, test)
}

// TestFailures looks at what a supervisor makes of the ways in which a child
// can end.
func TestFailures(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		run  func() error
		text string
	}{
		"error":                {func() error { return errChild }, "child fails"},
		"panic":                {func() error { panic("child panics") }, "panic: child panics"},
		"nil":                  {func() error { return nil }, "ended by itself"},
		"end of its goroutine": {func() error { runtime.Goexit(); return nil }, "ended its goroutine"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s := supervise(t, policy, func(ctx context.Context, n int) error {
					if n == 1 {
						return c.run()
					}
					sleep(ctx, time.Hour)
					return nil
				})
				s.until(time.Minute)
				s.want(t, "0s running 1", "0s waiting 1 err="+c.text+" next=1s", "1s running 2 err="+c.text)
			})
		})
	}
}

// TestTripped: more failures than the intensity within the period trip the
// child; it cools down for a period and is tried again.
func TestTripped(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := supervise(t, policy, func(context.Context, int) error { return errChild })
		s.until(75 * time.Second)
		s.want(t,
			"0s running 1", "0s waiting 1 err=child fails next=1s",
			"1s running 2 err=child fails", "1s waiting 2 err=child fails next=3s",
			"3s running 3 err=child fails", "3s waiting 3 err=child fails next=6s",
			"6s running 4 err=child fails", "6s tripped 4 err=child fails next=1m6s",
			"1m6s running 5 err=child fails", "1m6s waiting 5 err=child fails next=1m11s",
			"1m11s running 6 err=child fails", "1m11s waiting 6 err=child fails next=1m17s")
	})
}

// TestTrippedAnew: a child that has cooled down has its full intensity again.
func TestTrippedAnew(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := policy
		p.Intensity = 1
		s := supervise(t, p, func(context.Context, int) error { return errChild })
		s.until(62 * time.Second)
		s.want(t,
			"0s running 1", "0s waiting 1 err=child fails next=1s",
			"1s running 2 err=child fails", "1s tripped 2 err=child fails next=1m1s",
			"1m1s running 3 err=child fails", "1m1s waiting 3 err=child fails next=1m4s")
	})
}

// TestIntensity counts the failures of a child that fails each so often.
func TestIntensity(t *testing.T) {
	t.Parallel()
	for every, trips := range map[time.Duration]bool{10 * time.Second: true, 25 * time.Second: false, 2 * time.Minute: false} {
		t.Run(every.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p := policy
				p.Delay = func(n int) time.Duration {
					if every >= time.Minute && n != 1 {
						t.Errorf("restart %d in a row after a healthy run", n)
					}
					return 0
				}
				s := supervise(t, p, func(ctx context.Context, _ int) error {
					sleep(ctx, every)
					return errChild
				})
				s.until(20 * time.Minute)
				tripped := slices.ContainsFunc(s.log, func(line string) bool { return strings.Contains(line, "tripped") })
				if tripped != trips {
					t.Errorf("tripped %v, want %v", tripped, trips)
				}
			})
		})
	}
}

// TestRestart asks for a restart in each state.
func TestRestart(t *testing.T) {
	t.Parallel()
	failing := func(times int) func(context.Context, int) error {
		return func(ctx context.Context, n int) error {
			if n <= times {
				return errChild
			}
			sleep(ctx, time.Hour)
			return nil
		}
	}
	for name, c := range map[string]struct {
		run  func(ctx context.Context, n int) error
		ask  []time.Duration
		want []string // from the first request on
	}{
		"running": {failing(0), []time.Duration{time.Second},
			[]string{"1s running 2 restart=signal"}},
		"running, one after the other": {failing(0), []time.Duration{time.Second, 2 * time.Second},
			[]string{"1s running 2 restart=signal", "2s running 3 restart=signal"}},
		"while it drains": {func(ctx context.Context, n int) error {
			sleep(ctx, time.Hour)
			if n == 1 {
				time.Sleep(10 * time.Second)
			}
			return nil
		}, []time.Duration{time.Second, 2 * time.Second, 5 * time.Second},
			[]string{"11s running 2 restart=signal"}},
		"while it drains, which fails": {func(ctx context.Context, n int) error {
			sleep(ctx, time.Hour)
			return errChild
		}, []time.Duration{time.Second},
			[]string{"1s running 2 err=child fails restart=signal"}},
		"running after failures": {func(ctx context.Context, n int) error {
			if n == 4 {
				sleep(ctx, time.Hour)
			}
			return errChild
		}, []time.Duration{7 * time.Second},
			[]string{"7s running 5 err=child fails restart=signal", "7s waiting 5 err=child fails next=8s", "8s running 6 err=child fails",
				"8s waiting 6 err=child fails next=10s", "10s running 7 err=child fails", "10s waiting 7 err=child fails next=13s",
				"13s running 8 err=child fails", "13s tripped 8 err=child fails next=1m13s"}},
		"waiting": {failing(3), []time.Duration{4 * time.Second},
			[]string{"4s running 4 err=child fails restart=signal"}},
		"tripped": {failing(4), []time.Duration{30 * time.Second},
			[]string{"30s running 5 err=child fails restart=signal"}},
		"tripped, and fails again": {failing(5), []time.Duration{30 * time.Second},
			[]string{"30s running 5 err=child fails restart=signal", "30s waiting 5 err=child fails next=31s", "31s running 6 err=child fails"}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var cause error
				s := supervise(t, policy, func(ctx context.Context, n int) error {
					err := c.run(ctx, n)
					if cause == nil {
						cause = context.Cause(ctx)
					}
					return err
				})
				s.until(c.ask[0] - time.Nanosecond)
				before := len(s.log)
				for _, at := range c.ask {
					s.until(at)
					s.Restart("signal")
				}
				s.until(40 * time.Second)
				s.log = s.log[before:]
				s.want(t, c.want...)
				if strings.HasPrefix(name, "running") && !errors.Is(cause, supervisor.ErrRestart) {
					t.Errorf("cause of the context %v, want ErrRestart", cause)
				}
			})
		})
	}
}

// TestStop ends the supervisor in each state, and only when its child has ended.
func TestStop(t *testing.T) {
	t.Parallel()
	drain := func(err error) func(context.Context, int) error {
		return func(ctx context.Context, _ int) error {
			<-ctx.Done()
			time.Sleep(10 * time.Second)
			return err
		}
	}
	for name, c := range map[string]struct {
		run func(context.Context, int) error
		at  time.Duration
		end time.Duration
		err error
	}{
		"running":           {drain(nil), time.Second, 11 * time.Second, nil},
		"running, it fails": {drain(errChild), time.Second, 11 * time.Second, errChild},
		"waiting":           {func(context.Context, int) error { return errChild }, 2 * time.Second, 2 * time.Second, nil},
		"tripped":           {func(context.Context, int) error { return errChild }, 30 * time.Second, 30 * time.Second, nil},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s := supervise(t, policy, c.run)
				s.until(c.at)
				s.stop()
				<-s.done
				if s.at() != c.end || !errors.Is(s.err, c.err) || c.err == nil && s.err != nil {
					t.Errorf("ended at %s with %v, want %s with %v", s.at(), s.err, c.end, c.err)
				}
				if last := s.log[len(s.log)-1]; !strings.Contains(last, "stopped") {
					t.Errorf("observed last %q, want that it stopped", last)
				}
			})
		})
	}
}

// TestGuard keeps the stack of a panic.
func TestGuard(t *testing.T) {
	t.Parallel()
	var p *supervisor.PanicError
	if err := supervisor.Guard(func() error { panic(errChild) })(); !errors.As(err, &p) || p.Value != any(errChild) || !strings.Contains(string(p.Stack), "TestGuard") {
		t.Errorf("got %v, want the panic with its stack", err)
	}
	if err := supervisor.Guard(func() error { return errChild })(); !errors.Is(err, errChild) {
		t.Errorf("got %v, want the error as it is", err)
	}
}
