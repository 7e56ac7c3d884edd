package fanout

import (
	"fmt"
	"slices"
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

	Problems   []string          // why it does not do its work though it has not failed
	Info       *stream.GroupInfo // what Redis told last; nil when that is not known
	ObservedAt time.Time         // it told so
	Consumers  []consumer.Status
	Abandoned  int      // calls
	Stalled    []string // consumers whose loop does not turn: a fault of ours
	Telemetry  *telemetry.Group
}

// Status tells how every group of this process is, in the order of the manifest.
func (f *Fanout) Status() []Status {
	f.mu.Lock()
	var (
		groups []*group
		all    []Status
	)
	for _, m := range f.manifest().Groups {
		if g := f.groups[m.Name]; g != nil {
			groups, all = append(groups, g), append(all, Status{Manifest: m})
		}
	}
	f.mu.Unlock()
	for i, g := range groups {
		all[i] = g.status(all[i].Manifest)
	}
	return all
}

func (g *group) status(m manifest.Group) Status {
	g.mu.Lock()
	s := Status{
		Manifest: m, State: g.state, Since: g.since, Incarnation: g.number,
		LastError: g.lastErr, LastErrorAt: g.lastErrAt,
		RestartCause: g.restarted.cause, RestartedAt: g.restarted.at, NextRestart: g.next,
		Info: g.info, ObservedAt: g.infoAt, Telemetry: g.telemetry,
	}
	consumers, startErr := g.everyConsumer(), g.startErr
	g.mu.Unlock()
	s.Abandoned, _ = g.f.remnants.calls(g.key)

	for _, c := range consumers {
		cs := c.Status()
		s.Consumers = append(s.Consumers, cs)
		if beat := c.Beat(); !beat.IsZero() && time.Since(beat) > staleBeat {
			s.Stalled = append(s.Stalled, cs.Name)
		}
	}
	s.Problems = problems(s, startErr)
	return s
}

// problems are what keeps a group from doing its work although it has not
// failed, each as a sentence for the operator.
func problems(s Status, startErr string) []string {
	var all []string
	add := func(format string, args ...any) {
		if text := fmt.Sprintf(format, args...); !slices.Contains(all, text) {
			all = append(all, text)
		}
	}
	if startErr != "" {
		add("%s", startErr)
	}
	for _, name := range s.Stalled {
		add("the loop of %s does not turn", name)
	}
	for _, c := range s.Consumers {
		if c.RedisError != "" {
			add("redis: %s", c.RedisError)
		}
		if c.Hold == "" {
			continue
		}
		hold := fmt.Sprintf("%s, since %s", c.Hold, c.HoldSince.Format(time.TimeOnly))
		if !c.HoldNext.IsZero() {
			hold += fmt.Sprintf(", next try in %s", max(0, time.Until(c.HoldNext)).Round(100*time.Millisecond))
		}
		add("%s", hold)
	}
	return all
}
