package fanout

import (
	"context"
	"math"
	"time"

	"example.com/fanout/pkg/stream"
	"example.com/fanout/pkg/telemetry"
)

const (
	watchEvery = time.Second
	healthy    = time.Minute // a run of this length ends what was wrong with the runs before
)

// watch looks at the group once a second: it stores the checkpoint, tells of
// entries that were trimmed unread, and keeps what the status and the metrics
// show of Redis. What Redis does not tell is unknown, never zero.
func (g *group) watch(ctx context.Context) error {
	began := time.Now()
	for ok := true; ok; ok = pause(ctx, watchEvery) {
		if time.Since(began) >= healthy {
			g.failing.Clear()
		}
		if lost, err := g.remote.Losses(ctx); err == nil && lost != 0 {
			g.noteLoss(lost)
		}
		low, err := g.remote.Checkpoint(ctx)
		if err == nil {
			g.unsaved.Clear()
		} else if ctx.Err() == nil {
			g.unsaved.Fault(err)
		}
		if !low.IsZero() { // known, if not stored
			g.setLowWater(low)
		}
		info, err := g.remote.Info(ctx)
		if err != nil {
			g.setInfo(nil, time.Now())
			continue
		}
		g.setInfo(&info, time.Now())
	}
	return nil
}

// noteLoss tells of entries that are gone without having been delivered.
func (g *group) noteLoss(lost int64) {
	if lost < 0 {
		g.logger.Error("entries may have been trimmed before the group read them", telemetry.KeyStream, g.m.Stream,
			"hint", "the group was created by something else, at a position that redis cannot count from")
		return
	}
	g.telemetry.Lost[telemetry.LostTrimmed].Add(lost)
	g.logger.Error("entries were trimmed before the group read them", telemetry.KeyStream, g.m.Stream, telemetry.KeyEntries, lost,
		"hint", "trim the stream less, or give the group more consumers")
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
	t.Pending.Set(info.Pending)
	t.StreamLength.Set(info.Length)
	t.OldestPending.Set(0)
	if info.Pending > 0 {
		t.OldestPending.Set(age(info.OldestPending, now))
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
	t.OldestPending.SetUnknown()
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
