package fanout

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"example.com/fanout/pkg/consumer"
	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/manifest"
	"example.com/fanout/pkg/retry"
	"example.com/fanout/pkg/stream"
	"example.com/fanout/pkg/supervisor"
	"example.com/fanout/pkg/telemetry"
)

// group runs one group of the manifest, incarnation after incarnation.
type group struct {
	f          *Fanout
	m          manifest.Group // as started; only consumers changes later, see want
	remote     Remote
	supervisor *supervisor.Supervisor
	telemetry  *telemetry.Group
	logger     *slog.Logger
	logs       *consumer.Logs
	failing    telemetry.Repeat // failures of incarnations
	away       telemetry.Repeat // Redis does not let the group start
	ctx        context.Context
	cancel     context.CancelCauseFunc
	done       chan struct{} // closed when serve has returned

	scaled   chan struct{} // capacity 1: want has changed
	freed    chan struct{} // capacity 1: a remnant has ended
	prebuilt handler.Handler

	mu        sync.Mutex
	want      int // consumers
	state     string
	since     time.Time
	number    int // of the incarnation
	lastErr   string
	lastErrAt time.Time
	restarted struct {
		cause string
		at    time.Time
	}
	next      time.Time // of the restart
	startErr  string    // why Redis does not let it start
	lowWater  stream.ID
	info      *stream.GroupInfo // nil: not known
	infoAt    time.Time
	consumers []*consumer.Consumer
	remnants  map[string]int // calls by the name of their consumer
}

func newGroup(f *Fanout, m manifest.Group, h handler.Handler) *group {
	logger := f.cfg.Logger.With(telemetry.KeyGroup, m.Name)
	g := &group{
		f: f, m: m, prebuilt: h,
		remote:    f.cfg.Broker.Remote(m),
		telemetry: f.cfg.Metrics.Group(m.Name, m.Stream, m.Handler.Type),
		logger:    logger,
		logs:      consumer.NewLogs(logger),
		done:      make(chan struct{}),
		scaled:    make(chan struct{}, 1),
		freed:     make(chan struct{}, 1),
		want:      m.Consumers,
		remnants:  map[string]int{},
	}
	g.failing = telemetry.Repeat{Logger: logger, Level: slog.LevelWarn, Begin: "group failed", End: "group is healthy again"}
	g.away = telemetry.Repeat{Logger: logger, Level: slog.LevelWarn, Begin: "group cannot start, redis does not let it", End: "redis lets the group start"}
	g.ctx, g.cancel = context.WithCancelCause(f.ctx)
	g.supervisor = supervisor.New(supervisor.Policy{
		Intensity: m.Restart.Intensity,
		Period:    m.Restart.Period,
		Delay:     retry.Backoff{Min: m.Restart.MinBackoff, Max: m.Restart.MaxBackoff}.Delay,
	}, g.incarnation, g.observe)
	g.setState(telemetry.StateStarting)
	return g
}

// stop asks the group to drain and end for good.
func (g *group) stop() {
	g.setState(telemetry.StateDraining)
	g.cancel(handler.ErrStopping)
}

// serve runs the group until it is stopped. It returns what could not be
// accounted for.
func (g *group) serve(context.Context) error {
	err := g.supervisor.Serve(g.ctx)
	if h := g.takePrebuilt(); h != nil {
		err = errors.Join(err, h.Close())
	}
	g.setState(telemetry.StateStopped)
	if errors.Is(err, consumer.ErrUnconfirmed) {
		return fmt.Errorf("groups.%s: %w", g.m.Name, err)
	}
	return nil
}

// adjust changes the number of consumers without a restart.
func (g *group) adjust(m manifest.Group) {
	g.mu.Lock()
	g.want = m.Consumers
	g.mu.Unlock()
	g.logger.Info("group scaled", "consumers", m.Consumers)
	select {
	case g.scaled <- struct{}{}:
	default:
	}
}

// observe follows the supervisor.
func (g *group) observe(ev supervisor.Event) {
	switch ev.State {
	case supervisor.Running:
		g.setState(telemetry.StateStarting)
		g.mu.Lock()
		g.number, g.next = ev.Incarnation, time.Time{}
		g.mu.Unlock()
		if ev.Incarnation == 1 {
			return
		}
		cause := ev.Restart
		if cause == "" {
			cause = causeOf(ev.Err)
		}
		g.noteRestart(cause)
		if ev.Restart != "" { // else the line about the failure says it
			g.logger.Info("group restarts", telemetry.KeyCause, cause, telemetry.KeyIncarnation, ev.Incarnation)
		}
	case supervisor.Waiting, supervisor.Tripped:
		state := telemetry.StateBackingOff
		if ev.State == supervisor.Tripped {
			state = telemetry.StateTripped
			g.logger.Error("group tripped", telemetry.KeyError, ev.Err, telemetry.KeyNext, time.Until(ev.Next).Round(time.Second),
				"hint", "it tries again by itself; fanout restart "+g.m.Name+" tries at once")
		}
		g.setState(state)
		g.mu.Lock()
		g.lastErr, g.lastErrAt, g.next = ev.Err.Error(), time.Now(), ev.Next
		g.mu.Unlock()
		g.failing.Fault(ev.Err)
		var p *supervisor.PanicError
		if errors.As(ev.Err, &p) {
			g.logger.Error("panic in the engine", telemetry.KeyError, p.Error(), "stack", string(p.Stack))
		}
	}
}

func (g *group) noteRestart(cause string) {
	g.telemetry.Restarted(cause)
	g.mu.Lock()
	g.restarted.cause, g.restarted.at = cause, time.Now()
	g.mu.Unlock()
}

func causeOf(err error) string {
	var p *supervisor.PanicError
	switch {
	case errors.As(err, &p):
		return telemetry.CausePanic
	case errors.Is(err, stream.ErrNoGroup):
		return telemetry.CauseGroupMissing
	}
	return telemetry.CauseFailed
}

func (g *group) setState(state string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.state == state || g.state == telemetry.StateStopped ||
		g.state == telemetry.StateDraining && state != telemetry.StateStopped && g.ctx.Err() != nil {
		return
	}
	g.state, g.since = state, time.Now()
	g.telemetry.SetState(state)
}

func (g *group) takePrebuilt() handler.Handler {
	h := g.prebuilt
	g.prebuilt = nil
	return h
}

// caughtUp returns when all that is in the stream now is settled.
func (g *group) caughtUp(ctx context.Context) error {
	const poll = 100 * time.Millisecond
	var target stream.ID
	for known := false; ; {
		info, err := g.remote.Info(ctx)
		switch {
		case err == nil && !known:
			target, known = info.LastGenerated, true
			fallthrough
		case err == nil && known:
			if !info.LowWater().Before(target) {
				return nil
			}
		}
		if !pause(ctx, poll) {
			return context.Cause(ctx)
		}
	}
}
