package fanout

import (
	"context"
	"math"
	"time"

	"example.com/fanout/pkg/stream"
)

const watchEvery = time.Second

// watch looks at the group once a second: it stores the checkpoint, and keeps
// what the status and the metrics show of Redis. What Redis does not tell is
// unknown, never zero.
func (g *group) watch(ctx context.Context) error {
	for ok := true; ok; ok = pause(ctx, watchEvery) {
		if low, err := g.remote.Checkpoint(ctx); err == nil {
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

func (g *group) setInfo(info *stream.GroupInfo, now time.Time) {
	g.mu.Lock()
	g.info, g.infoAt = info, now
	g.mu.Unlock()
	t := g.telemetry
	if info == nil {
		t.OldestPending.SetUnknown()
		t.Lag.SetUnknown()
		t.LagSeconds.SetUnknown()
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
