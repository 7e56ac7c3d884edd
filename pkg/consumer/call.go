package consumer

import (
	"context"
	"errors"
	"slices"
	"time"

	"example.com/fanout/pkg/deadletter"
	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/stream"
	"example.com/fanout/pkg/telemetry"
)

// startCalls runs what can be run: one call a slot. While the sink is down one
// call at a time probes it, when its time has come.
func (l *loop) startCalls(now time.Time) {
	for !l.stopping && !l.wary {
		free := l.cfg.Concurrency - len(l.running) - len(l.lifts)
		if l.front.at == raising {
			free-- // kept for the suspect
		}
		if free <= 0 {
			return
		}
		if l.sink.down && (len(l.running)+len(l.lifts) > 0 || now.Before(l.sink.next)) {
			return
		}
		c := l.nextCall(now)
		if c == nil {
			return
		}
		if !l.lift(c) {
			l.start(c, now)
		}
	}
}

// nextCall takes the suspect whose turn it is, or a composed call, or composes
// one of what is fresh.
func (l *loop) nextCall(now time.Time) *call {
	if l.front.at == due {
		l.front.at = called
		return &call{items: []*item{l.front.it}}
	}
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
	if !full && l.cfg.Linger > 0 && now.Before(l.fresh[0].arrived.Add(l.cfg.Linger)) && l.mayGrow() {
		return nil
	}
	c := &call{items: l.fresh[:n:n]}
	l.fresh = l.fresh[n:]
	return c
}

// mayGrow reports whether more entries can come to what is fresh: there is room
// for them, or what is handled or acknowledged will make some.
func (l *loop) mayGrow() bool {
	s := &l.settle
	return len(l.running) > 0 || s.busy || len(s.acks) > 0 ||
		l.held+l.read.decoding < l.capacity() && l.heldBytes+l.read.decodingBytes < l.cfg.budget()
}

// start runs a call in a goroutine of its own.
func (l *loop) start(c *call, now time.Time) {
	t := l.cfg.Telemetry
	batch := l.batch()
	batch.Deliveries = slices.Grow(batch.Deliveries, len(c.items))
	batch.LowWater = l.cfg.LowWater()
	c.batch = batch
	retries := 0
	for _, it := range c.items {
		batch.Deliveries = append(batch.Deliveries, handler.Delivery{Delivery: it.Delivery, Event: it.event, Attempt: it.had().attempts + 1})
		if it.called {
			retries++
		}
		it.called = true
	}
	c.started, c.stuck = now, false
	l.running[c] = struct{}{}
	t.Retries.Add(int64(retries))
	t.BatchEntries.Observe(float64(len(c.items)))
	if first := c.items[0].ID; first.Ms > 0 {
		t.EntryAge.ObserveN(max(0, now.Sub(first.Time()).Seconds()), len(c.items))
	}

	ctx, cancel := context.WithTimeoutCause(l.callCtx, l.cfg.Timeout, handler.ErrTimeout)
	l.launches = append(l.launches, func() {
		a := exited
		defer func() { // runtime.Goexit comes by here, too
			a.cause = context.Cause(ctx)
			cancel()
			a.took = time.Since(now)
			l.finish(c, a)
		}()
		a = ask(ctx, l.cfg.Handler, batch)
	})
}

// launch runs the calls that a turn has started. The goroutine that is started
// last runs first: a handler waits for no command to be sent.
func (l *loop) launch() {
	for i, f := range l.launches {
		go f()
		l.launches[i] = nil
	}
	l.launches = l.launches[:0]
}

// batch returns an empty batch: handlers do not keep them, so they are used
// again.
func (l *loop) batch() *handler.Batch {
	n := len(l.batches)
	if n == 0 {
		return &handler.Batch{Group: l.cfg.Group}
	}
	b := l.batches[n-1]
	l.batches = l.batches[:n-1]
	return b
}

// returned passes the verdict on a call that has come back.
func (l *loop) returned(c *call, a answer) {
	now := time.Now()
	t := l.cfg.Telemetry
	delete(l.running, c)
	clear(c.batch.Deliveries)
	c.batch.Deliveries = c.batch.Deliveries[:0]
	l.batches, c.batch = append(l.batches, c.batch), nil
	if c.stuck {
		l.stuck--
		t.StuckCalls.Add(-1)
		l.cfg.Logger.Info("stuck handler call returned", "took", a.took)
	}
	t.HandleDuration.Observe(a.took.Seconds())
	if l.front.it == c.items[0] {
		l.leaveGate()
	}
	l.c.mu.Lock()
	l.c.status.LastActivity = now
	l.c.mu.Unlock()

	if a.err == nil {
		t.LastSuccess.Set(now)
		l.doubt = doubt{}
		l.sinkUp()
		l.ack(c.started.Add(a.took), c.items...)
		return
	}
	if errors.Is(a.cause, handler.ErrStopping) {
		l.afterStop(c, a)
		return
	}
	l.count(a)
	if a.mark != handler.MarkUnavailable {
		l.noteFailure(a.err, now)
		if !a.timedOut() {
			l.sinkUp() // it answered
		}
	}
	switch {
	case a.named != nil:
		if len(a.named) < len(c.items) {
			l.doubt = doubt{} // something got through
		}
		for i, it := range c.items {
			if err, failed := a.named[i]; failed {
				l.failOne(it, err, a.timedOut(), now)
			} else {
				l.ack(now, it)
			}
		}
	case a.mark == handler.MarkUnavailable:
		l.sinkDown(a.err, now)
		l.lower(c.items...)
		l.again(c)
	case a.mark == handler.MarkPermanent, len(c.items) == 1:
		for _, it := range c.items {
			l.failOne(it, a.err, a.timedOut(), now)
		}
	default:
		l.split(c, a, now)
	}
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
		t := it.troubled()
		t.holds++
		l.noteDoubt(err, now)
		l.lower(it)
		l.retry(it, now.Add(l.cfg.Retry.DelayAfter(t.holds, asked)))
		return
	}
	it.fail(now)
	if l.cfg.Retry.Spent(it.had().attempts) {
		l.bury(it, stageOf(err, timedOut), err)
		return
	}
	l.retry(it, now.Add(l.cfg.Retry.DelayAfter(it.had().attempts, asked)))
}

// retry puts one delivery off.
func (l *loop) retry(it *item, at time.Time) {
	if l.stopping {
		l.release(it)
		return
	}
	l.wait(at, l.keep(it))
}

// again holds a whole call until the sink is back.
func (l *loop) again(c *call) {
	c.items = l.dropLostOf(c.items)
	switch {
	case len(c.items) == 0:
	case l.stopping:
		l.release(c.items...)
	case c.items[0].suspect:
		l.suspects = append(l.suspects, c.items[0])
	default:
		l.ready = append(l.ready, c)
	}
}

// split halves a call that failed without naming anything: what is at fault
// comes to stand alone after a few rounds, and no attempt is counted before.
func (l *loop) split(c *call, a answer, now time.Time) {
	if a.timedOut() {
		for _, it := range c.items {
			it.undo = stream.KeepCount
		}
	}
	if l.stopping {
		l.release(c.items...)
		return
	}
	if c.items = l.dropLostOf(c.items); len(c.items) < 2 {
		l.again(c)
		return
	}
	half := len(c.items) / 2
	parts := []*call{{items: c.items[:half:half]}, {items: c.items[half:]}}
	if asked := handler.RetryAfterOf(a.err); asked > 0 {
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
func (l *loop) afterStop(c *call, a answer) {
	for i, it := range c.items {
		if _, failed := a.named[i]; a.named != nil && !failed {
			l.ack(time.Now(), it)
		} else {
			l.release(it)
		}
	}
}

// count counts a failed call.
func (l *loop) count(a answer) {
	var p *PanicError
	reason := telemetry.ReasonError
	switch {
	case errors.As(a.err, &p):
		reason = telemetry.ReasonPanic
		l.cfg.Logger.Debug("handler panicked", telemetry.KeyError, p.Error(), "stack", string(p.Stack))
	case a.mark == handler.MarkUnavailable:
		reason = telemetry.ReasonUnavailable
	case a.timedOut():
		reason = telemetry.ReasonTimeout
	case a.mark == handler.MarkPermanent:
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
		*s = sinkState{down: true, since: now, next: now}
	}
	s.err = err
	l.cfg.Logs.sink.Fault(err)
	l.cfg.Telemetry.Errors.Note(telemetry.ErrorSink, err)
	asked := handler.RetryAfterOf(err)
	if !now.Before(s.next) {
		s.failures++
		s.next = now.Add(l.cfg.Retry.DelayAfter(s.failures, asked))
	} else if at := now.Add(min(asked, l.cfg.Retry.Max)); at.After(s.next) {
		s.next = at
	}
	l.withdrawSuspect()
}

// forgetSink ends the wait for a sink when nothing is held any more that could
// probe it: what comes next will.
func (l *loop) forgetSink(now time.Time) {
	if l.sink.down && l.held == 0 && !now.Before(l.sink.next) {
		l.sink = sinkState{}
	}
}

func (l *loop) sinkUp() {
	l.cfg.Logs.sink.Clear() // it may have been down for a former incarnation
	if l.sink.down {
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
		l.stuck++
		l.cfg.Telemetry.StuckCalls.Add(1)
		l.cfg.Logger.Warn("handler call is stuck", "since", c.started, "timeout", l.cfg.Timeout,
			"deliveries", len(c.items), "first", c.items[0].ID.String())
		if l.front.it == c.items[0] {
			l.leaveGate() // it hangs, it does not kill; the others may go on
		}
	}
	if l.stuck >= l.cfg.Concurrency {
		l.withdrawSuspect()
	}
}
