package redisstream

import (
	"time"

	"github.com/redis/go-redis/v9"
)

// AddHook adds a hook to the control connections.
func (c *Client) AddHook(h redis.Hook) { c.rdb.AddHook(h) }

// LookEvery makes a waiting reader look for replays that often.
func (s *ReplaySource) LookEvery(d time.Duration) { s.every = d }

// Epoch is the one that Ensure has seen.
func (g *Group) Epoch() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.epoch
}
