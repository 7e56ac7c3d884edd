package window

import (
	"sync"
	"time"

	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/stream"
)

// How often identities are forgotten: after so many deliveries, or when so much
// time has passed.
const (
	pruneEvery    = 10_000
	pruneInterval = time.Minute
)

// pruner says when old identities are to be forgotten and how many at most. It
// forgets faster than new ones come, so it always catches up, in steps that do
// not hold up the batches for long. It is safe for concurrent use.
type pruner struct {
	dedupe time.Duration
	now    func() time.Time

	mu      sync.Mutex
	handled int       // deliveries since the last step
	last    time.Time // of the last step
}

// due takes note of a batch. limit is 0 when it is not yet time.
func (p *pruner) due(batch *handler.Batch) (upTo stream.ID, limit int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.handled += len(batch.Deliveries)
	now := p.now()
	if batch.LowWater.IsZero() || p.handled < pruneEvery && now.Sub(p.last) < pruneInterval {
		return stream.ID{}, 0
	}
	limit = 2*p.handled + 1000
	p.handled, p.last = 0, now
	return horizon(batch.LowWater, now, p.dedupe), limit
}
