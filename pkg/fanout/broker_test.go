package fanout_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"example.com/fanout/pkg/consumer"
	"example.com/fanout/pkg/consumer/consumertest"
	"example.com/fanout/pkg/fanout"
	"example.com/fanout/pkg/manifest"
	"example.com/fanout/pkg/stream"
)

// broker is a fanout.Broker over an in-memory server.
type broker struct {
	server *consumertest.Server

	mu     sync.Mutex
	exists map[string]bool
	last   stream.ID
	opened map[string]int   // groups created, by name
	faults map[string]error // by method
	reaped []string         // names that must be kept
	untold []stream.Loss    // by Redis
	gone   []stream.ID      // vanished, and not told of yet
	losses []stream.Loss    // that were told
}

func newBroker(t *testing.T) *broker {
	b := &broker{server: consumertest.NewServer(t), exists: map[string]bool{}, opened: map[string]int{}, faults: map[string]error{}}
	return b
}

// add appends n entries.
func (b *broker) add(n int) []stream.ID {
	b.mu.Lock()
	defer b.mu.Unlock()
	ids := make([]stream.ID, n)
	for i := range ids {
		ids[i] = b.server.AddEvent(fmt.Sprintf(`{"n":%d}`, i))
		b.last = ids[i]
	}
	return ids
}

// fail makes methods of remotes fail, or heals them.
func (b *broker) fail(err error, methods ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range methods {
		b.faults[m] = err
	}
}

func (b *broker) fault(method string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.faults[method]
}

// destroy destroys a group.
func (b *broker) destroy(group string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.exists[group] = false
	b.server.DestroyGroup(group)
}

func (b *broker) created(group string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.opened[group]
}

func (b *broker) Remote(g manifest.Group) fanout.Remote { return &remote{b, g} }

type remote struct {
	*broker
	g manifest.Group
}

const replays = "replays of "

func (r *remote) Ensure(context.Context) (fanout.Opened, error) {
	if err := r.fault("Ensure"); err != nil {
		return fanout.Opened{}, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	o := fanout.Opened{Epoch: r.server.Epoch()}
	if !r.exists[r.g.Group] {
		o.Created, o.Recreated = true, r.opened[r.g.Group] > 0
		r.server.CreateGroup(r.g.Stream, r.g.Group, stream.ID{})
		if !o.Recreated {
			r.server.CreateGroup(replays+r.g.Stream, replays+r.g.Group, stream.ID{})
		}
		r.exists[r.g.Group] = true
		r.opened[r.g.Group]++
	}
	return o, nil
}

func (r *remote) Source(name, _ string) consumer.Source {
	return &source{r.server.Source(r.g.Group, name, r.g.Claim.MinIdle), r.broker}
}

// source notes what has vanished.
type source struct {
	*consumertest.Source
	broker *broker
}

func (s *source) Own(ctx context.Context, after stream.ID, limit int) (stream.Page, error) {
	page, err := s.Source.Own(ctx, after, limit)
	s.broker.vanished(page.Vanished)
	return page, err
}

func (s *source) Claim(ctx context.Context, cursor stream.ID, minIdle time.Duration, limit int) (stream.Page, error) {
	page, err := s.Source.Claim(ctx, cursor, minIdle, limit)
	s.broker.vanished(page.Vanished)
	return page, err
}

func (b *broker) vanished(ids []stream.ID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.gone = append(b.gone, ids...)
}

func (r *remote) ReplaySource(name string) consumer.Source {
	return r.server.Source(replays+r.g.Group, name, r.g.Claim.MinIdle)
}

// errSilent is a fault for Info that comes when 20 seconds are over.
var errSilent = errors.New("i/o timeout")

func (r *remote) Info(ctx context.Context) (stream.GroupInfo, error) {
	if err := r.fault("Info"); err != nil {
		if errors.Is(err, errSilent) {
			_ = wait(ctx, 20*time.Second)
		}
		return stream.GroupInfo{}, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.exists[r.g.Group] {
		return stream.GroupInfo{}, stream.ErrNoGroup
	}
	info := stream.GroupInfo{Stream: r.g.Stream, Group: r.g.Group, LastGenerated: r.last, LastDelivered: r.server.LastDelivered(r.g.Group)}
	if pending := r.server.Pending(r.g.Group); len(pending) > 0 {
		info.Pending, info.OldestPending = int64(len(pending)), pending[0].ID
	}
	return info, nil
}

func (r *remote) Losses(_ context.Context, tell func(stream.Loss)) ([]stream.Loss, error) {
	if err := r.fault("Losses"); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.gone) > 0 {
		r.untold = append(r.untold, stream.Loss{
			Reason: stream.LossDeleted, Certain: true, Entries: int64(len(r.gone)), At: time.Now(),
			First: slices.MinFunc(r.gone, stream.ID.Compare), Last: slices.MaxFunc(r.gone, stream.ID.Compare),
		})
	}
	for _, l := range r.untold {
		tell(l)
	}
	r.losses = append(r.losses, r.untold...)
	r.untold, r.gone = nil, nil
	return r.losses, nil
}

func (r *remote) Consumers(context.Context) ([]stream.ConsumerInfo, error) {
	if err := r.fault("Consumers"); err != nil {
		return nil, err
	}
	count := map[string]int64{}
	for _, p := range r.server.Pending(r.g.Group) {
		count[p.Consumer]++
	}
	var all []stream.ConsumerInfo
	for name, n := range count {
		all = append(all, stream.ConsumerInfo{Name: name, Pending: n})
	}
	return all, nil
}

func (r *remote) Checkpoint(ctx context.Context) (stream.ID, error) {
	info, err := r.Info(ctx)
	return info.LowWater(), err
}

func (r *remote) Reap(_ context.Context, _ time.Duration, keep []string) ([]string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reaped = keep
	return nil, nil
}
