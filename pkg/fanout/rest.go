package fanout

import (
	"context"
	"sync/atomic"
	"time"

	"example.com/fanout/pkg/consumer"
	"example.com/fanout/pkg/stream"
	"example.com/fanout/pkg/supervisor"
)

// slumber is the rest of a group in whose stream nothing happens: its looks at
// Redis are rarer until one of its consumers reads something.
type slumber struct {
	resting atomic.Bool
	stirred chan struct{} // capacity 1
}

// atRest reports whether there is nothing that a group could do.
func atRest(info *stream.GroupInfo) bool {
	return info != nil && info.Pending == 0 && !info.LastDelivered.Before(info.LastGenerated)
}

func (r *slumber) is() bool { return r.resting.Load() }

// stir ends the rest. It never waits.
func (r *slumber) stir() {
	if r.resting.Load() && r.resting.Swap(false) {
		r.stirred <- struct{}{} // there is room: wait takes it before the next rest
	}
}

// wait rests until the next look is due, which is at the next second when
// something has happened. It returns false when ctx is done. together puts looks
// of all groups on common moments.
func (r *slumber) wait(ctx context.Context, together func(time.Duration) time.Duration) bool {
	timer := time.NewTimer(together(restEvery))
	defer timer.Stop()
	r.resting.Store(true)
	select {
	case <-timer.C:
	case <-ctx.Done():
	case <-r.stirred:
		return supervisor.Pause(ctx, together(watchEvery))
	}
	if !r.resting.Swap(false) { // stirred meanwhile: what is being sent is not for the next rest
		<-r.stirred
	}
	return ctx.Err() == nil
}

// attentive is a source the reads of which end a rest: what they bring, and that
// they fail.
type attentive struct {
	consumer.Source
	rested *slumber
}

// Read is that of the source.
func (s attentive) Read(ctx context.Context, c *stream.Chunk, max int, wait time.Duration) error {
	err := s.Source.Read(ctx, c, max, wait)
	if err != nil || len(c.Deliveries) > 0 {
		s.rested.stir()
	}
	return err
}

// Connection is that of the source, nothing where it has none.
func (s attentive) Connection() consumer.Connection {
	if own, ok := s.Source.(interface{ Connection() consumer.Connection }); ok {
		return own.Connection()
	}
	return consumer.Connection{}
}
