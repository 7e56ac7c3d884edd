package consumer

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"example.com/fanout/pkg/deadletter"
	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/stream"
	"example.com/fanout/pkg/telemetry"
)

// startCalls runs what can be run: one call a slot. While the sink is down one
// call at a time probes it, when its time has come.
func (l *loop) startCalls(now time.Time) {
	for !l.stopping {
		free := l.cfg.Concurrency - len(l.running)
		if l.awaited() && (len(l.ready) == 0 || l.ready[0].items[0] != l.suspect) {
			free-- // kept for the suspect
		}
		if free <= 0 {
			return
		}
		if l.sink.down && (len(l.running) > 0 || now.Before(l.sink.next)) {
			return
		}
		c := l.nextCall(now)
		if c == nil {
			return
		}
		l.start(c, now)
	}
}

// nextCall takes a composed call, or composes one of what is fresh.
func (l *loop) nextCall(now time.Time) *call {
	if len(l.ready) > 0 {
		c := l.ready[0]
		l.ready[0] = nil
		l.ready = l.ready[1:]
		return c
	}
	n, bytes := 0, 0
	for n < len(l.fresh) && n < l.cfg.BatchSize {
		bytes += l.fresh[n].size
		if n > 0 && bytes > l.cfg.BatchBytes {
			break
		}
		n++
	}
	if n == 0 {
		return nil
	}
	full := n == l.cfg.BatchSize || n < len(l.fresh)
	if !full && l.cfg.Linger > 0 && now.Before(l.fresh[0].arrived.Add(l.cfg.Linger)) {
		return nil
	}
	c := &call{items: l.fresh[:n:n]}
	l.fresh = l.fresh[n:]
	return c
}

// start runs a call in a goroutine of its own.
func (l *loop) start(c *call, now time.Time) {
	t := l.cfg.Telemetry
	batch := &handler.Batch{
		Group:      l.cfg.Group,
		LowWater:   l.cfg.LowWater(),
		Deliveries: make([]handler.Delivery, len(c.items)),
	}
	for i, it := range c.items {
		it.Attempt = it.attempts + 1
		batch.Deliveries[i] = it.Delivery
	}
	c.started = now
	l.running[c] = struct{}{}
	t.BatchEntries.Observe(float64(len(c.items)))
	if oldest := c.items[0].ID.Ms; oldest > 0 {
		t.EntryAge.ObserveN(max(0, now.Sub(c.items[0].ID.Time()).Seconds()), len(c.items))
	}

	ctx, cancel := context.WithTimeoutCause(l.callCtx, l.cfg.Timeout, handler.ErrTimeout)
	go func() {
		err := invoke(ctx, l.cfg.Handler, batch)
		cause := context.Cause(ctx)
		cancel()
		took := time.Since(now)
		l.events <- func() { l.returned(c, err, cause, took) }
	}()
}

// PanicError is a panic of a handler as the error of its call.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// invoke calls the handler. It turns a panic, and the end of the goroutine by
// runtime.Goexit, into a [PanicError].
func invoke(ctx context.Context, h handler.Handler, b *handler.Batch) (err error) {
	err = &PanicError{Value: "the handler ended its goroutine"}
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	return h.Handle(ctx, b)
}

// returned passes the verdict on a call that has come back.
func (l *loop) returned(c *call, err error, cause error, took time.Duration) {
	now := time.Now()
	t := l.cfg.Telemetry
	delete(l.running, c)
	if c.stuck {
		t.StuckCalls.Add(-1)
		l.cfg.Logger.Info("stuck handler call returned", "took", took)
	}
	t.HandleDuration.Observe(took.Seconds())
	if c.items[0].suspect && l.suspect == c.items[0] {
		l.leaveGate()
	}
	l.c.mu.Lock()
	l.c.status.LastActivity = now
	l.c.mu.Unlock()

	if err == nil {
		t.LastSuccess.Set(now)
		l.sinkUp()
		l.ack(c.items)
		return
	}
	if errors.Is(cause, handler.ErrStopping) {
		l.afterStop(c, err)
		return
	}
	timedOut := errors.Is(cause, handler.ErrTimeout)
	l.count(err, timedOut)
	if handler.MarkOf(err) != handler.MarkUnavailable {
		l.noteFailure(err, now)
		if !timedOut {
			l.sinkUp() // it answered
		}
	}
	if named := namedFailures(err, len(c.items)); named != nil {
		for i, it := range c.items {
			if e, failed := named[i]; failed {
				l.failOne(it, e, timedOut, now)
			} else {
				l.ack(c.items[i : i+1])
			}
		}
		return
	}
	switch {
	case handler.MarkOf(err) == handler.MarkUnavailable:
		l.sinkDown(err, now)
		l.again(c)
	case handler.MarkOf(err) == handler.MarkPermanent, len(c.items) == 1:
		for _, it := range c.items {
			l.failOne(it, err, timedOut, now)
		}
	default:
		l.split(c, err, timedOut, now)
	}
}

// namedFailures are the failures of a usable BatchError; nil when err says
// nothing about single deliveries, and counts for all of them.
func namedFailures(err error, n int) map[int]error {
	var be *handler.BatchError
	if !errors.As(err, &be) || len(be.Failed) == 0 {
		return nil
	}
	for i, e := range be.Failed {
		if i < 0 || i >= n || e == nil {
			return nil
		}
	}
	return be.Failed
}

// failOne decides about one delivery that failed by itself.
func (l *loop) failOne(it *item, err error, timedOut bool, now time.Time) {
	if l.dropLost(it) {
		return
	}
	if timedOut {
		it.undo = stream.KeepCount
	}
	asked := handler.RetryAfterOf(err)
	switch handler.MarkOf(err) {
	case handler.MarkPermanent:
		it.fail(now)
		l.bury(it, stageOf(err, false), err)
		return
	case handler.MarkUnavailable:
		it.holds++
		l.retry(it, now.Add(l.cfg.Retry.DelayAfter(it.holds, asked)))
		return
	}
	it.fail(now)
	if l.cfg.Retry.Spent(it.attempts) {
		l.bury(it, stageOf(err, timedOut), err)
		return
	}
	l.retry(it, now.Add(l.cfg.Retry.DelayAfter(it.attempts, asked)))
}

// retry puts one delivery off.
func (l *loop) retry(it *item, at time.Time) {
	if l.stopping {
		l.release(it)
		return
	}
	l.cfg.Telemetry.Retries.Add(1)
	l.wait(at, it)
}

// again holds a whole call until the sink is back.
func (l *loop) again(c *call) {
	c.items = l.dropLostOf(c.items)
	switch {
	case len(c.items) == 0:
	case l.stopping:
		l.releaseCall(c)
	case c.items[0].suspect:
		l.suspects = append(l.suspects, c.items[0])
	default:
		c.stuck = false
		l.ready = append(l.ready, c)
	}
}

// split halves a call that failed without naming anything: what is at fault
// comes to stand alone after a few rounds, and no attempt is counted before.
func (l *loop) split(c *call, err error, timedOut bool, now time.Time) {
	if timedOut {
		for _, it := range c.items {
			it.undo = stream.KeepCount
		}
	}
	if l.stopping {
		l.releaseCall(c)
		return
	}
	if c.items = l.dropLostOf(c.items); len(c.items) < 2 {
		l.again(c)
		return
	}
	half := len(c.items) / 2
	parts := []*call{{items: c.items[:half:half]}, {items: c.items[half:]}}
	l.cfg.Telemetry.Retries.Add(int64(len(c.items)))
	if asked := handler.RetryAfterOf(err); asked > 0 {
		at := now.Add(min(asked, l.cfg.Retry.Max))
		for _, part := range parts {
			l.wait(at, part.items...)
		}
		return
	}
	l.ready = append(parts, l.ready...)
}

// afterStop settles a call that was cancelled by the stop. What it has not
// done counts nothing.
func (l *loop) afterStop(c *call, err error) {
	named := namedFailures(err, len(c.items))
	for i, it := range c.items {
		if _, failed := named[i]; named != nil && !failed {
			l.ack(c.items[i : i+1])
			continue
		}
		l.release(it)
	}
}

// count counts a failed call.
func (l *loop) count(err error, timedOut bool) {
	var p *PanicError
	reason := telemetry.ReasonError
	switch {
	case errors.As(err, &p):
		reason = telemetry.ReasonPanic
		l.cfg.Logger.Debug("handler panicked", telemetry.KeyError, p.Error(), "stack", string(p.Stack))
	case handler.MarkOf(err) == handler.MarkUnavailable:
		reason = telemetry.ReasonUnavailable
	case timedOut:
		reason = telemetry.ReasonTimeout
	case handler.MarkOf(err) == handler.MarkPermanent:
		reason = telemetry.ReasonPermanent
	}
	l.cfg.Telemetry.HandleErrors[reason].Add(1)
}

func stageOf(err error, timedOut bool) deadletter.Stage {
	var p *PanicError
	switch {
	case errors.As(err, &p):
		return deadletter.Panic
	case timedOut:
		return deadletter.Timeout
	}
	return deadletter.Handle
}

// sinkDown notes an answer that says so. Answers to calls that had begun
// before the next probe was due count once.
func (l *loop) sinkDown(err error, now time.Time) {
	s := &l.sink
	if !s.down {
		s.down, s.since, s.failures, s.next = true, now, 0, now
	}
	s.err = err
	l.cfg.Logs.sink.Fault(err)
	if asked := handler.RetryAfterOf(err); asked > 0 {
		asked = min(asked, l.cfg.Retry.Max)
		if at := now.Add(asked); at.After(s.next) {
			s.next = at
		}
	}
	if !now.Before(s.next) {
		s.failures++
		s.next = now.Add(l.cfg.Retry.Delay(s.failures))
	}
	l.withdrawSuspect()
}

func (l *loop) sinkUp() {
	if l.sink.down {
		l.cfg.Logs.sink.Clear()
		l.sink = sinkState{}
	}
}

// markStuck notes calls that have outlived their timeout. They keep their slot
// and their deliveries; no verdict is passed before they return.
func (l *loop) markStuck(now time.Time) {
	for c := range l.running {
		if c.stuck || now.Before(c.started.Add(l.cfg.Timeout+stuckGrace)) {
			continue
		}
		c.stuck = true
		l.cfg.Telemetry.StuckCalls.Add(1)
		l.cfg.Logger.Warn("handler call is stuck", "since", c.started, "timeout", l.cfg.Timeout,
			"deliveries", len(c.items), "first", c.items[0].ID.String())
		if l.suspect == c.items[0] {
			l.leaveGate() // it hangs, it does not kill; the others may go on
		}
	}
	stuck := 0
	for c := range l.running {
		if c.stuck {
			stuck++
		}
	}
	if stuck > 0 && stuck == len(l.running) {
		l.withdrawSuspect()
	}
	l.stuck = stuck
}
