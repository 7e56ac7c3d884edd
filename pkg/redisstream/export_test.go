package redisstream

import "time"

// LookEvery makes a waiting reader look for replays that often.
func (s *ReplaySource) LookEvery(d time.Duration) { s.every = d }

// Epoch is the one that Ensure has seen.
func (g *Group) Epoch() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.epoch
}
