package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"example.com/fanout/pkg/manifest"
	"example.com/fanout/pkg/redisstream"
	"example.com/fanout/pkg/supervisor"
	"example.com/fanout/pkg/telemetry"
)

const (
	retainEvery = time.Second      // looks for streams whose time has come
	retainTurn  = time.Second      // of one stream, before the others have theirs
	retainNone  = 10 * time.Second // the same where the manifest has none: a reload may bring some
	sayEvery    = 30 * time.Second // how often a stream's trims are logged
)

// retain trims the streams of the manifest that runs, each at its interval,
// until ctx is done. Several processes may trim one stream. A panic of ours ends
// no group: it is logged, and the work begins anew.
func (a *App) retain(ctx context.Context) {
	for ctx.Err() == nil {
		err := supervisor.Guard(func() error { a.retainStreams(ctx); return nil })()
		if err != nil {
			a.logger.Error("retention failed, it begins anew in a minute", telemetry.KeyError, err)
			supervisor.Pause(ctx, time.Minute)
		}
	}
}

func (a *App) retainStreams(ctx context.Context) {
	streams := map[string]*retained{}
	said := false
	for every := retainEvery; supervisor.Pause(ctx, every); {
		m, waiting := a.state()
		if waiting != "" {
			continue
		}
		if !said {
			said = a.sayOrphans(ctx)
		}
		for _, r := range m.Retention {
			s := streams[r.Stream]
			if s == nil {
				s = a.newRetained(r)
				streams[r.Stream] = s
			}
			if !time.Now().Before(s.next) {
				s.turn(ctx, a, rules(m, r), r.Rules.Interval)
			}
		}
		for stream, s := range streams {
			if !slices.ContainsFunc(m.Retention, func(r manifest.Retention) bool { return r.Stream == stream }) {
				s.say()
				a.metrics.RemoveRetention(stream)
				delete(streams, stream)
			}
		}
		every = retainEvery
		if said && len(m.Retention) == 0 {
			every = retainNone
		}
	}
	for _, s := range streams {
		s.say()
	}
}

// retained is a stream that is trimmed. It belongs to the goroutine of retain.
type retained struct {
	next    time.Time
	numbers *telemetry.Retention
	logger  *slog.Logger

	unsaid redisstream.Trimmed // what went since the last line
	said   time.Time

	failing, missing, held telemetry.Repeat
	ignored                []string // idle groups that were named in the log
}

func (a *App) newRetained(r manifest.Retention) *retained {
	logger := a.logger.With(telemetry.KeyStream, r.Stream)
	repeat := func(begin, end string) telemetry.Repeat {
		return telemetry.Repeat{Logger: logger, Level: slog.LevelWarn, Begin: begin, End: end}
	}
	return &retained{
		// Processes that start together do not trim together.
		next:    time.Now().Add(rand.N(r.Rules.Interval)),
		numbers: a.metrics.Retention(r.Stream),
		logger:  logger,
		failing: repeat("stream cannot be trimmed", "stream is trimmed again"),
		missing: repeat("stream is not trimmed while a group is missing", "all groups are there, stream is trimmed again"),
		held:    repeat("stream exceeds its bounds", "stream is within its bounds"),
	}
}

// turn trims the stream for a while, and says what there is to say.
func (s *retained) turn(ctx context.Context, a *App, r redisstream.Retention, interval time.Duration) {
	began := time.Now()
	t, err := trim(ctx, a.redis, r, func(redisstream.Trimmed) bool { return time.Since(began) < retainTurn })
	s.numbers.Trimmed.Add(t.Entries)
	s.unsaid = s.unsaid.Then(t)
	if time.Since(s.said) >= sayEvery {
		s.say()
	}
	switch {
	case ctx.Err() != nil:
		return
	case err != nil:
		a.metrics.RedisError(telemetry.OpTrim)
		s.failing.Fault(err)
	default:
		s.failing.Clear()
		if t.More {
			return // goes on in the next round
		}
		s.judge(r, t)
	}
	s.next = time.Now().Add(interval - interval/10 + rand.N(interval/5))
}

// judge says whether anything hinders the retention.
func (s *retained) judge(r redisstream.Retention, t redisstream.Trimmed) {
	tell := func(hold telemetry.Hold, repeat *telemetry.Repeat, why string) {
		if why == "" {
			s.numbers.Held[hold].Set(0)
			repeat.Clear()
			return
		}
		s.numbers.Held[hold].Set(1)
		repeat.Fault(errors.New(why))
	}
	missing, over := "", ""
	if t.There && len(t.Missing) > 0 {
		missing = "missing in redis: " + strings.Join(t.Missing, ", ")
	} else if t.OverLen > 0 || t.OverAge > 0 {
		over = exceeded(r, t)
	}
	tell(telemetry.HeldByMissing, &s.missing, missing)
	tell(telemetry.HeldByGroup, &s.held, over)

	var ignored []string
	for _, g := range t.Groups {
		if !g.Ignored {
			continue
		}
		ignored = append(ignored, g.Group)
		if !slices.Contains(s.ignored, g.Group) {
			s.logger.Warn("idle group is ignored, what it has not read may be trimmed", telemetry.KeyRedisGroup, g.Group, "idle", g.Idle)
		}
	}
	s.ignored = ignored
}

// exceeded says which bound is exceeded, by how much, and who needs the rest.
func exceeded(r redisstream.Retention, t redisstream.Trimmed) string {
	var bounds, holding []string
	if t.OverLen > 0 {
		bounds = append(bounds, fmt.Sprintf("%d entries more than max_len %d", t.OverLen, r.MaxLen))
	}
	if t.OverAge > 0 {
		bounds = append(bounds, fmt.Sprintf("oldest entry is %s older than max_age %s", t.OverAge.Round(time.Second), r.MaxAge))
	}
	for _, g := range t.Holding() {
		holding = append(holding, g.Group)
	}
	return strings.Join(bounds, ", ") + "; needed by group " + strings.Join(holding, ", ")
}

// say logs what was trimmed since the last time, if anything was.
func (s *retained) say() {
	t := s.unsaid
	if t.Entries == 0 {
		return
	}
	s.unsaid, s.said = redisstream.Trimmed{}, time.Now()
	s.logger.Info("stream trimmed", telemetry.KeyEntries, t.Entries, "left", t.Length)
	for _, g := range t.Groups {
		if g.Lost() {
			s.logger.Warn("stream was trimmed past a group", telemetry.KeyRedisGroup, g.Group,
				"undelivered", orUnknown(g.LostUndelivered), "pending", g.LostPending, telemetry.KeyFirst, g.LostFrom, telemetry.KeyLast, g.LostTo)
		}
	}
}

// orUnknown is a number that may be unknown.
func orUnknown(n int64) any {
	if n < 0 {
		return "unknown"
	}
	return n
}

// sayOrphans logs once what belongs to nobody, and reports whether it could look.
func (a *App) sayOrphans(ctx context.Context) bool {
	all, err := a.Orphans(ctx)
	if err != nil {
		return false // redis is away: the groups say so
	}
	m, _ := a.state()
	for _, o := range all {
		logger := a.logger.With(telemetry.KeyStream, o.Stream)
		for _, g := range o.Groups {
			logger.Warn("group in redis that the manifest does not name", telemetry.KeyRedisGroup, g.Group,
				"pending", g.Pending, "undelivered", orUnknown(g.Undelivered),
				"hint", "it holds back what it has not read from retention; fanout orphans tells more")
		}
		running, _ := m.Readers(o.Stream)
		for _, c := range o.Consumers {
			if !slices.Contains(running, c.Group) {
				logger.Warn("consumer that is gone has left entries in a group that is disabled", telemetry.KeyRedisGroup, c.Group,
					telemetry.KeyConsumer, c.Name, "pending", c.Pending, "hint", "enable the group, or remove it from redis")
			}
		}
	}
	return true
}
