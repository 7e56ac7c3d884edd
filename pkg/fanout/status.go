package fanout

import (
	"fmt"
	"time"

	"example.com/fanout/pkg/consumer"
	"example.com/fanout/pkg/manifest"
	"example.com/fanout/pkg/stream"
	"example.com/fanout/pkg/telemetry"
)

// staleBeat is how long a loop of ours may not turn before it counts as stuck.
const staleBeat = 30 * time.Second

// Status is a group as others see it.
type Status struct {
	Manifest    manifest.Group
	State       string // one of telemetry's State constants
	Since       time.Time
	Incarnation int

	LastError    string // why an incarnation failed
	LastErrorAt  time.Time
	RestartCause string // of the last restart; empty for none
	RestartedAt  time.Time
	NextRestart  time.Time // zero: none is waited for

	Problem   string            // why it does not work as it should right now; empty when it does
	Info      *stream.GroupInfo // what Redis told last; nil when that is not known
	Consumers []consumer.Status
	Abandoned int      // calls
	Stalled   []string // consumers whose loop does not turn: a fault of ours
	Telemetry *telemetry.Group
}

// Ready reports whether the group is doing its work.
func (s Status) Ready() bool { return s.State == telemetry.StateRunning && s.Problem == "" }

// Status tells how every group of this process is, in the order of the manifest.
func (f *Fanout) Status() []Status {
	f.mu.Lock()
	var groups []*group
	for _, name := range f.names() {
		groups = append(groups, f.groups[name])
	}
	f.mu.Unlock()
	all := make([]Status, len(groups))
	for i, g := range groups {
		all[i] = g.status()
	}
	return all
}

func (g *group) status() Status {
	g.mu.Lock()
	s := Status{
		Manifest: g.m, State: g.state, Since: g.since, Incarnation: g.number,
		LastError: g.lastErr, LastErrorAt: g.lastErrAt,
		RestartCause: g.restarted.cause, RestartedAt: g.restarted.at, NextRestart: g.next,
		Info: g.info, Telemetry: g.telemetry,
	}
	s.Manifest.Consumers = g.want
	for _, n := range g.remnants {
		s.Abandoned += n
	}
	consumers, startErr := g.consumers, g.startErr
	g.mu.Unlock()

	for _, c := range consumers {
		cs := c.Status()
		s.Consumers = append(s.Consumers, cs)
		if beat := c.Beat(); !beat.IsZero() && time.Since(beat) > staleBeat {
			s.Stalled = append(s.Stalled, cs.Name)
		}
	}
	s.Problem = problem(s, startErr)
	return s
}

// problem is the most telling reason why a group does not work as it should.
func problem(s Status, startErr string) string {
	switch s.State {
	case telemetry.StateBackingOff, telemetry.StateTripped:
		if startErr != "" {
			return startErr
		}
		return fmt.Sprintf("%s; next try in %s", s.LastError, max(0, time.Until(s.NextRestart)).Round(time.Second))
	case telemetry.StateStarting:
		return startErr
	}
	if len(s.Stalled) > 0 {
		return fmt.Sprintf("the loop of %s does not turn", s.Stalled[0])
	}
	stuck := 0
	for _, c := range s.Consumers {
		stuck += c.Stuck
		switch {
		case c.RedisError != "":
			return "redis: " + c.RedisError
		case c.Hold != "" && c.HoldNext.IsZero():
			return fmt.Sprintf("%s, since %s", c.Hold, c.HoldSince.Format(time.TimeOnly))
		case c.Hold != "":
			return fmt.Sprintf("%s, since %s, next try in %s", c.Hold, c.HoldSince.Format(time.TimeOnly),
				max(0, time.Until(c.HoldNext)).Round(100*time.Millisecond))
		}
	}
	if stuck > 0 {
		return fmt.Sprintf("%d handler calls are stuck: they have outlived their timeout", stuck)
	}
	return ""
}
