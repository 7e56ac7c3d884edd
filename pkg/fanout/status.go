package fanout

import (
	"context"
	"fmt"
	"math"
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

	Suspended Suspension // what an operator wants

	LastError    string // why an incarnation failed
	LastErrorAt  time.Time
	RestartCause string // of the last restart; empty for none
	RestartedAt  time.Time
	NextRestart  time.Time // zero: none is waited for

	Losses []stream.Loss // the latest of Redis, oldest first

	Restarts []RestartNote // the latest 16, oldest first

	Holds      []consumer.Hold // why it takes nothing new, one of a kind
	StartError string          // why it does not get to run
	Blind      string          // why losses cannot be looked for; "" where they can

	Verdict     Verdict
	Short, Long Rates     // over ten seconds, over a minute
	Drain       float64   // seconds until nothing waits; NaN: it does not come nearer
	Backlog     []float64 // entries that waited, one number a second of the last minute; NaN is unknown

	Problems   []string              // why it does not do its work though it has not failed
	Info       *stream.GroupInfo     // what Redis told last; nil when that is not known
	ObservedAt time.Time             // it told so
	Present    []stream.ConsumerInfo // all consumers in Redis, those of other processes included, as listed within some seconds
	PresentAt  time.Time             // they were listed; zero: they are not known
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

// Find tells what a consumer of a group of this process knows of an entry, nil
// when it does not hold it; see [consumer.Consumer.Find].
func (f *Fanout) Find(ctx context.Context, name, of string, id stream.ID) *consumer.Held {
	f.mu.Lock()
	g := f.groups[name]
	f.mu.Unlock()
	if g == nil {
		return nil
	}
	g.mu.Lock()
	consumers := g.everyConsumer()
	g.mu.Unlock()
	for _, c := range consumers {
		if c.Status().Name == of {
			return c.Find(ctx, id)
		}
	}
	return nil
}

func (g *group) status(m manifest.Group) Status {
	g.mu.Lock()
	s := Status{
		Manifest: m, State: g.state, Since: g.since, Incarnation: g.number,
		LastError: g.lastErr, LastErrorAt: g.lastErrAt,
		RestartCause: g.restarted.cause, RestartedAt: g.restarted.at, NextRestart: g.next,
		Present: g.present, PresentAt: g.presentAt,
		Restarts: slices.Clone(g.restarts), StartError: g.startErr, Blind: g.blindErr,
		Losses: g.losses, Info: g.info, ObservedAt: g.infoAt, Telemetry: g.telemetry,
	}
	consumers, samples, verdict := g.everyConsumer(), g.window, g.verdict
	g.mu.Unlock()
	s.Abandoned, _ = g.f.remnants.calls(g.key)
	s.Suspended, _ = g.f.suspension(m.Name)

	for _, c := range consumers {
		cs := c.Status()
		s.Consumers = append(s.Consumers, cs)
		if beat := c.Beat(); !beat.IsZero() && time.Since(beat) > staleBeat {
			s.Stalled = append(s.Stalled, cs.Name)
		}
	}
	s.Holds = holds(s.Consumers)
	s.Problems = problems(s)
	s.Verdict = judge(s, samples, verdict, time.Now())
	s.Short, s.Long, s.Drain, s.Backlog = noRates, noRates, math.NaN(), samples.history()
	if samples.current(time.Now()) {
		s.Short, s.Long, s.Drain = samples.rates(shortRate), samples.rates(windowSpan), samples.drain()
	}
	return s
}

// problems are what keeps a group from doing its work although it has not
// failed, each as a sentence for the operator.
func problems(s Status) []string {
	var all []string
	add := func(format string, args ...any) {
		if text := fmt.Sprintf(format, args...); !slices.Contains(all, text) {
			all = append(all, text)
		}
	}
	if s.StartError != "" {
		add("%s", s.StartError)
	}
	for _, name := range s.Stalled {
		add("the loop of %s does not turn", name)
	}
	if err := s.redisError(); err != "" {
		add("redis: %s", err) // others are older
	}
	if s.Blind != "" {
		add("losses cannot be looked for: %s", s.Blind)
	}
	for _, h := range s.Holds {
		add("%s", heldBack(h))
	}
	for _, l := range s.Losses {
		if l.Gone() && time.Since(l.At) < lossShown {
			add("%s", lossProblem(l))
		}
	}
	return all
}

// heldBack is a hold as a sentence for the operator.
func heldBack(h consumer.Hold) string {
	text := fmt.Sprintf("%s since %s%s", h.Kind, h.Since.Format(time.TimeOnly), nextTry(h.Next, time.Now()))
	if h.Error != "" {
		text += ": " + h.Error
	}
	return text
}
