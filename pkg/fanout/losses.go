package fanout

import (
	"context"
	"fmt"
	"time"

	"example.com/fanout/pkg/stream"
	"example.com/fanout/pkg/telemetry"
)

// lossShown is how long a loss makes a group not ready after it was found.
const lossShown = 10 * time.Minute

// lookForLosses tells of what Redis has lost, each loss with one line, and keeps
// what the status shows.
func (g *group) lookForLosses(ctx context.Context) error {
	recent, err := g.remote.Losses(ctx, g.tellLoss)
	if err != nil {
		return err
	}
	g.mu.Lock()
	g.losses = recent
	g.mu.Unlock()
	return nil
}

// tellLoss writes the one line of a loss.
func (g *group) tellLoss(l stream.Loss) {
	attrs := []any{telemetry.KeyStream, g.m.Stream, telemetry.KeyReason, l.Reason}
	if l.Entries != stream.Unknown {
		attrs = append(attrs, telemetry.KeyEntries, l.Entries)
	}
	if l.Gone() {
		attrs = append(attrs, telemetry.KeyFirst, l.First.String(), telemetry.KeyLast, l.Last.String())
	}
	if !l.RepeatsTo.IsZero() {
		attrs = append(attrs, "repeats_from", l.RepeatsFrom.String(), "repeats_to", l.RepeatsTo.String())
	}
	if l.Note != "" {
		attrs = append(attrs, "note", l.Note)
	}
	message := "entries may be lost"
	switch {
	case l.Reason == stream.LossGroupMissing:
		message = "group was missing in redis and was created again"
	case l.Certain:
		message = "entries lost"
	}
	if l.Entries > 0 && (l.Certain || l.Reason == stream.LossGroupMissing) {
		g.telemetry.Lost[telemetry.LossOf(l.Reason)].Add(l.Entries)
	}
	g.f.cfg.Feed.Say(g.m.Name, telemetry.EventLoss, "%s", lossText(message, l))
	g.logger.Error(message, append(attrs, "hint", lossHints[l.Reason])...) //nolint:sloglint // one of three constants
}

// lossHints say what keeps it from happening again.
var lossHints = map[string]string{
	stream.LossTrimmed:      "trim the stream less, or give the group more consumers",
	stream.LossDeleted:      "delete only what every group has settled",
	stream.LossGroupMissing: "find out what removes keys: eviction (maxmemory-policy), FLUSHALL, DEL, XGROUP DESTROY, a failover without the data",
	stream.LossRolledBack:   "redis has lost what it had confirmed: see appendfsync, or the replica that took over",
}

// lossText is a loss as the feed tells it.
func lossText(message string, l stream.Loss) string {
	if !l.Gone() {
		return message
	}
	return message + ": " + lossProblem(l)
}

// lossProblem is a loss as a sentence for the operator.
func lossProblem(l stream.Loss) string {
	what := "entries may be lost"
	switch {
	case l.Certain:
		what = telemetry.Plural(l.Entries, "entry") + " lost"
	case l.Entries > 0:
		what = "up to " + telemetry.Plural(l.Entries, "entry") + " may be lost"
	}
	return fmt.Sprintf("%s (%s) from %s to %s, found at %s", what, l.Reason, l.First, l.Last, l.At.Format(time.TimeOnly))
}
