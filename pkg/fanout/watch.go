package fanout

import (
	"context"
	"errors"
	"math"
	"reflect"
	"time"

	"example.com/fanout/pkg/stream"
	"example.com/fanout/pkg/supervisor"
)

const (
	watchEvery = time.Second
	restEvery  = 2 * watchEvery
	lookLate   = 3 * time.Second // a look that takes longer has what was known forgotten
	healthy    = time.Minute     // a run of this length ends what was wrong with the runs before
)

// watch looks at the group once a second, at rest every two seconds: it tells of entries that Redis has
// lost, stores the checkpoint, and keeps what the status and the metrics show of
// Redis. What Redis does not tell is unknown, never zero.
func (g *group) watch(ctx context.Context) error {
	began := time.Now()
	var (
		took, former time.Duration     // the last looks
		seen         *stream.GroupInfo // at the last look; nil: not known
		moves        bool              // it was another one before
		full         time.Duration     // the time of rest in which all was looked at last
	)
	late := time.AfterFunc(lookLate, func() { g.setInfo(nil, time.Now()) }) // Redis does not answer
	defer late.Stop()
	pause := func() bool {
		late.Stop()
		next := nextLook(min(took, former))
		if next == watchEvery && !moves && atRest(seen) {
			return g.rested.wait(ctx, g.f.together)
		}
		return supervisor.Pause(ctx, g.f.together(next))
	}
	for ok := true; ok; ok = pause() {
		look := time.Now()
		late.Reset(lookLate)
		if time.Since(began) >= healthy {
			g.failing.Clear()
		}
		if disturbed := g.disturbed.Swap(false); !disturbed && !moves && g.f.restTime() == full && unmoved(seen, g.look(ctx)) {
			g.listConsumers(ctx)
			took, former = time.Since(look), took
			continue
		}
		full = g.f.restTime()
		blind := g.lookForLosses(ctx)
		low, err := g.remote.Checkpoint(ctx)
		switch {
		case ctx.Err() != nil:
		case errors.Is(err, stream.ErrOtherHost):
			return err // the next incarnation waits until the group is ours again
		case errors.Is(err, stream.ErrNoGroup):
			g.look(ctx)
			return err // its consumers need not notice: it may be there, in another stream
		case err != nil:
			g.unsaved.Fault(err)
		case blind != nil: // and not for the same reason
			g.blind.Fault(blind)
			g.setBlind(blind)
		}
		if err == nil {
			g.unsaved.Clear()
		}
		if blind == nil {
			g.blind.Clear()
			g.setBlind(nil)
		}
		if !low.IsZero() { // known, if not stored
			g.setLowWater(low)
		}
		before := seen
		if seen = g.look(ctx); err != nil || blind != nil {
			seen = nil
		}
		moves = !unmoved(before, seen)
		g.listConsumers(ctx)
		took, former = time.Since(look), took
	}
	return nil
}

// nextLook is how long to wait after two looks that took so long at least. Redis
// copies the first and the last entry of a stream at each one, and they may be very
// large. One long look says nothing: Redis may have been away.
func nextLook(took time.Duration) time.Duration {
	if took < 200*time.Millisecond {
		return watchEvery
	}
	return min(max(watchEvery, 10*took), healthy)
}

// together makes looks of all groups fall on the same moments: those of one
// stream then cost Redis and us little more than one. At rest they fall on every
// other one.
func (f *Fanout) together(pause time.Duration) time.Duration {
	at, every := time.Since(f.began)+pause, watchEvery
	if pause == restEvery {
		every = restEvery
	}
	if shift := at % every; shift < pause {
		return pause - shift
	}
	return pause
}

// listConsumers keeps what Redis knows of the group's consumers, every few
// seconds. What is not known any more is forgotten.
func (g *group) listConsumers(ctx context.Context) {
	const every = 5 * time.Second
	g.mu.Lock()
	at := g.presentAt
	g.mu.Unlock()
	if time.Since(at) < every {
		return
	}
	list, err := g.remote.Consumers(ctx)
	if err != nil {
		list = nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.present, g.presentAt = list, time.Now()
}

// setBlind says in the status why losses cannot be looked for; nil: they can.
func (g *group) setBlind(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.blindErr = ""
	if err != nil {
		g.blindErr = err.Error()
	}
}

// restFor is how long a group at rest goes without more than a short look.
const restFor = 2 * restEvery

// restTime numbers the times for which groups rest: they end for all at once, so
// that their whole looks too are common ones.
func (f *Fanout) restTime() time.Duration { return time.Since(f.began) / restFor }

// unmoved reports whether nothing has happened to the group and its stream
// between two looks: then no loss can be found, and the checkpoint is as it was.
func unmoved(before, now *stream.GroupInfo) bool {
	return before != nil && now != nil && reflect.DeepEqual(before, now)
}

// look asks Redis how far the group is; nil is not known.
func (g *group) look(ctx context.Context) *stream.GroupInfo {
	info, err := g.remote.Info(ctx)
	if err != nil {
		g.setInfo(nil, time.Now())
		return nil
	}
	g.setInfo(&info, time.Now())
	return &info
}

func (g *group) setInfo(info *stream.GroupInfo, now time.Time) {
	g.mu.Lock()
	g.info, g.infoAt = info, now
	g.mu.Unlock()
	t := g.telemetry
	if info == nil {
		g.forgetLag()
		return
	}
	g.observePosition(info, now)
	t.Pending.Set(float64(info.Pending))
	t.StreamLength.Set(float64(info.Length))
	t.OldestPending.Set(0)
	if info.Pending > 0 {
		t.OldestPending.Set(age(info.OldestPending, now))
	}
	t.LettersMax.Set(g.m.DeadLetter.MaxLen)
	t.LettersKept.SetUnknown()
	if info.DeadLetters >= 0 {
		t.LettersKept.Set(float64(info.DeadLetters))
	}
	t.Lag.SetUnknown()
	if info.LagKnown {
		t.Lag.Set(float64(info.Lag))
	}
	t.LagSeconds.SetUnknown()
	if s := lagSeconds(info, now); !math.IsNaN(s) {
		t.LagSeconds.Set(s)
	}
}

// forgetLag says in the metrics that nobody looks at the group.
func (g *group) forgetLag() {
	t := g.telemetry
	t.Pending.SetUnknown()
	t.StreamLength.SetUnknown()
	t.OldestPending.SetUnknown()
	t.LettersKept.SetUnknown()
	t.Lag.SetUnknown()
	t.LagSeconds.SetUnknown()
}

// lagSeconds is how long ago the group was where the stream is now, by the IDs:
// 0 when nothing is undelivered, NaN when it cannot be told.
func lagSeconds(info *stream.GroupInfo, now time.Time) float64 {
	switch {
	case !info.LastDelivered.Before(info.LastGenerated):
		return 0
	case info.LastDelivered.IsZero() && info.FirstEntry.IsZero():
		return math.NaN()
	case info.LastDelivered.Before(info.FirstEntry):
		return age(info.FirstEntry, now)
	}
	return age(info.LastDelivered, now)
}

func age(id stream.ID, now time.Time) float64 { return max(0, now.Sub(id.Time()).Seconds()) }
