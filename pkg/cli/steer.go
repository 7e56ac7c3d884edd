package cli

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"example.com/fanout/pkg/admin"
	"example.com/fanout/pkg/telemetry"
)

func (e *env) pauseCommand() *cobra.Command {
	return e.steerCommand(admin.Pause, "Let one group take nothing new, until it is resumed",
		`Let one group of a running fanout take nothing new. What it has begun is finished
first; what it could not finish stays with this process. The group is paused until
"fanout resume", over reloads and restart signals. A restart of the process runs
it again: enabled: false in the manifest is for that.`)
}

func (e *env) resumeCommand() *cobra.Command {
	return e.steerCommand(admin.Resume, "Let a paused group go on",
		"Let a paused group of a running fanout go on where it was.")
}

func (e *env) stopCommand() *cobra.Command {
	return e.steerCommand(admin.Stop, "Stop one group, until it is started",
		`Stop one group of a running fanout. What it has begun is finished first; what it
could not finish is given back, for other processes to take. The group is down
until "fanout start" or "fanout restart", over reloads and restart signals. A
restart of the process runs it again: enabled: false in the manifest is for that.`)
}

func (e *env) startCommand() *cobra.Command {
	return e.steerCommand(admin.Start, "Let a stopped or paused group run",
		"Let a stopped or paused group of a running fanout run.")
}

// steerCommand is a verb that brings one group into a state and waits for that.
func (e *env) steerCommand(verb admin.Verb, short, long string) *cobra.Command {
	var address, output string
	cmd := &cobra.Command{
		Use:               string(verb) + " GROUP",
		Short:             short,
		Long:              long,
		Args:              oneGroup,
		ValidArgsFunction: e.completeGroup,
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := e.client(address)
			if err != nil {
				return err
			}
			return interruptible(cmd.Context(), func(ctx context.Context) error {
				g, err := client.Steer(ctx, args[0], verb, e.who())
				if err != nil {
					return client.fail(err)
				}
				if output == "json" {
					return e.json(g)
				}
				fmt.Fprintf(e.out, "%s is %s\n", g.Name, g.State)
				return failedToRun(g)
			})
		},
	}
	outputFlag(cmd, &output, "table", "json")
	e.adminFlag(cmd, &address)
	return cmd
}

// failedToRun is an error when a group that was to run has failed to.
func failedToRun(g admin.GroupStatus) error {
	if g.State != telemetry.StateBackingOff && g.State != telemetry.StateTripped {
		return nil
	}
	why := "it failed"
	if g.LastError != nil {
		why = printable(g.LastError.Error, 300)
	}
	return fail(fmt.Errorf("%s; see fanout status %s", why, g.Name))
}

// who asks, as the status shows it.
func (e *env) who() string {
	user := e.getenv("USER")
	if user == "" {
		user = fmt.Sprint("uid ", os.Getuid())
	}
	if host, err := os.Hostname(); err == nil {
		user += "@" + host
	}
	return user
}
