package fanout

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"example.com/fanout/pkg/consumer"
	"example.com/fanout/pkg/event"
	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/retry"
	"example.com/fanout/pkg/stream"
	"example.com/fanout/pkg/supervisor"
	"example.com/fanout/pkg/telemetry"
)

// leaveTimeout bounds the last look at what is pending when the process stops.
const leaveTimeout = 2 * time.Second

// redisBackoff paces tries to open a group while Redis is away.
var redisBackoff = retry.Backoff{Min: 100 * time.Millisecond, Max: 5 * time.Second}

// incarnation is one run of the group, from its handler to its last consumer.
// A group that Redis has lost is opened again within it.
func (g *group) incarnation(ctx context.Context, _ int) error {
	if g.rest(ctx) != nil || g.waitForRemnants(ctx) != nil {
		return nil // a stop or a restart came first
	}
	h := g.takePrebuilt()
	if h == nil {
		var err error
		if h, err = g.f.build(g.m); err != nil {
			return err
		}
	}
	shared := &sharedHandler{Handler: h, users: 1, closed: func(err error) {
		if err != nil {
			g.logger.Warn("closing the handler fails", telemetry.KeyError, err)
		}
	}}
	defer shared.release()

	for n := 1; ; n++ {
		began := time.Now()
		err := g.run(ctx, shared)
		if !errors.Is(err, stream.ErrNoGroup) || ctx.Err() != nil {
			return err
		}
		g.noteRestart(telemetry.CauseGroupMissing)
		g.setState(telemetry.StateStarting)
		if time.Since(began) > time.Minute {
			n = 1
		}
		if !supervisor.Pause(ctx, redisBackoff.Delay(n)) {
			return nil
		}
	}
}

// run opens the group in Redis and runs its consumers until one of them fails
// or ctx is done.
func (g *group) run(ctx context.Context, h *sharedHandler) error {
	e, err := g.newEngine(h)
	if err != nil {
		return err
	}
	if err := e.open(ctx); err != nil {
		return nil // ctx is done
	}
	all, running := errgroup.WithContext(ctx)
	e.all, e.ctx = all, running
	all.Go(supervisor.Guard(e.scale))
	all.Go(supervisor.Guard(e.replay))
	all.Go(supervisor.Guard(e.sweep))
	all.Go(supervisor.Guard(func() error { return g.watch(running) }))
	g.setState(telemetry.StateRunning)
	g.logger.Info("group runs", telemetry.KeyStream, g.m.Stream, telemetry.KeyHandler, g.m.Handler.Type, "consumers", g.wanted())
	err = all.Wait()
	g.setConsumers(nil)
	g.setInfo(nil, time.Now())
	if errors.Is(context.Cause(ctx), handler.ErrStopping) {
		e.leaveNothing(ctx)
	}
	return err
}

// leaveNothing makes claimable what the consumers did not know of when they
// stopped: the replies that named it were lost. They may have no successor.
func (e *engine) leaveNothing(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTimeout)
	defer cancel()
	err := e.freePending(ctx)
	if err == nil {
		err = e.g.lookForLosses(ctx) // of what was found to be gone nobody else tells at once
	}
	if err != nil && !errors.Is(err, stream.ErrNoGroup) {
		e.g.logger.Warn("what is still pending was not looked through, it may be claimed later", telemetry.KeyError, err)
	}
}

// open makes sure that the group is there, and that what former consumers of
// ours have left is free. It returns an error only when ctx was done before.
func (e *engine) open(ctx context.Context) error {
	g := e.g
	for n := 1; ; n++ {
		opened, err := g.remote.Ensure(ctx)
		if err == nil {
			g.note(opened)
			e.epoch = opened.Epoch
			g.setEpoch(opened.Epoch)
			err = e.adopt(ctx)
		}
		if err == nil {
			g.away.Clear()
			g.refused.Clear()
			g.elsewhere.Clear()
			g.setStartErr("")
			return nil
		}
		if ctx.Err() == nil {
			fault := &g.away
			switch {
			case errors.Is(err, stream.ErrGroupLost):
				fault = &g.refused
			case errors.Is(err, stream.ErrOtherHost):
				fault = &g.elsewhere
			}
			fault.Fault(err)
			g.telemetry.Errors.Note(telemetry.ErrorGroup, err)
			g.setStartErr(err.Error())
		}
		if !supervisor.Pause(ctx, redisBackoff.Delay(n)) {
			return context.Cause(ctx)
		}
	}
}

// note tells what opening the group has found.
func (g *group) note(o Opened) {
	if o.NewEpoch || o.Created {
		g.setLowWater(stream.ID{})
	}
	if o.Warning != nil {
		g.logger.Warn("checkpoint is not kept outside redis", telemetry.KeyError, o.Warning)
	}
	switch {
	case o.Recreated: // the loss that goes with it is told by watch
		g.logger.Info("group created again", telemetry.KeyStream, g.m.Stream, "after", o.At.String(), "epoch", o.Epoch, "note", o.Note)
	case o.Created:
		attrs := []any{telemetry.KeyStream, g.m.Stream, "after", o.At.String()}
		if o.Note != "" {
			attrs = append(attrs, "note", o.Note)
		}
		g.logger.Info("group created", attrs...)
	case o.Note != "":
		g.logger.Warn("group found", "note", o.Note)
	}
}

// engine is what an incarnation runs in Redis. Its members belong to scale's
// goroutine.
type engine struct {
	g       *group
	h       *sharedHandler
	epoch   string
	where   *event.Expr
	prefix  string // of the consumers' names
	all     *errgroup.Group
	ctx     context.Context
	members []*member
}

// member is a consumer of an engine.
type member struct {
	*consumer.Consumer
	name   string
	cancel context.CancelCauseFunc
	ended  chan struct{} // closed when it has
}

func (g *group) newEngine(h *sharedHandler) (*engine, error) {
	e := &engine{g: g, h: h, prefix: g.f.cfg.Instance() + "-"}
	if g.m.Where != "" {
		var err error
		if e.where, err = event.Compile(g.m.Where); err != nil {
			return nil, fmt.Errorf("compile where: %w", err)
		}
	}
	return e, nil
}

// scale keeps as many consumers running as are wanted.
func (e *engine) scale() error {
	for {
		for len(e.members) < e.g.wanted() {
			e.add()
		}
		for len(e.members) > e.g.wanted() {
			e.remove()
		}
		select {
		case <-e.g.scaled:
		case <-e.ctx.Done():
			return nil
		}
	}
}

// add starts one more consumer, under the lowest number that is free.
func (e *engine) add() {
	ctx, cancel := context.WithCancelCause(e.ctx)
	name := freeName(e.prefix, e.g.usedNames())
	m := &member{
		Consumer: consumer.New(e.config(name, attentive{e.g.remote.Source(name, e.epoch), &e.g.rested})),
		name:     name, cancel: cancel, ended: make(chan struct{}),
	}
	e.members = append(e.members, m)
	e.publish()
	m.Claim()
	e.all.Go(func() error {
		defer close(m.ended)
		defer cancel(nil)
		err := supervisor.Guard(func() error { return m.Serve(ctx) })()
		if errors.Is(err, consumer.ErrUnconfirmed) && e.ctx.Err() == nil && errors.Is(context.Cause(ctx), handler.ErrStopping) {
			e.g.logger.Warn("consumer removed, its entries come again", telemetry.KeyConsumer, name, telemetry.KeyError, err)
			return nil
		}
		if err != nil {
			return fmt.Errorf("consumer %s: %w", name, err)
		}
		return nil
	})
}

// remove ends the consumer that was added last, and leaves what it had to the
// others.
func (e *engine) remove() {
	last := len(e.members) - 1
	m := e.members[last]
	m.cancel(handler.ErrStopping)
	<-m.ended
	e.members = e.members[:last]
	e.publish()
	if !slices.Contains(e.g.usedNames(), m.name) {
		_ = freeAll(e.ctx, e.g.remote.Source(m.name, e.epoch)) // else they are claimed when they have been idle
	}
}

// publish shows the consumers to others.
func (e *engine) publish() {
	all := make([]*consumer.Consumer, len(e.members))
	for i, m := range e.members {
		all[i] = m.Consumer
	}
	e.g.setConsumers(all)
}

func (e *engine) config(name string, source consumer.Source) consumer.Config {
	m := e.g.m
	return consumer.Config{
		Group: m.Name, Name: name, HandlerType: m.Handler.Type,
		Source: source, Handler: e.h,
		Decoder:       event.Decoder{Field: m.Payload.Field, Format: event.Format(m.Payload.Format)},
		Where:         e.where,
		BatchSize:     m.Batch.Size,
		BatchBytes:    int(m.Batch.Bytes),
		MaxBytes:      e.g.bytesEach,
		Linger:        m.Batch.Linger.Wait(),
		Concurrency:   m.Concurrency,
		Timeout:       m.Timeout,
		Retry:         retry.Policy{Attempts: m.Retry.Attempts, Backoff: retry.Backoff{Min: m.Retry.MinBackoff, Max: m.Retry.MaxBackoff}},
		MaxDeliveries: m.MaxDeliveries,
		MinIdle:       m.Claim.MinIdle,
		DrainTimeout:  m.DrainTimeout,
		AuditInterval: m.AuditInterval,
		ReadWait:      min(2*time.Second, m.Claim.Interval), // for as long a claim waits
		Suspects:      e.g.f.suspects,
		LowWater:      e.g.seenLowWater,
		Vanished:      func([]stream.ID) { e.g.disturbed.Store(true) },
		Abandon:       func(r *consumer.Remnant) { e.g.keep(r, e.h) },
		Logger:        e.g.logger.With(telemetry.KeyConsumer, name),
		Logs:          e.g.logs,
		Telemetry:     e.g.telemetry,
	}
}

// adopt frees what is pending under names of this instance that no consumer of
// this incarnation will have: those of a former process with more consumers, or
// with abandoned calls. The instance's lease says that nobody else uses them.
func (e *engine) adopt(ctx context.Context) error {
	used := e.g.usedNames()
	for range e.g.wanted() {
		used = append(used, freeName(e.prefix, used))
	}
	return e.freeUnused(ctx, used)
}

// freePending frees all that is pending under the names of this instance, but for
// what consumers and abandoned calls still hold.
func (e *engine) freePending(ctx context.Context) error {
	err := e.freeUnused(ctx, e.g.usedNames())
	if err == nil {
		err = freeAll(ctx, e.g.remote.ReplaySource(e.g.replayName(e.prefix)))
	}
	if errors.Is(err, stream.ErrNoGroup) {
		return nil
	}
	return err
}

// freeUnused frees what is pending under names of this instance that are not
// among the used ones.
func (e *engine) freeUnused(ctx context.Context, used []string) error {
	present, err := e.g.remote.Consumers(ctx)
	if err != nil {
		return fmt.Errorf("list consumers: %w", err)
	}
	for _, c := range present {
		number, ours := strings.CutPrefix(c.Name, e.prefix)
		if _, err := strconv.Atoi(number); !ours || err != nil || c.Pending == 0 || slices.Contains(used, c.Name) {
			continue
		}
		if err := freeAll(ctx, e.g.remote.Source(c.Name, e.epoch)); err != nil {
			return fmt.Errorf("free what %s has left: %w", c.Name, err)
		}
	}
	return nil
}

// freeAll makes everything that is pending under the name of a source claimable
// at once, and closes the source.
func freeAll(ctx context.Context, source consumer.Source) (err error) {
	defer func() { err = errors.Join(err, source.Close()) }()
	for after, done := (stream.ID{}), false; !done; {
		page, err := source.Own(ctx, after, 256)
		if err != nil {
			return err
		}
		holds := make([]stream.Hold, len(page.Deliveries))
		for i, d := range page.Deliveries {
			holds[i] = stream.Hold{Ref: d.Ref, Count: stream.KeepCount, Free: true}
		}
		if len(holds) > 0 {
			if _, err := source.Hold(ctx, holds); err != nil {
				return err
			}
		}
		after, done = page.Next, page.Done
	}
	return nil
}

// sweep asks one consumer after the other to take over what others have left
// behind, and removes consumers that are dead and empty.
func (e *engine) sweep() error {
	const reapEvery, leastIdle = 10 * time.Minute, time.Hour
	reaped := time.Now()
	for n := 0; supervisor.Pause(e.ctx, e.g.m.Claim.Interval); n++ {
		consumers := e.g.running()
		if len(consumers) == 0 {
			continue
		}
		consumers[n%len(consumers)].Claim()
		if time.Since(reaped) < reapEvery {
			continue
		}
		reaped = time.Now()
		deleted, err := e.g.remote.Reap(e.ctx, max(leastIdle, 10*e.g.m.Claim.MinIdle), e.g.usedNames())
		if err == nil && len(deleted) > 0 {
			e.g.logger.Info("dead consumers removed", "consumers", deleted)
		}
	}
	return nil
}
