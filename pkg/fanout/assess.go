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

// Hold is why a group takes nothing new although it runs.
type Hold struct {
	Since time.Time
	Error string
	Next  time.Time // try; zero: not known
}

// holdOf is the hold that began first among those of the consumers for which
// wanted holds; its next try is the first of any. Nil for none.
func holdOf(consumers []consumer.Status, wanted func(text string) bool) *Hold {
	var h *Hold
	for _, c := range consumers {
		if c.Hold == "" || !wanted(c.Hold) {
			continue
		}
		next := c.HoldNext
		if h != nil && (next.IsZero() || !h.Next.IsZero() && h.Next.Before(next)) {
			next = h.Next
		}
		if h == nil || c.HoldSince.Before(h.Since) {
			h = &Hold{Since: c.HoldSince, Error: c.Hold}
		}
		h.Next = next
	}
	return h
}

func isFull(text string) bool { return text == stream.ErrDeadLettersFull.Error() }

// redisError is what one of the consumers hears from Redis, "" for no error.
func (s *Status) redisError() string {
	for _, c := range s.Consumers {
		if c.RedisError != "" {
			return c.RedisError
		}
	}
	return ""
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

// assess looks at the group once a second until it ends: it keeps the verdict
// up to date and tells the feed what has changed.
func (g *group) assess(ended <-chan struct{}) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	told := told{letters: g.letters()}
	for {
		select {
		case <-tick.C:
			s := g.status(g.m)
			g.tell(&told, &s)
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
	switch down := s.Breaker != nil; {
	case down && !was.breaker:
		feed.Say(name, telemetry.EventSinkDown, "%s", s.Breaker.Error)
	case !down && was.breaker:
		feed.Say(name, telemetry.EventSinkUp, "sink available again")
	}
	was.breaker = s.Breaker != nil
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
		feed.Say(name, telemetry.EventDeadLetters, "%s", text)
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
	return fmt.Sprintf("%s written (%s)", count(total, "dead letter", "dead letters"), strings.Join(parts, ", "))
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
		return is.Hold != "" || is.RedisError != ""
	})
	g.window = g.window.add(s)
}

// judgeNow fills in the verdict and all that is made of the window.
func (g *group) judgeNow(s *Status) {
	now := time.Now()
	g.mu.Lock()
	samples := g.window
	v := judge(*s, samples, g.verdict, now)
	g.verdict = v
	g.mu.Unlock()
	s.Verdict = v
	s.Short, s.Long = samples.rates(shortRate), samples.rates(windowSpan)
	s.Drain, s.Backlog = samples.drain(), samples.history()
	g.telemetry.SetVerdict(v.Code)
	g.telemetry.Drain.Set(s.Drain)
	g.telemetry.SinkDown.Set(0)
	if s.Breaker != nil {
		g.telemetry.SinkDown.Set(1)
	}
}
