// Package app wires everything into one process: Redis, the instance's lease,
// the groups, the admin server. It owns start, reload and stop.
package app

import (
	"context"
	"fmt"
	"log/slog"
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
	logger  *slog.Logger

	mu       sync.Mutex
	lease    *redisstream.Lease
	waiting  string // why the groups have not been started; "" once they have
	reloadMu sync.Mutex
}

// New opens what needs no network.
func New(cfg Config) (*App, error) {
	client, err := redisstream.Open(redisConfig(cfg.Manifest, cfg.Logger))
	if err != nil {
		return nil, fmt.Errorf("open redis: %w", err)
	}
	a := &App{cfg: cfg, redis: client, metrics: telemetry.NewMetrics(cfg.Version), logger: cfg.Logger, waiting: "starting"}
	a.fanout = fanout.New(fanout.Config{
		Broker:   broker{client: client, state: redisstream.NewFileStore(cfg.Manifest.State), metrics: a.metrics},
		Build:    a.build,
		Instance: a.instance,
		Metrics:  a.metrics,
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
	return config.New(handler.Env{
		Group:  g.Name,
		Dedupe: g.Dedupe,
		Logger: a.logger.With(telemetry.KeyGroup, g.Name, telemetry.KeyHandler, g.Handler.Type),
	})
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
func (a *App) Serve(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer a.redis.Close()

	// Admin answers from the first moment to the last.
	adminCtx, stopAdmin := context.WithCancel(context.WithoutCancel(ctx))
	defer stopAdmin()
	var edge errgroup.Group
	if listen := a.cfg.Manifest.Admin.Listen; listen != "off" {
		listener, err := admin.Listen(ctx, listen)
		if err != nil {
			return fmt.Errorf("%w; does another fanout run here? admin.listen in the manifest sets the address", err)
		}
		server := admin.New(admin.Config{Controller: controller{a}, Metrics: a.metrics.Handler(), Logger: a.logger})
		a.logger.Info("admin server listens", "address", listener.Addr().String())
		edge.Go(func() error { return server.Serve(adminCtx, listener) })
	}

	actors, actorCtx := errgroup.WithContext(ctx)
	engineDone := make(chan struct{})
	actors.Go(func() error {
		defer close(engineDone)
		return a.fanout.Serve(actorCtx)
	})
	actors.Go(supervisor.Guard(func() error {
		if err := a.start(actorCtx); err != nil {
			return err
		}
		if a.cfg.UntilCaughtUp {
			if err := a.fanout.CaughtUp(actorCtx); err == nil {
				a.logger.Info("caught up")
				cancel()
			}
		}
		// The lease is kept until the last consumer has ended.
		return a.keepLease(context.WithoutCancel(ctx), engineDone)
	}))
	err := actors.Wait()
	stopAdmin()
	if e := edge.Wait(); e != nil {
		a.logger.Warn("admin server ended badly", telemetry.KeyError, e)
	}
	return err
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
	prepared, err := a.fanout.Prepare(a.cfg.Manifest, false)
	if err != nil {
		return err
	}
	if err := a.fanout.Apply(ctx, prepared); err != nil {
		return nil // stopped before it began
	}
	a.metrics.Reloaded(true, time.Now())
	a.setWaiting("")
	for _, g := range a.cfg.Manifest.Groups {
		if g.Enabled && g.RestartSignal != 0 {
			a.logger.Info("restart signal", telemetry.KeyGroup, g.Name, telemetry.KeySignal, int(g.RestartSignal))
		}
	}
	return nil
}

func (a *App) setWaiting(why string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.waiting = why
}

// Reload reads the manifest again and makes the running groups those of it. A
// fault anywhere changes nothing and is returned.
func (a *App) Reload(ctx context.Context) (manifest.Plan, error) {
	a.reloadMu.Lock()
	defer a.reloadMu.Unlock()
	plan, err := a.reload(ctx)
	a.metrics.Reloaded(err == nil, time.Now())
	return plan, err
}

func (a *App) reload(ctx context.Context) (manifest.Plan, error) {
	a.mu.Lock()
	waiting := a.waiting
	a.mu.Unlock()
	if waiting != "" {
		return manifest.Plan{}, fmt.Errorf("groups are not started yet: %s", waiting)
	}
	m, err := a.cfg.Load()
	if err != nil {
		return manifest.Plan{}, err
	}
	prepared, err := a.fanout.Prepare(m, true)
	if err != nil {
		return manifest.Plan{}, err
	}
	return prepared.Plan, a.fanout.Apply(ctx, prepared)
}

// Restart restarts one group; cause is one of telemetry's Cause constants.
func (a *App) Restart(group, cause string) error { return a.fanout.Restart(group, cause) }

// GroupOfSignal returns the group that a signal restarts.
func (a *App) GroupOfSignal(number int) (string, bool) {
	for _, g := range a.fanout.Manifest().Groups {
		if g.Enabled && int(g.RestartSignal) == number {
			return g.Name, true
		}
	}
	return "", false
}

// Status tells how the groups are.
func (a *App) Status() []fanout.Status { return a.fanout.Status() }
