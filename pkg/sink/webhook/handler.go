package webhook

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"time"

	"example.com/fanout/pkg/handler"
)

// sender is the handler. It is safe for concurrent use.
type sender struct {
	form        *form
	batch       bool
	timeout     time.Duration
	maxResponse int64
	transport   *http.Transport
	mask        *strings.Replacer
	doubts      doubts
}

// errNoAnswer is the cause of a request's context when the sink's own timeout
// has passed.
var errNoAnswer = errors.New("no answer")

// result is what became of one message.
type result struct {
	err error // marked for the engine; nil: accepted
	all bool  // err is not about these entries: others would meet the same
}

// Handle implements [handler.Handler].
func (s *sender) Handle(ctx context.Context, batch *handler.Batch) error {
	if len(batch.Deliveries) == 0 {
		return nil
	}
	if ctx.Err() != nil {
		return s.stopped(ctx)
	}
	if s.batch && len(batch.Deliveries) > 1 {
		return s.post(ctx, s.form.all(batch.Group, batch.Deliveries)).err
	}
	return s.postEach(ctx, batch)
}

// postEach posts a batch event by event and names those that fail. When the
// endpoint is away or time has run out the rest is not tried.
//
// An event in doubt is named even when it is alone: that holds this event,
// while an unnamed [handler.Unavailable] would hold the group and so keep away
// the other entries that the doubt waits for.
func (s *sender) postEach(ctx context.Context, batch *handler.Batch) error {
	var failed handler.BatchError
	for i := range batch.Deliveries {
		d := &batch.Deliveries[i]
		var m message
		if s.batch {
			m = s.form.all(batch.Group, batch.Deliveries[i:i+1])
		} else {
			m = s.form.single(batch.Group, d)
		}
		r := s.post(ctx, m)
		if r.err == nil {
			continue
		}
		single := len(batch.Deliveries) == 1 && handler.MarkOf(r.err) != handler.MarkUnavailable
		if single || r.all && i == 0 {
			return r.err
		}
		failed.Fail(i, r.err)
		if r.all {
			for rest := i + 1; rest < len(batch.Deliveries); rest++ {
				failed.Fail(rest, handler.Unavailable(r.err)) // had no attempt
			}
			break
		}
	}
	return failed.Err()
}

// post sends a message and judges the answer. Once there is an answer, ctx no
// longer matters.
func (s *sender) post(ctx context.Context, m message) result {
	// A cancel of its own, not a deadline: once there is an answer, reading the
	// rest of it must neither outlast nor inherit the timeout.
	sendCtx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var connected atomic.Bool
	trace := &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected.Store(true) }}
	r, err := s.form.request(httptrace.WithClientTrace(sendCtx, trace), m)
	if err != nil {
		return result{err: s.failure("%v", err)}
	}
	patience := s.patience(ctx)
	timer := time.AfterFunc(patience, func() { cancel(errNoAnswer) })
	defer timer.Stop()
	resp, err := s.transport.RoundTrip(r) //nolint:bodyclose // judge closes it
	if err == nil {
		timer.Stop()
		return s.judge(m, resp, func() { cancel(nil) })
	}
	switch {
	case ctx.Err() != nil:
		return result{err: s.stopped(ctx), all: true}
	case !errors.Is(context.Cause(sendCtx), errNoAnswer):
		return result{err: handler.Unavailable(s.failure("%s", s.clean(err.Error(), maxExcerpt))), all: true}
	case !connected.Load():
		return result{err: handler.Unavailable(s.failure("no connection within %v", patience)), all: true}
	}
	return s.doubt(m, s.failure("no answer within %v", patience))
}

// patience is the timeout of one request: below the deadline of the call, whose
// end would say nothing about the endpoint.
func (s *sender) patience(ctx context.Context) time.Duration {
	if deadline, ok := ctx.Deadline(); ok {
		return min(s.timeout, max(time.Until(deadline)*4/5, time.Millisecond)).Round(time.Millisecond)
	}
	return s.timeout
}

// stopped is the error of a call whose ctx is done, with its cause.
func (s *sender) stopped(ctx context.Context) error {
	return fmt.Errorf("post to %s: %w", s.form.target, context.Cause(ctx))
}

// failure makes the error of a request. What a transport's error wraps is not
// kept: its text may hold the URL.
func (s *sender) failure(format string, args ...any) error {
	return fmt.Errorf("post to %s: %s", s.form.target, fmt.Sprintf(format, args...))
}

// Close implements [handler.Handler].
func (s *sender) Close() error {
	s.transport.CloseIdleConnections()
	return nil
}
