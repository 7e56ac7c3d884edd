package chaos

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
)

// stalls measures how long each group had work and did none of it.
type stalls struct {
	rdb     *redis.Client
	longest map[string]time.Duration
	seen    map[string]progress
}

type progress struct {
	at      time.Time
	last    string
	pending int64
}

func newStalls(rdb *redis.Client) *stalls {
	return &stalls{rdb: rdb, longest: map[string]time.Duration{}, seen: map[string]progress{}}
}

// serve looks on until ctx is done. The results are there afterwards.
func (s *stalls) serve(ctx context.Context) {
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			s.look(ctx)
		case <-ctx.Done():
			return
		}
	}
}

func (s *stalls) look(ctx context.Context) {
	info, err := s.rdb.XInfoStream(ctx, streamKey).Result()
	if err != nil {
		return // what cannot be seen counts as no progress
	}
	found, err := s.rdb.XInfoGroups(ctx, streamKey).Result()
	if err != nil {
		return
	}
	now := time.Now()
	for _, g := range found {
		before, known := s.seen[g.Name]
		after := progress{now, g.LastDeliveredID, g.Pending}
		idle := g.Pending == 0 && g.LastDeliveredID == info.LastGeneratedID
		if known && !idle && after.last == before.last && after.pending == before.pending {
			s.longest[g.Name] = max(s.longest[g.Name], now.Sub(before.at))
			continue
		}
		if known && !idle {
			s.longest[g.Name] = max(s.longest[g.Name], now.Sub(before.at))
		}
		s.seen[g.Name] = after
	}
}
