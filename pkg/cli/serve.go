package cli

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"syscall"
	"time"

	"example.com/fanout/pkg/manifest"
	"example.com/fanout/pkg/telemetry"
)

// process is what signals steer.
type process interface {
	Serve(ctx context.Context) error
	Reload(ctx context.Context) (manifest.Plan, error)
	RestartBySignal(number int) (group string, err error)
}

var errForced = errors.New("forced by a second signal; entries in flight stay pending and are delivered again")

// serve runs p and turns signals into what they ask for. It returns when p has
// ended, or at once when a second signal forces it.
func serve(ctx context.Context, p process, signals <-chan os.Signal, logger *slog.Logger) error {
	began := time.Now()
	asked, err := steer(ctx, p, signals, logger)
	code := exitOK
	if exit := new(exitError); errors.As(err, &exit) {
		code = exit.code
	}
	attrs := []any{"exit", code, "meaning", exitMeanings[code], "ran", time.Since(began).Round(time.Millisecond)}
	if !asked.IsZero() {
		attrs = append(attrs, telemetry.KeyDuration, time.Since(asked).Round(time.Millisecond)) // of the stop
	}
	logger.Info("stopped", attrs...)
	return err
}

// steer is serve without its last word. asked is when p was asked to stop, zero
// where it ended by itself.
func steer(ctx context.Context, p process, signals <-chan os.Signal, logger *slog.Logger) (asked time.Time, err error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()

	served := make(chan error, 1)
	go func() { served <- p.Serve(ctx) }()

	// Reloads go one after the other, beside the signals. One that waits reads
	// the newest file, so that one is enough.
	reloads := make(chan struct{}, 1)
	defer close(reloads)
	go func() {
		for range reloads {
			reload(ctx, p, logger)
		}
	}()

	for {
		select {
		case err := <-served:
			return asked, ended(err)
		case s := <-signals:
			switch s {
			case syscall.SIGTERM, os.Interrupt:
				if ctx.Err() != nil {
					if !forces(asked) {
						continue
					}
					return asked, &exitError{exitForced, errForced}
				}
				asked = time.Now()
				logger.Info("stopping", telemetry.KeySignal, s.String())
				stop()
			case syscall.SIGHUP:
				select {
				case reloads <- struct{}{}:
				default:
				}
			default:
				number := int(s.(syscall.Signal))
				if group, err := p.RestartBySignal(number); err != nil {
					logger.Warn("signal restarts nothing", telemetry.KeySignal, number, telemetry.KeyGroup, group, telemetry.KeyError, err)
				}
			}
		}
	}
}

func reload(ctx context.Context, p process, logger *slog.Logger) {
	plan, err := p.Reload(ctx)
	if ctx.Err() != nil {
		return // the process stops; what a reload would change no longer matters
	}
	if err != nil {
		for _, line := range lines(err) {
			logger.Error("reload refused, nothing has changed", telemetry.KeyError, line)
		}
		return
	}
	var attrs []any
	for _, part := range []struct {
		key   string
		names []string
	}{{"start", plan.Start}, {"stop", plan.Stop}, {"replace", plan.Replace}, {"adjust", plan.Adjust}, {"keep", plan.Keep}, {"retention", plan.Retention}} {
		if len(part.names) > 0 {
			attrs = append(attrs, part.key, part.names)
		}
	}
	logger.Info("reloaded", attrs...)
	for _, warning := range plan.Warnings {
		logger.Warn("reload is not complete", "warning", warning)
	}
}
