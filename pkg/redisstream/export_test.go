package redisstream

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/fanout/pkg/stream"
)

// AddHook adds a hook to the control connections.
func (c *Client) AddHook(h redis.Hook) { c.rdb.AddHook(h) }

// AckPlainlyFrom sets from how many entries on acknowledgements are plain.
func (c *Client) AckPlainlyFrom(n int) { c.plainFrom = n }

// LookEvery makes a waiting reader look for replays that often.
func (s *ReplaySource) LookEvery(d time.Duration) { s.every = d }

// Epoch is the one that Ensure has seen.
func (g *Group) Epoch() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.epoch
}

// AckPlainly is what ackPlainly does with entries that are ours, with something
// between its two steps.
func (s *Source) AckPlainly(ctx context.Context, probes, refs []stream.ID, between func()) (acked int, done bool, err error) {
	l := s.group.client.ackers.take(ctx)
	defer s.group.client.ackers.give(l)
	if err := l.connect(ctx); err != nil {
		return 0, false, err
	}
	var chunk stream.Chunk
	l.wire.begin(&chunk)
	if ours, err := s.stillOurs(l, probes); err != nil || !ours {
		return 0, false, fmt.Errorf("ours: %v, %w", ours, err)
	}
	between()
	return s.ackWatched(l, refs)
}

// RestLine makes the reader's line look as if it had not been used for long.
func (s *Source) RestLine() { s.line.used = time.Time{} }

// RestAckLines makes idle lines of acknowledgements look as if they had been so for long.
func (c *Client) RestAckLines() {
	c.ackers.mu.Lock()
	defer c.ackers.mu.Unlock()
	for _, l := range c.ackers.idle {
		l.used = time.Time{}
	}
}

// KeepTurns takes all turns of large reads, until they are released.
func (c *Client) KeepTurns() (release func()) {
	for range readsAtOnce {
		c.reading <- struct{}{}
	}
	return func() {
		for range readsAtOnce {
			<-c.reading
		}
	}
}
