package fanout

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"example.com/fanout/pkg/consumer"
	"example.com/fanout/pkg/stream"
	"example.com/fanout/pkg/telemetry"
)

// keptRestarts is how many restarts the status shows.
const keptRestarts = 16

// RestartNote is one restart of a group.
type RestartNote struct {
	Cause string // one of telemetry's Cause constants
	Error string // that led to it; "" for none
	At    time.Time
}

// holds are those of the consumers, one of a kind: the first to have begun, with
// the next try of any. What began first comes first.
func holds(consumers []consumer.Status) []consumer.Hold {
	var all []consumer.Hold
	for _, c := range consumers {
		h := c.Hold
		i := slices.IndexFunc(all, func(known consumer.Hold) bool { return known.Kind == h.Kind })
		switch {
		case h.Kind == "":
		case i < 0:
			all = append(all, h)
		default:
			next := all[i].Next
			if next.IsZero() || !h.Next.IsZero() && h.Next.Before(next) {
				next = h.Next
			}
			if h.Since.Before(all[i].Since) {
				all[i] = h
			}
			all[i].Next = next
		}
	}
	slices.SortStableFunc(all, func(a, b consumer.Hold) int { return a.Since.Compare(b.Since) })
	return all
}

// Breaker is what the group waits for while its sink is down, else nil.
func (s *Status) Breaker() *consumer.Hold { return s.hold(consumer.SinkDown, consumer.NoneThrough) }

func (s *Status) hold(kinds ...consumer.HoldKind) *consumer.Hold {
	for i, h := range s.Holds {
		if slices.Contains(kinds, h.Kind) {
			return &s.Holds[i]
		}
	}
	return nil
}

// redisError is what one of the consumers has heard from Redis last, "" for no
// error.
func (s *Status) redisError() string {
	var newest consumer.Status
	for _, c := range s.Consumers {
		if c.RedisError != "" && !c.RedisErrorAt.Before(newest.RedisErrorAt) {
			newest = c
		}
	}
	return newest.RedisError
}

// lastFailure is the newest failure of the handler, "" for none.
func (s *Status) lastFailure() string {
	var newest consumer.Status
	for _, c := range s.Consumers {
		if c.FailedAt.After(newest.FailedAt) {
			newest = c
		}
	}
	text, _, _ := strings.Cut(newest.LastFailure, "\n")
	return text
}

// assess looks at the group once a second until it ends, at rest every two
// seconds: it keeps the verdict
// up to date and tells the feed what has changed.
func (g *group) assess(ended <-chan struct{}) {
	tick := time.NewTimer(g.f.together(watchEvery))
	defer tick.Stop()
	told := told{letters: g.letters()}
	for {
		select {
		case <-tick.C:
			s := g.status(g.m)
			g.remember(&s)
			g.tell(&told, &s)
			every := watchEvery
			if g.rested.is() && s.Verdict.Code == telemetry.VerdictOK {
				every = restEvery
			}
			tick.Reset(g.f.together(every))
		case <-ended:
			return
		}
	}
}

// told is what the feed knows of a group.
type told struct {
	verdict  string
	breaker  bool
	redis    bool
	failure  string    // of the handler
	failedAt time.Time // it was told
	letters  [telemetry.NumStages]int64
}

// tell says in the feed what is other than it was told.
func (g *group) tell(was *told, s *Status) {
	feed, name := g.f.cfg.Feed, g.m.Name
	if v := s.Verdict; v.Code != was.verdict {
		if was.verdict != "" || v.Code != telemetry.VerdictOK {
			feed.Say(name, telemetry.EventVerdict, "%s: %s", telemetry.VerdictName(v.Code), v.Why)
		}
		was.verdict = v.Code
	}
	b := s.Breaker()
	switch down := b != nil; {
	case down && !was.breaker:
		feed.Say(name, telemetry.EventSinkDown, "%s", b.Text())
	case !down && was.breaker:
		feed.Say(name, telemetry.EventSinkUp, "sink available again")
	}
	was.breaker = b != nil
	switch err := s.redisError(); {
	case err != "" && !was.redis:
		feed.Say(name, telemetry.EventError, "redis: %s", err)
	case err == "" && was.redis:
		feed.Say(name, telemetry.EventError, "redis answers again")
	}
	was.redis = s.redisError() != ""
	if text := s.lastFailure(); text != "" && (text != was.failure || time.Since(was.failedAt) > time.Minute) && failedSince(s.Consumers, was.failedAt) {
		feed.Say(name, telemetry.EventError, "handler: %s", text)
		was.failure, was.failedAt = text, time.Now()
	}
	letters := g.letters()
	if text := newLetters(was.letters, letters); text != "" {
		feed.Say(name, telemetry.EventDeadLetters, "%s; fanout dead list %s tells why", text, name)
	}
	was.letters = letters
}

func failedSince(consumers []consumer.Status, at time.Time) bool {
	for _, c := range consumers {
		if c.FailedAt.After(at) {
			return true
		}
	}
	return false
}

func (g *group) letters() (n [telemetry.NumStages]int64) {
	for i := range n {
		n[i] = g.telemetry.DeadLetters[i].Load()
	}
	return n
}

// newLetters sums up the dead letters between two looks, "" for none.
func newLetters(was, is [telemetry.NumStages]int64) string {
	var total int64
	var parts []string
	for i := range is {
		if n := is[i] - was[i]; n > 0 {
			total += n
			parts = append(parts, fmt.Sprintf("%s %d", telemetry.Stage(i), n))
		}
	}
	if total == 0 {
		return ""
	}
	return fmt.Sprintf("%s written (%s)", telemetry.Plural(total, "dead letter"), strings.Join(parts, ", "))
}

// observePosition takes what Redis has told into the window.
func (g *group) observePosition(info *stream.GroupInfo, now time.Time) {
	t := g.telemetry
	var read, settled int64
	for i := range t.Read {
		read += t.Read[i].Load()
	}
	for _, outcome := range []telemetry.Outcome{telemetry.Acked, telemetry.Buried, telemetry.Vanished} {
		settled += t.Settled[outcome].Load()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	s := look(info, read, settled, now)
	s.rests = g.state != telemetry.StateRunning || slices.ContainsFunc(g.everyConsumer(), func(c *consumer.Consumer) bool {
		is := c.Status()
		return is.Hold.Kind != "" || is.RedisError != ""
	})
	g.window = g.window.addRested(s)
}

// remember makes a verdict the one that later ones go by, and shows it in the metrics.
func (g *group) remember(s *Status) {
	g.mu.Lock()
	g.verdict = s.Verdict
	g.mu.Unlock()
	g.telemetry.SetVerdict(s.Verdict.Code)
	g.telemetry.Drain.Set(s.Drain)
	g.telemetry.SinkDown.Set(0)
	if s.Breaker() != nil {
		g.telemetry.SinkDown.Set(1)
	}
}
