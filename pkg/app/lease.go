package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"example.com/fanout/pkg/redisstream"
	"example.com/fanout/pkg/retry"
	"example.com/fanout/pkg/supervisor"
	"example.com/fanout/pkg/telemetry"
)

// redisBackoff paces tries to reach Redis before the groups run.
var redisBackoff = retry.Backoff{Min: 100 * time.Millisecond, Max: 5 * time.Second}

// acquire leases an instance name, however long Redis is away. It fails when
// ctx is done, and when a name that was given is another process's.
func (a *App) acquire(ctx context.Context) error {
	config := redisstream.InstanceConfig{Name: a.cfg.Instance, Given: a.cfg.Instance != ""}
	if !config.Given {
		host, err := os.Hostname()
		if err != nil {
			return fmt.Errorf("ask for the host name: %w; name the instance with --instance", err)
		}
		config.Name = host
	}
	away := telemetry.Repeat{
		Logger: a.logger, Level: slog.LevelWarn,
		Begin: "groups wait for redis", End: "redis answers",
	}
	for n := 1; ; n++ {
		lease, err := a.redis.AcquireInstance(ctx, config)
		if err == nil {
			away.Clear()
			a.mu.Lock()
			a.lease = lease
			a.mu.Unlock()
			a.logger.Info("instance name taken", telemetry.KeyInstance, lease.Name())
			return nil
		}
		if errors.Is(err, redisstream.ErrInstanceHeld) {
			return fmt.Errorf("%w; stop that process, or name this one with another --instance", err)
		}
		if ctx.Err() == nil {
			a.metrics.RedisError(telemetry.OpLease)
			text := redisstream.Describe(err)
			a.waitFor("redis: " + text)
			away.Fault(errors.New(text))
		}
		if !supervisor.Pause(ctx, redisBackoff.Delay(n)) {
			return context.Cause(ctx)
		}
	}
}

// keepLease renews the instance name until done is closed, then gives it back.
// A lease that another process has taken means that the names of our consumers
// are no longer ours: a new one is taken and all groups begin again under it.
func (a *App) keepLease(ctx context.Context, done <-chan struct{}) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		<-done
		cancel()
	}()
	unrenewed := telemetry.Repeat{
		Logger: a.logger, Level: slog.LevelWarn,
		Begin: "instance lease cannot be renewed", End: "instance lease is renewed again",
	}
	for {
		a.mu.Lock()
		lease := a.lease
		a.mu.Unlock()
		if lease == nil {
			return nil // stopped before there was one
		}
		err := lease.Serve(ctx, func(err error) {
			if err == nil {
				unrenewed.Clear()
				return
			}
			a.metrics.RedisError(telemetry.OpLease)
			unrenewed.Fault(described(err))
		})
		if ctx.Err() != nil {
			releasing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			defer cancel()
			if err := lease.Release(releasing); err != nil {
				a.logger.Debug("instance lease is left to run out", telemetry.KeyError, err)
			}
			return nil
		}
		if !errors.Is(err, redisstream.ErrLeaseLost) {
			return err
		}
		a.logger.Error("instance name lost to another process, all groups restart under a new one", telemetry.KeyInstance, lease.Name(), telemetry.KeyError, err)
		if err := a.acquire(ctx); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		a.fanout.RestartAll(telemetry.CauseLease)
	}
}
