package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/spf13/cobra"

	"example.com/fanout/pkg/app"
	"example.com/fanout/pkg/consumer"
	"example.com/fanout/pkg/manifest"
	"example.com/fanout/pkg/telemetry"
)

type runFlags struct {
	groups        []string
	untilCaughtUp bool
	pidFile       string
	instance      string
}

func (e *env) runCommand() *cobra.Command {
	var flags runFlags
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run the groups of the manifest",
		Long: `Run the groups of the manifest until a signal says otherwise.

Signals:
  TERM, INT   stop: no new entries, finish what is in flight, release the rest; a second one forces
  HUP         read the manifest again
  35 to 64, USR1, USR2
              restart the group whose restart_signal it is

Exit codes:
  0  stopped, everything accounted for
  1  could not start
  3  forced by a second signal
  4  stopped, but a handler call did not return or an acknowledgement was not confirmed
  78 the manifest is faulty`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return e.runGroups(cmd.Context(), flags) },
	}
	cmd.Flags().StringSliceVar(&flags.groups, "group", nil, "run only these groups in this process (a,b)")
	cmd.Flags().BoolVar(&flags.untilCaughtUp, "until-caught-up", false, "end when all that is in the streams now is settled")
	cmd.Flags().StringVar(&flags.pidFile, "pid-file", "", "write the process ID to this file")
	cmd.Flags().StringVar(&flags.instance, "instance", "", "name of this instance in Redis (default: the host name)")
	_ = cmd.RegisterFlagCompletionFunc("group", e.completeGroups) // the flag exists
	return cmd
}

func (e *env) runGroups(ctx context.Context, flags runFlags) error {
	logger, err := e.logger()
	if err != nil {
		return err
	}
	m, faults := app.Load(e.config, e.registry)
	for _, f := range faults {
		fmt.Fprintln(e.err, f)
	}
	if m == nil {
		return &exitError{exitManifest, fmt.Errorf("%s has %s; nothing was started", e.config, plural(len(faults.Errors()), "fault"))}
	}
	load := func() (*manifest.Manifest, error) {
		m, faults := app.Load(e.config, e.registry)
		if m == nil {
			return nil, faults.Err()
		}
		return app.Only(m, flags.groups)
	}
	if m, err = app.Only(m, flags.groups); err != nil {
		return &exitError{exitUsage, err}
	}
	if flags.pidFile != "" {
		remove, err := writePID(flags.pidFile)
		if err != nil {
			return fail(err)
		}
		defer remove()
	}
	a, err := app.New(app.Config{
		Manifest: m, Load: load, Instance: flags.instance, UntilCaughtUp: flags.untilCaughtUp,
		Version: version(), Logger: logger,
	})
	if err != nil {
		return fail(err)
	}
	logger.Info("fanout starts", "version", version(), "pid", os.Getpid(), "manifest", e.config)
	return e.serve(ctx, a)
}

// serve runs the app and turns signals into what they ask for.
func (e *env) serve(ctx context.Context, a *app.App) error {
	logger, err := e.logger()
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, watched()...)
	defer signal.Stop(signals)

	served := make(chan error, 1)
	go func() { served <- a.Serve(ctx) }()
	reloads := make(chan struct{}, 1)
	go func() {
		for range reloads {
			plan, err := a.Reload(ctx)
			if err != nil {
				for _, line := range lines(err) {
					logger.Error("reload refused, nothing has changed", telemetry.KeyError, line)
				}
				continue
			}
			logger.Info("reloaded", "start", plan.Start, "stop", plan.Stop, "replace", plan.Replace, "adjust", plan.Adjust, "keep", plan.Keep)
			for _, warning := range plan.Warnings {
				logger.Warn("reload", "warning", warning)
			}
		}
	}()
	defer close(reloads)

	for {
		select {
		case err := <-served:
			return e.ended(err)
		case s := <-signals:
			switch s {
			case syscall.SIGTERM, os.Interrupt:
				if ctx.Err() != nil {
					return &exitError{exitForced, errors.New("forced by a second signal; entries in flight stay pending and are delivered again")}
				}
				logger.Info("stopping", telemetry.KeySignal, s.String())
				stop()
			case syscall.SIGHUP:
				select {
				case reloads <- struct{}{}:
				default: // one is waiting already, and will read the newest file
				}
			default:
				number := int(s.(syscall.Signal))
				group, ok := a.GroupOfSignal(number)
				if !ok {
					logger.Warn("no group has this restart_signal", telemetry.KeySignal, number)
					continue
				}
				if err := a.Restart(group, telemetry.CauseSignal); err != nil {
					logger.Warn("restart is not possible", telemetry.KeyGroup, group, telemetry.KeyError, err)
				}
			}
		}
	}
}

func (e *env) ended(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, consumer.ErrUnreturned), errors.Is(err, consumer.ErrUnconfirmed):
		return &exitError{exitUnclean, err}
	}
	return fail(err)
}

// writePID writes the process ID, by a rename so that a reader never sees half
// of it.
func writePID(path string) (remove func(), err error) {
	temp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return nil, fmt.Errorf("write pid file: %w", err)
	}
	_, err = temp.WriteString(strconv.Itoa(os.Getpid()) + "\n")
	err = errors.Join(err, temp.Chmod(0o644), temp.Close())
	if err == nil {
		err = os.Rename(temp.Name(), path)
	}
	if err != nil {
		_ = os.Remove(temp.Name())
		return nil, fmt.Errorf("write pid file: %w", err)
	}
	return func() { _ = os.Remove(path) }, nil
}
