package redisstream

import "time"

// LookEvery makes a waiting reader look for replays that often.
func (s *ReplaySource) LookEvery(d time.Duration) { s.every = d }
