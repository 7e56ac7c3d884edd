package fanout

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
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
	key        redisGroup
	remote     Remote
	supervisor *supervisor.Supervisor
	telemetry  *telemetry.Group
	logger     *slog.Logger
	logs       *consumer.Logs
	failing    telemetry.Repeat // failures of incarnations
	away       telemetry.Repeat // Redis does not let the group start
	refused    telemetry.Repeat // Redis has lost the group, which is not created again
	elsewhere  telemetry.Repeat // another host runs the group
	unsaved    telemetry.Repeat // the checkpoint cannot be stored
	blind      telemetry.Repeat // losses cannot be looked for
	ctx        context.Context
	cancel     context.CancelCauseFunc
	done       chan struct{} // closed when serve has returned

	scaled   chan struct{} // capacity 1: want has changed
	prebuilt handler.Handler

	disturbed atomic.Bool // something was found that only a whole look tells of
	rested    slumber     // of its looks

	mu        sync.Mutex
	want      int // consumers
	state     string
	since     time.Time
	changed   chan struct{} // closed, and replaced, when state has changed
	number    int           // of the incarnation
	lastErr   string
	lastErrAt time.Time
	restarted struct {
		cause string
		at    time.Time
	}
	next      time.Time     // of the restart
	startErr  string        // why Redis does not let it start
	restarts  []RestartNote // the latest
	window    window
	verdict   Verdict
	lowWater  stream.ID
	losses    []stream.Loss     // the latest, as Redis keeps them
	blindErr  string            // why they cannot be looked for; "" where they can
	epoch     string            // as opened last; "" before
	info      *stream.GroupInfo // nil: not known
	infoAt    time.Time
	present   []stream.ConsumerInfo // in Redis
	presentAt time.Time
	consumers []*consumer.Consumer
	replayer  *consumer.Consumer // of the replay stream; nil while none runs
}

func newGroup(f *Fanout, m manifest.Group, h handler.Handler) *group {
	logger := f.cfg.Logger.With(telemetry.KeyGroup, m.Name)
	g := &group{
		f: f, m: m, key: redisGroup{m.Stream, m.Group}, prebuilt: h,
		remote:    f.cfg.Broker.Remote(m),
		telemetry: f.cfg.Metrics.Group(m.Name, m.Stream, m.Handler.Type),
		logger:    logger,
		logs:      consumer.NewLogs(logger),
		done:      make(chan struct{}),
		scaled:    make(chan struct{}, 1),
		changed:   make(chan struct{}),
		rested:    slumber{stirred: make(chan struct{}, 1)},
		want:      m.Consumers,
	}
	g.failing = telemetry.Repeat{Logger: logger, Level: slog.LevelWarn, Begin: "group failed", End: "group is healthy again"}
	g.unsaved = telemetry.Repeat{Logger: logger, Level: slog.LevelWarn, Begin: "checkpoint cannot be stored", End: "checkpoint is stored again"}
	g.away = telemetry.Repeat{Logger: logger, Level: slog.LevelWarn, Begin: "group cannot start, redis does not let it", End: "redis lets the group start"}
	g.blind = telemetry.Repeat{Logger: logger, Level: slog.LevelWarn, Begin: "losses cannot be looked for", End: "losses are looked for again"}
	g.elsewhere = telemetry.Repeat{Logger: logger, Level: slog.LevelWarn, Begin: "group cannot start, another host runs it", End: "no other host runs the group"}
	g.refused = telemetry.Repeat{Logger: logger, Level: slog.LevelError, Begin: "group is missing in redis and is not created again", End: "group is there again"}
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
	g.cancel(handler.ErrStopping) // first: from then on no other state comes
	g.setState(telemetry.StateDraining)
}

// serve runs the group until it is stopped. It returns what could not be
// accounted for.
func (g *group) serve() error {
	ended, assessed := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(assessed)
		g.assess(ended)
	}()
	defer func() { close(ended); <-assessed }()
	err := g.supervisor.Serve(g.ctx)
	if h := g.takePrebuilt(); h != nil { // stopped before it began
		_ = h.Close()
	}
	g.setState(telemetry.StateStopped)
	if errors.Is(err, consumer.ErrUnconfirmed) {
		return fmt.Errorf("groups.%s: %w", g.m.Name, err)
	}
	return nil
}

// adjust takes over what needs no restart.
func (g *group) adjust(m manifest.Group) {
	g.mu.Lock()
	changed := g.want != m.Consumers
	g.want = m.Consumers
	g.mu.Unlock()
	if !changed {
		return
	}
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
		if cause == suspending {
			return
		}
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
		g.telemetry.Errors.Note(telemetry.ErrorGroup, ev.Err)
		g.f.cfg.Feed.Say(g.m.Name, telemetry.EventError, "%v", ev.Err)
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
	note := RestartNote{Cause: cause, At: g.restarted.at}
	if cause == telemetry.CauseFailed || cause == telemetry.CausePanic {
		note.Error = g.lastErr
	}
	g.restarts = append(g.restarts[max(0, len(g.restarts)-keptRestarts+1):], note)
	number := g.number
	g.mu.Unlock()
	g.f.cfg.Feed.Say(g.m.Name, telemetry.EventRestart, "restarts (%s), incarnation %d", cause, number)
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
	ending := g.ctx.Err() != nil
	if g.state == state || ending && (g.state == telemetry.StateStopped || g.state == telemetry.StateDraining && state != telemetry.StateStopped) {
		return
	}
	from := g.state
	g.state, g.since = state, time.Now()
	if from != "" {
		g.f.cfg.Feed.Say(g.m.Name, telemetry.EventState, "%s, was %s", state, from)
	}
	close(g.changed)
	g.changed = make(chan struct{})
	g.telemetry.SetState(state)
}

// watchState is the state, and what is closed when there is another one.
func (g *group) watchState() (state string, changed <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.state, g.changed
}

func (g *group) takePrebuilt() handler.Handler {
	h := g.prebuilt
	g.prebuilt = nil
	return h
}

// caughtUp returns when all that is in the stream now is settled, or gone with
// the stream, or the group is stopped.
func (g *group) caughtUp(ctx context.Context) error {
	const poll = 100 * time.Millisecond
	var target stream.ID
	for known := false; ; {
		if info, err := g.remote.Info(ctx); err == nil {
			if !known || info.LastGenerated.Before(target) {
				target, known = info.LastGenerated, true
			}
			if !info.LowWater().Before(target) {
				return nil
			}
		}
		select {
		case <-g.done:
			return nil
		default:
		}
		if !supervisor.Pause(ctx, poll) {
			return context.Cause(ctx)
		}
	}
}

// running are the consumers of the present incarnation.
func (g *group) running() []*consumer.Consumer {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.consumers
}

func (g *group) setConsumers(cs []*consumer.Consumer) {
	g.telemetry.ConsumersRunning.Set(int64(len(cs)))
	g.mu.Lock()
	defer g.mu.Unlock()
	g.consumers = cs
}

// wanted is the number of consumers that should run.
func (g *group) wanted() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.want
}

// bytesEach is how many bytes of entries one consumer of the group holds at
// most. The replay consumer counts as one. A limit of 0 is none.
func (g *group) bytesEach() int {
	n := int64(math.MaxInt64)
	for _, limit := range []int64{int64(g.m.MaxInFlight), g.f.share.Load()} {
		if limit > 0 {
			n = min(n, limit)
		}
	}
	return int(n / int64(g.wanted()+1))
}

func (g *group) setStartErr(text string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.startErr = text
}

func (g *group) setLowWater(id stream.ID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.lowWater = id
}

func (g *group) setEpoch(epoch string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.epoch = epoch
}

func (g *group) lastEpoch() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.epoch
}

func (g *group) seenLowWater() stream.ID {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.lowWater
}
