package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"syscall"

	"github.com/spf13/cobra"

	"example.com/fanout/pkg/app"
	"example.com/fanout/pkg/consumer"
	"example.com/fanout/pkg/manifest"
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
  TERM, INT       stop: read no more, finish what is in flight, release the rest;
                  a second one forces
  HUP             read the manifest again; one with faults changes nothing
  35-64, USR1, USR2
                  restart the group whose restart_signal it is

Exit codes:
  0   stopped, everything accounted for
  1   could not start
  2   wrong flags
  3   forced by a second signal
  4   stopped, but a handler call did not return or an acknowledgement was not
      confirmed; those entries are delivered again
  78  the manifest is faulty`,
		Example: `  fanout run
  fanout run -c trading.yaml --pid-file /run/fanout.pid --log-format json
  fanout run --group audit --until-caught-up    # a backfill: ends when it is done
  kill -35 $(cat /run/fanout.pid)               # restarts the group with restart_signal: 35`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			// From the first moment on: a HUP that comes early must not end the process.
			signals := make(chan os.Signal, 16)
			signal.Notify(signals, watched()...)
			defer signal.Stop(signals)
			signal.Ignore(syscall.SIGPIPE) // a log that nobody reads any more is no reason to end
			if slices.Contains(flags.groups, "") || cmd.Flags().Changed("group") && len(flags.groups) == 0 {
				return usage("--group: want the names of groups, parted by commas")
			}
			if cmd.Flags().Changed("instance") && flags.instance == "" {
				return usage("--instance: want a name")
			}
			return e.runGroups(cmd.Context(), flags, signals)
		},
	}
	cmd.Flags().StringSliceVar(&flags.groups, "group", nil, "run only these `GROUPS` (a,b) in this process")
	cmd.Flags().BoolVar(&flags.untilCaughtUp, "until-caught-up", false, "end when all that is in the streams at the start is settled")
	cmd.Flags().StringVar(&flags.instance, "instance", "", "`NAME` of this process in Redis, its alone (default the host name)")
	cmd.Flags().StringVar(&flags.pidFile, "pid-file", "", "keep the process ID in `FILE` while it runs")
	_ = cmd.RegisterFlagCompletionFunc("group", e.completeGroups) // the flag exists
	return cmd
}

// instanceName is what may begin the names of consumers.
var instanceName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)

func (e *env) runGroups(ctx context.Context, flags runFlags, signals <-chan os.Signal) error {
	if flags.instance != "" && !instanceName.MatchString(flags.instance) {
		return usage("--instance %.80q: want letters, digits, dots, dashes and underscores", flags.instance)
	}
	logger := e.logger()
	m, faults := app.Load(e.config, e.registry)
	if m == nil {
		e.printFaults(e.err, faults)
		return &exitError{exitManifest, errors.New("nothing was started")}
	}
	logWarnings(logger, faults)
	m, err := app.Only(m, flags.groups)
	if err != nil {
		return &exitError{exitUsage, fmt.Errorf("--group: %w", err)}
	}
	if flags.pidFile != "" {
		pid, err := writePID(flags.pidFile)
		if err != nil {
			return fail(err)
		}
		defer pid.remove()
	}
	a, err := app.New(app.Config{
		Manifest: m, Instance: flags.instance, UntilCaughtUp: flags.untilCaughtUp,
		Version: version(), Logger: logger,
		Load: func() (*manifest.Manifest, error) {
			m, faults := app.Load(e.config, e.registry)
			if m == nil {
				return nil, faults.Err()
			}
			logWarnings(logger, faults)
			return app.Only(m, flags.groups)
		},
	})
	if err != nil {
		return fail(err)
	}
	logger.Info("fanout starts", "version", version(), "pid", os.Getpid(), "manifest", e.config)
	return serve(ctx, notify(a, a.Condition, e.getenv, logger), signals, logger)
}

func logWarnings(logger *slog.Logger, faults manifest.Faults) {
	for _, f := range faults.Warnings() {
		logger.Warn("manifest warning", "at", fmt.Sprintf("%s:%d:%d", f.File, f.Line, f.Column), "path", f.Path, "warning", f.Message)
	}
}

// ended gives the end of the groups its exit code.
func ended(err error) error {
	if errors.Is(err, consumer.ErrUnreturned) || errors.Is(err, consumer.ErrUnconfirmed) {
		return &exitError{exitUnclean, err}
	}
	return fail(err)
}
