package integration

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"example.com/fanout/test/integration/faulty"
)

// A drain in the middle of a burst keeps what was handled and gives the rest
// back: a second process takes it at once.
func TestDrain(t *testing.T) {
	t.Parallel()
	s := newSite(t).manifest(faultyGroup("slow", "batch: {size: 10}", "concurrency: 4"))
	s.board.Steer("slow", func(faulty.Call) faulty.Verdict { return faulty.Verdict{Hold: after(20 * time.Millisecond)} })
	ids := s.publish(events(trades(6, 5000))...)
	p := s.run()
	eventually(t, 20*time.Second, "handle a part", func() error {
		if n := len(s.board.Handled("slow")); n < 1000 {
			return fmt.Errorf("handled %d", n)
		}
		return nil
	})
	p.signal(syscall.SIGTERM)
	p.exit(3*time.Second, 0) // the drain timeout

	handled, pending := s.board.Times("slow"), s.pending("slow")
	if len(handled) >= len(ids) {
		t.Fatal("the burst was over before the drain")
	}
	for id := range pending {
		if handled[id] > 0 {
			t.Errorf("%s was handled and is still pending", id)
		}
	}

	s.board.Tell("slow", faulty.Verdict{})
	second := s.run()
	s.settled(20*time.Second, "slow") // claim.min_idle is a minute
	s.onceEach("slow", ids)
	second.stop()
}

// A call that does not return is reported by the exit code, and a second
// signal does not wait for it. The next process gets its entries at once.
func TestDrainOfCallThatDoesNotReturn(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		twice  bool
		within time.Duration
		code   int
	}{
		{"waits for the drain timeout", false, 8 * time.Second, 4},
		{"a second signal forces", true, 2 * time.Second, 3},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t).manifest(faultyGroup("stuck"))
			s.board.Tell("stuck", faulty.Verdict{Hold: faulty.Never, Deaf: true})
			ids := s.publish(events(trades(6, 1))...)
			p := s.run()
			eventually(t, 20*time.Second, "call the handler", func() error {
				if s.board.Waiting("stuck") == 0 {
					return fmt.Errorf("no call")
				}
				return nil
			})
			mark := p.log.len()
			p.signal(syscall.SIGTERM)
			if tt.twice {
				eventually(t, 5*time.Second, "hear the first signal", func() error {
					if p.log.len() == mark {
						return fmt.Errorf("nothing logged")
					}
					return nil
				})
				time.Sleep(200 * time.Millisecond) // what follows at once is the same signal
				p.signal(syscall.SIGTERM)
			}
			p.exit(tt.within, tt.code)

			s.board.Tell("stuck", faulty.Verdict{})
			next := s.run()
			s.settled(20*time.Second, "stuck")
			s.onceEach("stuck", ids)
			next.stop()
		})
	}
}

// after is closed when d has passed.
func after(d time.Duration) <-chan struct{} {
	c := make(chan struct{})
	time.AfterFunc(d, func() { close(c) })
	return c
}
