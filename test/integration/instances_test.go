package integration

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.com/fanout/test/integration/faulty"
)

// Two processes with one manifest on one host share the groups; when one is
// killed the other takes over what it held.
func TestTwoProcesses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name          string
		first, second []string
	}{
		{"names of their own", nil, nil},
		{"given names", []string{"--instance", "left"}, []string{"--instance", "right"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t).manifest(
				faultyGroup("shared", "batch: {size: 5}", "claim: {min_idle: 2s, interval: 200ms}"))
			all := events(trades(9, 1200))
			first, second := s.run(tt.first...).ready(), s.run(tt.second...).ready()

			s.board.Steer("shared", func(faulty.Call) faulty.Verdict { return faulty.Verdict{Hold: after(5 * time.Millisecond)} })
			ids := s.publish(all[:1000]...)
			s.settled(20*time.Second, "shared")
			s.onceEach("shared", ids)
			share := map[int]int{}
			for _, h := range s.board.Handled("shared") {
				share[h.PID]++
			}
			if share[first.pid()] == 0 || share[second.pid()] == 0 {
				t.Errorf("the processes handled %v, want both to have a share", share)
			}
			names := map[string]bool{}
			for _, name := range s.connections("shared") {
				if names[name] {
					t.Errorf("two connections are named %s", name)
				}
				names[name] = true
			}

			s.board.Steer("shared", func(c faulty.Call) faulty.Verdict {
				if c.PID == first.pid() {
					return faulty.Verdict{Hold: faulty.Never, Deaf: true}
				}
				return faulty.Verdict{}
			})
			ids = append(ids, s.publish(all[1000:]...)...)
			eventually(t, 10*time.Second, "hold entries in the first process", func() error {
				if s.board.Waiting("shared") == 0 || len(s.pending("shared")) == 0 {
					return fmt.Errorf("none held")
				}
				return nil
			})
			first.kill()
			s.settled(20*time.Second, "shared")
			s.onceEach("shared", ids)
			second.stop()
		})
	}
}

// A name that was given and is held by a living process is not shared.
func TestInstanceNameIsHeld(t *testing.T) {
	t.Parallel()
	s := newSite(t).manifest(faultyGroup("probe"))
	first := s.run("--instance", "only").ready()
	second := s.run("--instance", "only")
	second.exit(30*time.Second, 1)
	for _, want := range []string{"only", strconv.Itoa(first.pid())} {
		if log := second.log.String(); !strings.Contains(log, want) {
			t.Errorf("the second process does not name the holder (%s):\n%s", want, log)
		}
	}
	first.alive()

	first.kill()
	third := s.run("--instance", "only").ready() // the holder is gone: no wait
	third.stop()
}

func (p *process) pid() int { return p.cmd.Process.Pid }
