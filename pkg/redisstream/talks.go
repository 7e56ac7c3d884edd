package redisstream

import (
	"context"
	"sync"
)

// talks are the conversations on a line, one at a time. Most have the same context:
// it is watched once, not for each.
type talks struct {
	mu       sync.Mutex // guards what follows
	ctx      context.Context
	stop     func() bool // ends the watch of ctx
	underWay bool
	ended    chan struct{} // made by who waits for the end
}

// begin reports false when ctx is done. When it is done later, while a conversation
// is under way, interrupt is called, in a goroutine of its own.
func (t *talks) begin(ctx context.Context, interrupt func(ended <-chan struct{})) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if ctx.Err() != nil {
		return false
	}
	t.underWay = true
	if t.ctx == ctx {
		return true
	}
	if t.stop != nil {
		t.stop()
	}
	t.ctx = ctx
	t.stop = context.AfterFunc(ctx, func() {
		if ended := t.waitFor(ctx); ended != nil {
			interrupt(ended)
		}
	})
	return true
}

// waitFor returns what is closed when the conversation under way has ended; nil
// when there is none with that context.
func (t *talks) waitFor(ctx context.Context) <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.underWay || t.ctx != ctx {
		return nil
	}
	t.ended = make(chan struct{})
	return t.ended
}

func (t *talks) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.underWay = false
	if t.ended != nil {
		close(t.ended)
		t.ended = nil
	}
}

// close ends the watch.
func (t *talks) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stop != nil {
		t.stop()
	}
	t.ctx, t.stop = nil, nil
}
