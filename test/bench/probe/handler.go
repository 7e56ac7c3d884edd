package probe

import (
	"context"
	"fmt"
	"time"

	"example.com/fanout/pkg/event"
	"example.com/fanout/pkg/handler"
)

// Factory makes the handler "probe", whose groups all add to r.
func Factory(r *Recorder) handler.Factory {
	return handler.Factory{
		Doc:    "measures how long entries were on their way",
		Config: func() handler.Config { return &config{recorder: r} },
	}
}

type config struct{ recorder *Recorder }

// Check implements [handler.Config].
func (c *config) Check() []handler.Finding { return nil }

// New implements [handler.Config].
func (c *config) New(handler.Env) (handler.Handler, error) {
	path, err := event.ParsePath(Sent)
	if err != nil {
		return nil, err
	}
	return &probe{recorder: c.recorder, path: path}, nil
}

type probe struct {
	recorder *Recorder
	path     event.Path
}

// Handle implements [handler.Handler].
func (p *probe) Handle(_ context.Context, batch *handler.Batch) error {
	now := time.Now()
	sent := make([]int64, 0, len(batch.Deliveries))
	for i := range batch.Deliveries {
		v, ok := batch.Deliveries[i].Event.Lookup(p.path)
		if !ok {
			continue
		}
		n, err := v.Int64()
		if err != nil {
			return handler.Permanent(fmt.Errorf("read when the entry was sent: %w", err))
		}
		sent = append(sent, n)
	}
	p.recorder.Add(now, sent)
	return nil
}

// Close implements [handler.Handler].
func (p *probe) Close() error { return nil }
