// Package cli is the command line: one file a subcommand. It alone touches
// os/signal, the terminal and the exit code.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"

	"github.com/spf13/cobra"
	"golang.org/x/term"

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

// Version is set by the linker; otherwise the module's version is shown.
var Version = ""

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
	out      io.Writer
	err      io.Writer

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
	e := &env{registry: registry, out: os.Stdout, err: os.Stderr}
	return e.run(context.Background(), os.Args[1:])
}

func (e *env) run(ctx context.Context, args []string) int {
	root := e.root()
	root.SetArgs(args)
	root.SetOut(e.out)
	root.SetErr(e.err)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	var exit *exitError
	if !errors.As(err, &exit) { // cobra's own: flags and arguments
		fmt.Fprintf(e.err, "fanout: %v\n", err)
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
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return cmd.Help()
		},
	}
	flags := root.PersistentFlags()
	flags.StringVarP(&e.config, "config", "c", "groups.yaml", "manifest to read")
	flags.StringVar(&e.logLevel, "log-level", "info", "debug, info, warn or error")
	flags.StringVar(&e.logFormat, "log-format", "text", "text or json")
	_ = root.MarkPersistentFlagFilename("config", "yaml", "yml") // the flag exists
	root.AddCommand(
		e.runCommand(), e.checkCommand(), e.evalCommand(), e.schemaCommand(), e.handlersCommand(),
		e.statusCommand(), e.restartCommand(),
		e.publishCommand(), e.inboxCommand(), e.demoCommand(),
		e.versionCommand(),
	)
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

// logger writes to standard error.
func (e *env) logger() (*slog.Logger, error) {
	logger, err := telemetry.NewLogger(e.err, e.logLevel, e.logFormat, isTerminal(e.err))
	if err != nil {
		return nil, usage("%w", err)
	}
	return logger, nil
}

// isTerminal reports whether w is a terminal on which colours are welcome.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

func version() string {
	if Version != "" {
		return Version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "dev"
}

func (e *env) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(e.out, "fanout", version())
			return fail(err)
		},
	}
}
