package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"example.com/fanout/pkg/admin"
	"example.com/fanout/pkg/consumer"
	"example.com/fanout/pkg/manifest"
	"example.com/fanout/pkg/redisstream"
	"example.com/fanout/pkg/stream"
	"example.com/fanout/pkg/telemetry"
)

func (o operator) Pending(ctx context.Context, group string, q admin.PendingQuery) (admin.PendingPage, error) {
	g, err := o.declared(group)
	if err != nil {
		return admin.PendingPage{}, err
	}
	page := admin.PendingPage{Group: g.Name, Stream: g.Stream}
	r := o.redis(g)
	totals, err := r.PendingTotals(ctx)
	if errors.Is(err, stream.ErrNoGroup) {
		return page, nil // there is nothing of a group that is not there
	}
	if err != nil {
		return admin.PendingPage{}, described(err)
	}
	page.Total, page.Oldest, page.Newest = totals.Entries, totals.Oldest.OrNil(), totals.Newest.OrNil()
	for _, c := range totals.Consumers {
		page.Consumers = append(page.Consumers, admin.PendingConsumer{Name: c.Consumer, Pending: c.Entries})
	}
	list, next, done, err := r.PendingPage(ctx, q.After, q.Consumer, q.MinIdle, q.Limit)
	if err != nil {
		return admin.PendingPage{}, described(err)
	}
	if !done {
		page.Next = &next
	}
	for _, p := range list {
		page.Entries = append(page.Entries, admin.PendingEntry{
			ID: p.ID, Consumer: p.Consumer, IdleSeconds: p.Idle.Seconds(), Deliveries: p.Deliveries,
		})
	}
	return page, nil
}

func (o operator) Explain(ctx context.Context, id stream.ID, only string) (admin.Explanation, error) {
	m, _ := o.app.state()
	var streams []string
	for _, g := range m.Groups {
		if !slices.Contains(streams, g.Stream) {
			streams = append(streams, g.Stream)
		}
	}
	if only != "" {
		if !slices.Contains(streams, only) {
			return admin.Explanation{}, fmt.Errorf("%w: no group of the manifest reads stream %.80q", admin.ErrRequest, only)
		}
		streams = []string{only}
	}
	e := admin.Explanation{ID: id}
	for _, name := range streams {
		if err := o.explainIn(ctx, m, name, &e); err != nil {
			return admin.Explanation{}, err
		}
	}
	// Streams that do not have it say nothing when another one has.
	has := func(name string) bool {
		return slices.ContainsFunc(e.Streams, func(s admin.StreamOfID) bool { return s.Stream == name && s.There })
	}
	if slices.ContainsFunc(streams, has) {
		e.Streams = slices.DeleteFunc(e.Streams, func(s admin.StreamOfID) bool { return !s.There })
		e.Groups = slices.DeleteFunc(e.Groups, func(g admin.EntryInGroup) bool { return !has(g.Stream) })
	}
	return e, nil
}

// explainIn adds what one stream and its groups know of the entry.
func (o operator) explainIn(ctx context.Context, m *manifest.Manifest, name string, e *admin.Explanation) error {
	found, err := o.app.redis.Entry(ctx, name, e.ID)
	if err != nil {
		return described(err)
	}
	s := admin.StreamOfID{Stream: name, There: found.There}
	if !found.There {
		s.Note = absence(found, e.ID)
	}
	e.Streams = append(e.Streams, s)
	inRedis := map[string]redisstream.EntryInGroup{}
	for _, g := range found.Groups {
		inRedis[g.Group] = g
	}
	for _, g := range m.Groups {
		if g.Stream != name {
			continue
		}
		one := admin.EntryInGroup{Group: g.Name, RedisGroup: g.Group, Stream: name}
		if r, ok := inRedis[g.Group]; ok {
			delete(inRedis, g.Group)
			tellState(&one, found, r, e.ID)
			if one.State == admin.EntryPending {
				tellHeld(&one, o.held(ctx, g.Name, r.Consumer, e.ID), found.There)
			}
		} else {
			one.State, one.Detail = admin.EntryUnknown, "Redis does not have the group"
		}
		if one.State == admin.EntrySettled || one.State == admin.EntryUnknown {
			if err := o.tellLetter(ctx, &one, g, e.ID); err != nil {
				return err
			}
		}
		if !found.There && one.State != admin.EntryDead && one.State != admin.EntryReplaying {
			if err := o.tellLoss(ctx, &one, g, e.ID); err != nil {
				return err
			}
		}
		e.Groups = append(e.Groups, one)
	}
	var strangers []admin.EntryInGroup
	for _, r := range inRedis {
		one := admin.EntryInGroup{RedisGroup: r.Group, Stream: name}
		tellState(&one, found, r, e.ID)
		strangers = append(strangers, one)
	}
	slices.SortFunc(strangers, func(a, b admin.EntryInGroup) int { return cmp.Compare(a.RedisGroup, b.RedisGroup) })
	e.Groups = append(e.Groups, strangers...)
	return nil
}

// absence says why a stream does not hold an entry.
func absence(found redisstream.Entry, id stream.ID) string {
	switch {
	case found.LastGenerated.IsZero():
		return "the stream is empty, or not there"
	case found.LastGenerated.Before(id):
		return fmt.Sprintf("the stream ends at %s: there was no such entry yet", found.LastGenerated)
	case found.Gone == 0:
		return "there never was such an entry: nothing was trimmed or deleted"
	case found.First.IsZero():
		return "the stream is empty: the entry was trimmed or deleted, if there ever was one"
	case id.Before(found.First):
		return fmt.Sprintf("the stream begins at %s: the entry was trimmed, if there ever was one", found.First)
	}
	return "the entry was deleted, if there ever was one"
}

// tellState tells what Redis knows of the entry in a group.
func tellState(one *admin.EntryInGroup, found redisstream.Entry, r redisstream.EntryInGroup, id stream.ID) {
	delivered := !r.LastDelivered.Before(id)
	switch {
	case r.Consumer != "":
		one.State, one.Consumer, one.IdleSeconds, one.Deliveries = admin.EntryPending, r.Consumer, r.Idle.Seconds(), r.Deliveries
		tellHeld(one, nil, found.There)
	case delivered && found.There:
		one.State, one.Detail = admin.EntrySettled, "delivered and no longer pending; entries that the group was moved past look the same"
	case !found.There && found.Gone == 0:
		one.State, one.Detail = admin.EntryUnknown, "there is no such entry"
	case delivered:
		one.State, one.Detail = admin.EntryUnknown, fmt.Sprintf("the group stands at %s and has nothing of it pending: settled, or never delivered", r.LastDelivered)
	case found.There:
		one.State, one.Detail = admin.EntryWaiting, fmt.Sprintf("the group stands at %s and comes to it", r.LastDelivered)
	case found.LastGenerated.Before(id):
		one.State, one.Detail = admin.EntryUnknown, "there is no such entry"
	default:
		one.State, one.Detail = admin.EntryGone, fmt.Sprintf("the group stands at %s and does not get it: the stream does not have it any more", r.LastDelivered)
	}
}

// held is what a consumer of this process knows of an entry, nil for nothing.
func (o operator) held(ctx context.Context, group, name string, id stream.ID) *consumer.Held {
	ctx, cancel := context.WithTimeout(ctx, time.Second) // a loop answers at once
	defer cancel()
	return o.app.fanout.Find(ctx, group, name, id)
}

// tellHeld tells where an entry is pending, since when and how often it was
// tried, as far as this process knows.
func tellHeld(one *admin.EntryInGroup, h *consumer.Held, there bool) {
	idle := time.Duration(one.IdleSeconds * float64(time.Second)).Round(100 * time.Millisecond)
	times := telemetry.Plural(one.Deliveries, "delivery")
	switch {
	case h == nil:
		one.Detail = fmt.Sprintf("under %s, untouched for %s; %s", one.Consumer, idle, times)
	default:
		one.Since, one.Attempts, one.Next = &h.Since, h.Fails, when(h.Next)
		one.Detail = fmt.Sprintf("under %s since %s (%s); %s", one.Consumer, h.Since.UTC().Format(time.RFC3339), time.Since(h.Since).Round(time.Second), times)
		if h.Fails > 0 {
			one.Detail += ", " + telemetry.Plural(int64(h.Fails), "attempt") + " failed"
		}
		switch {
		case !h.Running.IsZero():
			one.Detail += fmt.Sprintf("; in a call of the handler for %s", time.Since(h.Running).Round(100*time.Millisecond))
		case !h.Next.IsZero():
			one.Detail += fmt.Sprintf("; next attempt in %s", max(0, time.Until(h.Next)).Round(100*time.Millisecond))
		}
	}
	if !there {
		one.Detail += "; the stream does not have it any more, so that it can only be dropped"
	}
}

// tellLoss looks whether the entry is, or may be, one that was lost.
func (o operator) tellLoss(ctx context.Context, one *admin.EntryInGroup, g manifest.Group, id stream.ID) error {
	losses, err := o.redis(g).KnownLosses(ctx)
	if err != nil {
		return described(err)
	}
	for _, l := range slices.Backward(losses) {
		if !l.Gone() || id.Before(l.First) || l.Last.Before(id) {
			continue
		}
		lost := "some entries, perhaps"
		switch {
		case l.Certain:
			lost = telemetry.Plural(l.Entries, "entry")
		case l.Entries > 0:
			lost = "up to " + telemetry.Plural(l.Entries, "entry")
		}
		one.Detail += fmt.Sprintf("; within a loss that was reported at %s: %s (%s) from %s to %s", l.At.UTC().Format(time.RFC3339), lost, l.Reason, l.First, l.Last)
		return nil
	}
	return nil
}

// tellLetter looks whether the group has buried the entry.
func (o operator) tellLetter(ctx context.Context, one *admin.EntryInGroup, g manifest.Group, id stream.ID) error {
	l, found, all, err := o.redis(g).LetterOf(ctx, id)
	switch {
	case err != nil:
		return described(err)
	case !found && !all:
		one.Detail += "; not all of its dead letters were looked through"
	case found && l.Head.Group == g.Name:
		one.State, one.Letter, one.Reason = admin.EntryDead, &l.ID, l.Head.Error
		one.Detail = fmt.Sprintf("dead letter %s, failed at stage %s", l.ID, l.Head.Stage)
		if l.Replaying {
			one.State = admin.EntryReplaying
			one.Detail = fmt.Sprintf("dead letter %s is on its way back to the group", l.ID)
		}
	}
	return nil
}
