// Package app wires everything into one process: Redis, the instance's lease,
// the groups, the admin server. It owns start, reload and stop.
package app

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"example.com/fanout/pkg/admin"
	"example.com/fanout/pkg/fanout"
	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/manifest"
	"example.com/fanout/pkg/redisstream"
	"example.com/fanout/pkg/supervisor"
	"example.com/fanout/pkg/telemetry"
)

// Config of an App.
type Config struct {
	Manifest *manifest.Manifest // already checked

	// Load reads the manifest again, for a reload; it gives all faults as one
	// error.
	Load func() (*manifest.Manifest, error)

	// Admin is where the admin server listens; Serve closes it. Nil: at
	// admin.listen of the manifest.
	Admin net.Listener

	Instance      string // name of this instance; "": the host name, with a suffix if that is taken
	UntilCaughtUp bool   // end when everything that is in the streams at the start is settled
	Version       string
	Logger        *slog.Logger
}

// App is one process. Its methods are safe for concurrent use.
type App struct {
	cfg     Config
	redis   *redisstream.Client
	fanout  *fanout.Fanout
	metrics *telemetry.Metrics
	feed    *telemetry.Feed
	ranked  *rankings
	began   time.Time
	logger  *slog.Logger

	changing sync.Mutex // held while the groups are started or reloaded

	mu       sync.Mutex         // guards what follows
	manifest *manifest.Manifest // what runs; before the start, what will
	waiting  string             // why the groups are not started yet; "" once they are
	reloaded *admin.LastReload  // nil: none since the start
	lease    *redisstream.Lease
}

// waitStart is what the groups wait for at first.
const waitStart = "starting"

// New opens what needs no network.
func New(cfg Config) (*App, error) {
	client, err := redisstream.Open(redisConfig(cfg.Manifest.Redis, cfg.Logger))
	if err != nil {
		return nil, err
	}
	a := &App{
		cfg: cfg, redis: client, metrics: telemetry.NewMetrics(cfg.Version), feed: &telemetry.Feed{}, ranked: newRankings(), began: time.Now(), logger: cfg.Logger,
		manifest: cfg.Manifest, waiting: waitStart,
	}
	a.metrics.WatchRedis(client.Pool)
	a.fanout = fanout.New(fanout.Config{
		Broker:   broker{client: client, state: newState(cfg.Manifest.State, cfg.Logger), metrics: a.metrics},
		Build:    a.build,
		Instance: a.instance,
		Metrics:  a.metrics,
		Feed:     a.feed,
		Logger:   cfg.Logger,
	})
	return a, nil
}

// build makes the handler of a group.
func (a *App) build(g manifest.Group) (handler.Handler, error) {
	config, ok := g.Handler.Config.(handler.Config)
	if !ok {
		return nil, fmt.Errorf("handler %s has no config", g.Handler.Type)
	}
	return config.New(environment(g, a.cfg.Version, a.logger.With(telemetry.KeyGroup, g.Name, telemetry.KeyHandler, g.Handler.Type)))
}

// environment is what the handler of a group gets.
func environment(g manifest.Group, version string, logger *slog.Logger) handler.Env {
	return handler.Env{Group: g.Name, Dedupe: g.Dedupe, Version: version, Logger: logger}
}

func (a *App) instance() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.lease.Name()
}

// Serve runs the process until ctx is done and everything is drained. It
// returns nil after a stop that accounts for everything, an error that wraps
// [consumer.ErrUnreturned] or [consumer.ErrUnconfirmed] after one that does
// not, and any other error when the process could not start.
//
// The admin server answers from the first moment to the last, and the lease of
// the instance name is kept until the last consumer has ended.
func (a *App) Serve(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer a.redis.Close()
	a.metrics.Reloaded(true, a.began)
	a.expect(nil, a.manifest)
	stopAdmin, err := a.serveAdmin(ctx)
	if err != nil {
		return err
	}
	defer stopAdmin()

	actors, actorCtx := errgroup.WithContext(ctx)
	engineDone := make(chan struct{})
	actors.Go(func() error {
		defer close(engineDone)
		return a.fanout.Serve(actorCtx)
	})
	actors.Go(func() error {
		a.retain(actorCtx)
		return nil
	})
	actors.Go(supervisor.Guard(func() error {
		if err := a.start(actorCtx); err != nil {
			return err
		}
		if a.cfg.UntilCaughtUp && a.fanout.CaughtUp(actorCtx) == nil && actorCtx.Err() == nil {
			a.logger.Info("caught up")
			cancel()
		}
		return a.keepLease(context.WithoutCancel(ctx), engineDone)
	}))
	return actors.Wait()
}

// start takes the instance name and starts the groups. While Redis is away it
// waits.
func (a *App) start(ctx context.Context) error {
	if err := a.acquire(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	a.changing.Lock()
	defer a.changing.Unlock()
	m, _ := a.state()
	a.announceServer(ctx, m)
	prepared, err := a.fanout.Prepare(m, false)
	if err != nil {
		return err
	}
	if err := a.fanout.Apply(ctx, prepared); err != nil {
		return nil // stopped before it began
	}
	a.setWaiting("")
	a.announceSignals(nil, m)
	if !slices.ContainsFunc(m.Groups, func(g manifest.Group) bool { return g.Enabled }) {
		a.logger.Warn("no group is enabled, nothing runs")
	}
	return nil
}

// state is the manifest that runs, and why it does not yet.
func (a *App) state() (m *manifest.Manifest, waiting string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.manifest, a.waiting
}

func (a *App) setWaiting(why string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.waiting = why
}

// Status tells how the groups are.
func (a *App) Status() []fanout.Status { return a.fanout.Status() }
