package redisstream

import (
	"context"
	"errors"
	"time"

	"example.com/fanout/pkg/deadletter"
	"example.com/fanout/pkg/stream"
)

// pollReplays is how often a waiting reader looks for replays.
const pollReplays = 2 * time.Second

// ReplaySource is one consumer's view of what is replayed to its group: dead
// letters that were sent back to it alone, see [Group.Replay]. It has the
// methods of [Source] and keeps their promises, but:
//
//   - Deliveries are the original entries, with the stream, epoch and ID that
//     they were buried with; Ref is the ID in the replay stream, and Origin is
//     [stream.Replayed] in all of them. An entry that something else has
//     written to the replay stream is delivered as it stands.
//   - Ack deletes the letter, Bury puts a new letter in its place, each in one
//     step with the end of the replay.
//   - It is never told that the group is missing. The replay stream is there
//     once something was replayed; without it there is nothing to read and
//     nothing is pending.
//   - Read has no connection of its own and looks about every two seconds.
type ReplaySource struct {
	group *Group
	inner *Source       // of the replay stream
	every time.Duration // polls
	next  time.Time     // poll; belongs to the reading goroutine
}

// foreignEpoch is that of deliveries which are no letters.
const foreignEpoch = "replay"

// ReplaySource returns the view of one consumer. It does no I/O.
func (g *Group) ReplaySource(consumer string) *ReplaySource {
	replays := &Group{client: g.client, cfg: g.cfg}
	replays.cfg.Stream = g.replayStream()
	return &ReplaySource{
		group: g,
		inner: &Source{group: replays, consumer: consumer, epoch: foreignEpoch},
		every: pollReplays,
	}
}

func (g *Group) replayStream() string { return tagged(g.cfg.Stream) + ":replay:" + g.cfg.Group }

// letterKeys are what replays.lua works with: the last one is a hash that tells
// in which entry of the replay stream a letter is.
func (g *Group) letterKeys() []string {
	return []string{g.cfg.DeadLetters, g.replayStream(), tagged(g.cfg.Stream) + ":replaying:" + g.cfg.Group}
}

// Close has nothing to give back.
func (s *ReplaySource) Close() error { return nil }

// Read fills c with at most max replays that are new. It waits at most wait for
// the first one, and returns as soon as ctx is done. Of large replays it takes
// fewer; none are left on the way.
func (s *ReplaySource) Read(ctx context.Context, c *stream.Chunk, max int, wait time.Duration) error {
	c.Reset()
	deadline := time.Now().Add(wait)
	for ctx.Err() == nil {
		if now := time.Now(); wait <= 0 || !now.Before(s.next) {
			ds, err := s.poll(ctx, max, c.Limit)
			if len(ds) > 0 || err != nil || wait <= 0 {
				c.Deliveries, c.Since = append(c.Deliveries, ds...), now
				return err
			}
			s.next = s.group.client.together(now, s.every)
		}
		if !time.Now().Before(deadline) {
			return nil
		}
		timer := time.NewTimer(min(time.Until(s.next), time.Until(deadline)))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
	}
	return ctx.Err()
}

// Rest has nothing to end: a read leaves nothing.
func (s *ReplaySource) Rest(context.Context) ([]stream.ID, error) { return nil, nil }

// poll reads what is there. The end of ctx does not cut it off: what is in the
// reply would be pending and unseen.
func (s *ReplaySource) poll(ctx context.Context, max, limit int) ([]stream.Delivery, error) {
	if limit <= 0 || limit > maxPageBytes {
		limit = maxPageBytes
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), replyTimeout)
	defer cancel()
	v, err := s.group.client.runTogether(ctx, s.inner.op("read replays of"), replayReadScript, s.group.cfg.Stream, s.group.letterKeys(),
		s.group.cfg.Group, s.inner.consumer, pageSize(max), limit)
	if err != nil {
		return nil, err
	}
	page, err := s.inner.page(stream.Page{}, &v, stream.Replayed)
	return s.originals(page).Deliveries, err
}

// Own is [Source.Own].
func (s *ReplaySource) Own(ctx context.Context, after stream.ID, max int) (stream.Page, error) {
	page, err := s.inner.Own(ctx, after, max)
	return s.pending(page, err)
}

// Claim is [Source.Claim].
func (s *ReplaySource) Claim(ctx context.Context, cursor stream.ID, minIdle time.Duration, max int) (stream.Page, error) {
	page, err := s.inner.Claim(ctx, cursor, minIdle, max)
	return s.pending(page, err)
}

func (s *ReplaySource) pending(page stream.Page, err error) (stream.Page, error) {
	if errors.Is(err, stream.ErrNoGroup) {
		return stream.Page{Done: true}, nil
	}
	return s.originals(page), err
}

// originals turns entries of the replay stream into those that were buried.
func (s *ReplaySource) originals(page stream.Page) stream.Page {
	for i := range page.Deliveries {
		d := &page.Deliveries[i]
		d.Origin = stream.Replayed
		if _, l, err := deadletter.ParseReplay(d.Entry); err == nil {
			d.Entry, d.Stream, d.Epoch = l.Entry, l.Stream, l.Epoch
		}
	}
	return page
}

// Ack ends those replays that are still this consumer's own, deletes their
// letters, and returns how many they were. It looks at every one: probes are
// not needed.
func (s *ReplaySource) Ack(ctx context.Context, _, refs []stream.ID) (acked int, err error) {
	if len(refs) == 0 {
		return 0, nil
	}
	n, err := s.group.client.runInt(ctx, s.inner.op("ack replays of"), replayAckScript, s.group.letterKeys(),
		s.group.cfg.Group, s.inner.consumer, join(refs))
	if errors.Is(err, stream.ErrNoGroup) {
		return 0, nil
	}
	return int(n), err
}

// Hold is [Source.Hold].
func (s *ReplaySource) Hold(ctx context.Context, holds []stream.Hold) (lost []stream.ID, err error) {
	lost, err = s.inner.Hold(ctx, holds)
	if errors.Is(err, stream.ErrNoGroup) {
		for _, h := range holds {
			lost = append(lost, h.Ref)
		}
		return lost, nil
	}
	return lost, err
}

// Bury puts letter in the place of the one that was replayed. It goes on with
// that one's count of replays and keeps its first failure.
func (s *ReplaySource) Bury(ctx context.Context, ref stream.ID, letter *deadletter.Letter) (stream.Burial, error) {
	op := s.inner.op("bury replay " + ref.String() + " of")
	keys := s.group.letterKeys()
	was, err := s.group.client.entry(ctx, op, keys[1], ref)
	if err != nil {
		return 0, err
	}
	again := *letter
	if _, l, err := deadletter.ParseReplay(was); err == nil {
		again.Replays = l.Replays
		if !l.FirstFailure.IsZero() {
			again.FirstFailure = l.FirstFailure
		}
	}
	result, err := s.group.bury(ctx, op, replayBuryScript, keys, s.inner.consumer, ref, &again)
	if errors.Is(err, stream.ErrNoGroup) {
		return stream.NotPending, nil
	}
	return result, err
}

// entry gets one entry of a stream; one that is not there has no fields.
func (c *Client) entry(ctx context.Context, op, key string, id stream.ID) (stream.Entry, error) {
	list, err := c.rdb.Do(ctx, "xrange", key, id.String(), id.String()).Slice()
	if err != nil {
		return stream.Entry{}, wrap(op, err)
	}
	v := values{op: op, list: list}
	if !v.more() {
		return stream.Entry{ID: id}, nil
	}
	entry := v.array()
	e := stream.Entry{ID: entry.id(), Fields: entry.fields()}
	return e, entry.err
}
