package redisstream_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"example.com/fanout/pkg/consumer"
	"example.com/fanout/pkg/consumer/consumertest"
	"example.com/fanout/pkg/deadletter"
	"example.com/fanout/pkg/redisstream"
	"example.com/fanout/pkg/stream"
	"example.com/fanout/test/redistest"
)

var _ consumer.Source = (*redisstream.ReplaySource)(nil)

// replayRig is the replay stream of one group, for the conformance suite. What
// the suite adds are replays whose letters have been purged meanwhile; each has
// the ID of its original entry.
type replayRig struct {
	rig
	mu   *sync.Mutex // guards last
	last *stream.ID
}

func (r replayRig) Source(name string) consumer.Source {
	src := r.g.ReplaySource(name)
	src.LookEvery(5 * time.Millisecond)
	return relabelled{src}
}

func (r replayRig) Add(fields ...string) stream.ID {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	id := r.last.Next()
	r.AddAt(id, fields...)
	*r.last = id
	return id
}

func (r replayRig) AddAt(id stream.ID, fields ...string) {
	r.t.Helper()
	head, err := (deadletter.Head{Letter: &deadletter.Letter{
		Stream: key, ID: id, Epoch: "e1", Group: group,
		FirstFailure: time.Date(2026, 2, 3, 4, 5, 6, 7_000_000, time.UTC), // as in the letters of the suite
	}}).Replay()
	if err != nil {
		r.t.Fatal(err)
	}
	args := []any{"XADD", replays, id.String(), "of", "1-1", "letter", head}
	for _, f := range fields {
		args = append(args, f)
	}
	r.do(args...)
}

func (r replayRig) Delete(ids ...stream.ID) {
	r.t.Helper()
	for _, id := range ids {
		r.do("XDEL", replays, id.String())
	}
}

func (r replayRig) Pending() []consumertest.PendingEntry {
	r.t.Helper()
	if r.do("EXISTS", replays) == int64(0) {
		return nil
	}
	return r.pendingIn(replays)
}

// relabelled gives deliveries the origin that the suite asks for.
type relabelled struct{ *redisstream.ReplaySource }

func (s relabelled) Read(ctx context.Context, c *stream.Chunk, max int, wait time.Duration) error {
	err := s.ReplaySource.Read(ctx, c, max, wait)
	relabel(c.Deliveries, stream.New)
	return err
}

func (s relabelled) Own(ctx context.Context, after stream.ID, max int) (stream.Page, error) {
	page, err := s.ReplaySource.Own(ctx, after, max)
	relabel(page.Deliveries, stream.Own)
	return page, err
}

func (s relabelled) Claim(ctx context.Context, cursor stream.ID, minIdle time.Duration, max int) (stream.Page, error) {
	page, err := s.ReplaySource.Claim(ctx, cursor, minIdle, max)
	relabel(page.Deliveries, stream.Claimed)
	return page, err
}

func relabel(ds []stream.Delivery, origin stream.Origin) []stream.Delivery {
	for i := range ds {
		if ds[i].Origin == stream.Replayed {
			ds[i].Origin = origin
		}
	}
	return ds
}

func TestReplaySourceKeepsThePromises(t *testing.T) {
	t.Parallel()
	consumertest.TestSource(t, func(t *testing.T) consumertest.Rig {
		s := redistest.Start(t)
		return replayRig{
			rig: newRig(t, open(t, s), s.Client()).(rig), mu: &sync.Mutex{}, last: &stream.ID{Ms: 1763856000000},
		}
	}, "every method tells that the group is missing", "a waiting read tells that the group is missing")
}
