package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"example.com/fanout/pkg/telemetry"
)

func (e *env) eventsCommand() *cobra.Command {
	var (
		address, output string
		follow          bool
		recent          int
	)
	cmd := &cobra.Command{
		Use:   "events [GROUP]",
		Short: "Show what has happened to the groups of a running fanout",
		Long: `Show what has happened to the groups of a running fanout, or to one of them: changes
of state and verdict, restarts, sinks that went away and came back, losses, dead
letters, errors, reloads. The process keeps the newest 500.`,
		Example: `  fanout events
  fanout events --follow analytics
  fanout events -f -o json`,
		Args:              groupOrNone,
		ValidArgsFunction: e.completeGroup,
		RunE: func(cmd *cobra.Command, args []string) error {
			if !cmd.Flags().Changed("recent") && follow {
				recent = 10
			}
			if recent < 0 || recent > 500 {
				return usage("--recent %d: want a number from 0 to 500", recent)
			}
			client, err := e.client(address)
			if err != nil {
				return err
			}
			group := ""
			if len(args) == 1 {
				group = args[0]
			}
			show := e.showEvent
			if output == "json" {
				show = e.eventJSON
			}
			if follow {
				return interruptible(cmd.Context(), func(ctx context.Context) error {
					err := client.Follow(ctx, group, recent, show, e.showDropped)
					if errors.Is(err, context.Canceled) {
						return nil
					}
					if err == nil {
						err = errors.New("the running fanout has ended")
					}
					return client.fail(err)
				})
			}
			events, err := client.Events(cmd.Context(), group, recent)
			if err != nil {
				return client.fail(err)
			}
			for _, event := range events {
				if err := show(event); err != nil {
					return fail(err)
				}
			}
			return nil
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "show each event as it comes until Ctrl-C")
	cmd.Flags().IntVar(&recent, "recent", 500, "begin with so many `EVENTS` of the past (with --follow 10)")
	outputFlag(cmd, &output, "text", "json")
	e.adminFlag(cmd, &address)
	return cmd
}

// showEvent prints one line.
func (e *env) showEvent(event telemetry.Event) error {
	at := event.At.Local().Format(time.DateTime)
	if e.terminal(e.out) && time.Since(event.At) < 12*time.Hour {
		at = event.At.Local().Format(time.TimeOnly)
	}
	colour, end := "", ""
	if e.colours(e.out) {
		if colour = eventColours[event.Kind]; colour != "" {
			end = plain
		}
	}
	group := event.Group
	if group == "" {
		group = "-"
	}
	_, err := fmt.Fprintf(e.out, "%s %s %s%s%s %s\n", at, printable(group, 64), colour, printable(event.Kind, 20), end, printable(event.Text, 1000))
	return err
}

var eventColours = map[string]string{
	telemetry.EventLoss: red, telemetry.EventError: red, telemetry.EventSinkDown: red,
	telemetry.EventDeadLetters: yellow, telemetry.EventVerdict: yellow, telemetry.EventSinkUp: green,
}

func (e *env) eventJSON(event telemetry.Event) error {
	text, err := json.Marshal(event)
	if err != nil {
		return err
	}
	_, err = e.out.Write(append(text, '\n'))
	return err
}

func (e *env) showDropped(n int64) error {
	_, err := fmt.Fprintf(e.err, "%s came too fast and are not shown\n", telemetry.Plural(n, "event"))
	return err
}
