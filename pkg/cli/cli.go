// Package cli is the command line: one file a subcommand. It alone touches
// os/signal, the terminal and the exit code.
//
//   - What a command was asked for goes to standard output, everything else to
//     standard error.
//   - Whatever others wrote (events, webhooks, errors of servers) cannot steer
//     the terminal.
//   - Colours and progress appear on a terminal alone.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/telemetry"
)

// Exit codes.
const (
	exitOK       = 0
	exitFailure  = 1  // failure, or findings
	exitUsage    = 2  // wrong flags or arguments
	exitForced   = 3  // a second signal
	exitUnclean  = 4  // drained, but a call did not return or an ack was not confirmed
	exitManifest = 78 // bad manifest in run (EX_CONFIG)
)

// exitMeanings say what the exit code of run tells.
var exitMeanings = map[int]string{
	exitOK:      "everything accounted for",
	exitFailure: "could not start, or failed",
	exitForced:  "forced, entries in flight are delivered again",
	exitUnclean: "a handler call did not return or an acknowledgement was not confirmed, those entries are delivered again",
}

// exitError carries an exit code. A nil err has been reported already.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// env is what every command gets.
type env struct {
	registry *handler.Registry
	in       io.Reader
	out      io.Writer
	err      io.Writer
	getenv   func(string) string
	terminal func(io.Writer) bool                // whether it is one
	size     func(io.Writer) (width, height int) // of a terminal

	tokenFile string
	config    string
	logLevel  string
	logFormat string
}

// Main runs the command line over the given handlers and returns the exit
// code. A program with handlers of its own is
//
//	r := builtin.Registry()
//	r.Register("risk", risk.Factory())
//	os.Exit(cli.Main(r))
func Main(registry *handler.Registry) int {
	keepHeapFloor()
	e := &env{
		registry: registry, in: os.Stdin, out: os.Stdout, err: os.Stderr,
		getenv: os.Getenv, terminal: isTerminal, size: terminalSize,
	}
	return e.run(context.Background(), os.Args[1:])
}

func (e *env) run(ctx context.Context, args []string) int {
	root := e.root()
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	var exit *exitError
	if !errors.As(err, &exit) { // cobra's own: flags and arguments
		fmt.Fprintf(e.err, "fanout: %v; %s\n", err, mend(cmd, args))
		return exitUsage
	}
	if exit.err != nil {
		fmt.Fprintf(e.err, "fanout: %v\n", exit.err)
	}
	return exit.code
}

func (e *env) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "fanout",
		Short: "Run every consumer group of a Redis Stream from one manifest",
		Long: `fanout reads groups.yaml and runs every consumer group in it over Redis Streams.
Each group has its own position on the same stream; a group that fails, hangs
or is restarted does not touch another.`,
		Example: `  fanout demo                see it work, with nothing to install
  fanout check               find the mistakes in groups.yaml
  fanout run                 run it`,
		Version:            version(),
		SilenceUsage:       true,
		SilenceErrors:      true,
		DisableSuggestions: true, // mend makes them
		RunE: func(cmd *cobra.Command, _ []string) error {
			return cmd.Help()
		},
	}
	root.SetIn(e.in)
	root.SetOut(e.out)
	root.SetErr(e.err)
	root.SetVersionTemplate(versionLine() + "\n")
	e.logLevel, e.logFormat = "info", "text"
	flags := root.PersistentFlags()
	flags.StringVarP(&e.config, "config", "c", "groups.yaml", "read the manifest from `FILE`")
	choiceFlag(root, flags, &e.logLevel, "log-level", "", "least level of the log", "debug", "info", "warn", "error")
	choiceFlag(root, flags, &e.logFormat, "log-format", "", "form of the log", "text", "json")
	_ = root.MarkPersistentFlagFilename("config", "yaml", "yml") // the flag exists
	e.arrange(root, []section{
		{"Run and steer", []*cobra.Command{e.runCommand(), e.statusCommand(), e.eventsCommand(), e.reloadCommand(), e.restartCommand(), e.pauseCommand(), e.resumeCommand(), e.stopCommand(), e.startCommand(), e.seekCommand(), e.pendingCommand(), e.explainCommand(), e.deadCommand(), e.trimCommand(), e.orphansCommand()}},
		{"Look before you run", []*cobra.Command{e.checkCommand(), e.doctorCommand(), e.evalCommand(), e.handlersCommand(), e.schemaCommand()}},
		{"Try it out", []*cobra.Command{e.demoCommand(), e.publishCommand(), e.inboxCommand()}},
		{"More", []*cobra.Command{e.versionCommand(), helpCommand()}},
	})
	return root
}

// fail gives an error the exit code 1.
func fail(err error) error {
	if err == nil {
		return nil
	}
	return &exitError{exitFailure, err}
}

// usage gives an error the exit code 2.
func usage(format string, args ...any) error {
	return &exitError{exitUsage, fmt.Errorf(format, args...)}
}

// logger writes to standard error. The flags have been checked before.
func (e *env) logger() *slog.Logger {
	logger, err := telemetry.NewLogger(e.err, e.logLevel, e.logFormat, e.colours(e.err))
	if err != nil {
		panic(err)
	}
	return logger
}
