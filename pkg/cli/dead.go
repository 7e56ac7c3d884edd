package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"example.com/fanout/pkg/app"
	"example.com/fanout/pkg/redisstream"
	"example.com/fanout/pkg/stream"
	"example.com/fanout/pkg/telemetry"
)

func (e *env) deadCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "dead",
		Short: "Look at the dead letters of a group, send them back, delete them",
		Long: `Look at the dead letters of a group, send them back, delete them. A dead letter is
an entry that the group could not handle, with the reason. It works on Redis
itself: no fanout needs to run.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("unknown command %q", args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	for _, sub := range []*cobra.Command{e.deadListCommand(), e.deadShowCommand(), e.deadReplayCommand(), e.deadPurgeCommand()} {
		sub.Flags().SortFlags = false
		sub.ValidArgsFunction = e.completeGroup
		cmd.AddCommand(sub)
	}
	return cmd
}

func (e *env) deadListCommand() *cobra.Command {
	var (
		output string
		f      letterFlags
	)
	cmd := &cobra.Command{
		Use:   "list GROUP",
		Short: "List dead letters",
		Long: `List dead letters in the order in which they were written. An entry of the
dead-letter stream that something else has written is shown as not a letter.`,
		Example: `  fanout dead list persistence
  fanout dead list persistence --since 1h --reason timeout
  fanout dead list persistence --error "no column" -o json`,
		Args: oneGroup,
		RunE: func(cmd *cobra.Command, args []string) error {
			choice, err := f.choice(nil, time.Now())
			if err != nil {
				return err
			}
			return e.withDead(cmd, args[0], func(ctx context.Context, d *app.DeadLetters) error {
				if output == "json" {
					return e.listJSON(ctx, d, choice)
				}
				return e.listTable(ctx, d, choice)
			})
		},
	}
	f.add(cmd)
	outputFlag(cmd, &output, "table", "json")
	return cmd
}

func (e *env) deadShowCommand() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:     "show GROUP ID",
		Short:   "Show one dead letter with all fields of its entry",
		Long:    "Show one dead letter with all fields of its entry. ID is the letter's own, as the\nlist shows it.",
		Example: `  fanout dead show persistence 1763856000123-0`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) < 2 {
				return fmt.Errorf("%s needs the name of a group and the ID of a letter", cmd.Name())
			}
			return noArguments(cmd, args[2:])
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			choice, err := new(letterFlags).choice(args[1:], time.Now())
			if err != nil {
				return err
			}
			ids := choice.IDs
			return e.withDead(cmd, args[0], func(ctx context.Context, d *app.DeadLetters) error {
				l, entry, err := d.Get(ctx, ids[0])
				if errors.Is(err, redisstream.ErrNoLetter) {
					err = missing(d, ids)
				}
				if err != nil {
					return fail(err)
				}
				if output == "json" {
					return e.json(app.ShowLetter(l, entry.Fields))
				}
				e.printLetter(d, l, entry)
				return nil
			})
		},
	}
	outputFlag(cmd, &output, "text", "json")
	return cmd
}

func (e *env) deadReplayCommand() *cobra.Command {
	var (
		f    letterFlags
		dry  bool
		rate float64
	)
	cmd := &cobra.Command{
		Use:   "replay GROUP [ID...]",
		Short: "Send dead letters back to the group that buried them",
		Long: `Send dead letters back to the group that buried them, and to no other: those of
the IDs, those that the flags choose, or all. The group gets them, when it runs,
with the stream and ID of the original entry. A letter stays in the list until
the group is done with it: it is gone then, or, when it has failed again,
replaced by a new one.`,
		Example: `  fanout dead replay persistence --dry-run
  fanout dead replay persistence 1763856000123-0
  fanout dead replay persistence --since 2h --reason timeout --rate 50`,
		Args: groupAndIDs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if !validRate(rate) {
				return usage("--rate %g: want a number of letters a second, or 0", rate)
			}
			choice, err := f.choice(args[1:], time.Now())
			if err != nil {
				return err
			}
			return e.withDead(cmd, args[0], func(ctx context.Context, d *app.DeadLetters) error {
				return e.replay(ctx, d, choice, rate, dry)
			})
		},
	}
	f.add(cmd)
	cmd.Flags().BoolVarP(&dry, "dry-run", "n", false, "say what would be sent back, and send nothing")
	cmd.Flags().Float64Var(&rate, "rate", 0, "send `N` letters a second; 0: as fast as Redis takes them")
	return cmd
}

func (e *env) replay(ctx context.Context, d *app.DeadLetters, choice app.Choice, rate float64, dry bool) error {
	s, choice, err := d.Survey(ctx, choice)
	if err != nil {
		return fail(err)
	}
	if dry {
		fmt.Fprintf(e.out, "%s would go back to %s\n", telemetry.Plural(s.Letters, "letter"), d.Group)
		e.printFirst(s)
	} else {
		progress := e.newProgress(s.Letters)
		sent, err := d.Replay(ctx, choice, rate, progress.update)
		progress.end()
		if err == nil || sent > 0 {
			fmt.Fprintf(e.out, "%s sent back to %s\n", telemetry.Plural(sent, "letter"), d.Group)
		}
		if err != nil {
			return fail(err)
		}
	}
	if s.Replaying > 0 {
		fmt.Fprintf(e.out, "%s on the way back already\n", telemetry.Plural(s.Replaying, "letter"))
	}
	if s.Foreign > 0 {
		fmt.Fprintf(e.out, "%s of %s left alone: not a letter\n", telemetry.Plural(s.Foreign, "entry"), d.Stream)
	}
	return fail(missing(d, s.Missing))
}

func (e *env) deadPurgeCommand() *cobra.Command {
	var (
		f   letterFlags
		yes bool
	)
	cmd := &cobra.Command{
		Use:   "purge GROUP [ID...]",
		Short: "Delete dead letters for good",
		Long: `Delete dead letters for good: those of the IDs, those that the flags choose, or
all. It asks before, on a terminal. Letters that are on their way back to the
group, and entries that are no letters, are deleted only by their IDs.`,
		Example: `  fanout dead purge persistence 1763856000123-0
  fanout dead purge persistence --until 720h --yes`,
		Args: groupAndIDs,
		RunE: func(cmd *cobra.Command, args []string) error {
			choice, err := f.choice(args[1:], time.Now())
			if err != nil {
				return err
			}
			if !yes && !e.canAsk() {
				return usage("purge deletes for good and cannot ask here: add --yes")
			}
			return e.withDead(cmd, args[0], func(ctx context.Context, d *app.DeadLetters) error {
				return e.purge(ctx, d, choice, yes)
			})
		},
	}
	f.add(cmd)
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}

func (e *env) purge(ctx context.Context, d *app.DeadLetters, choice app.Choice, yes bool) error {
	s, choice, err := d.Survey(ctx, choice)
	if err != nil {
		return fail(err)
	}
	n := s.Letters
	if len(choice.IDs) > 0 {
		n += s.Replaying + s.Foreign
	}
	if n > 0 && !yes && !e.confirm(fmt.Sprintf("delete %s of %s? type yes: ", telemetry.Plural(n, "letter"), d.Group)) {
		return fail(errors.New("nothing was deleted"))
	}
	progress := e.newProgress(n)
	deleted, err := d.Purge(ctx, choice, progress.update)
	progress.end()
	if err != nil {
		return fail(err)
	}
	fmt.Fprintf(e.out, "%s of %s deleted\n", telemetry.Plural(deleted, "letter"), d.Group)
	if len(choice.IDs) == 0 && s.Replaying > 0 {
		fmt.Fprintf(e.out, "%s on the way back to the group left alone; name the ID to delete it all the same\n", telemetry.Plural(s.Replaying, "letter"))
	}
	if len(choice.IDs) == 0 && s.Foreign > 0 {
		fmt.Fprintf(e.out, "%s of %s left alone: not a letter; name the ID to delete it all the same\n", telemetry.Plural(s.Foreign, "entry"), d.Stream)
	}
	return fail(missing(d, s.Missing))
}

// canAsk reports whether somebody can answer.
func (e *env) canAsk() bool {
	in, ok := e.in.(io.Writer) // a terminal is both
	return ok && e.terminal(in)
}

func (e *env) confirm(question string) bool {
	fmt.Fprint(e.err, question)
	answer, err := bufio.NewReader(e.in).ReadString('\n')
	if err != nil {
		fmt.Fprintln(e.err)
	}
	return strings.TrimSpace(answer) == "yes"
}

// withDead runs do with the dead letters of a group; an interrupt ends it.
func (e *env) withDead(cmd *cobra.Command, group string, do func(context.Context, *app.DeadLetters) error) error {
	m, err := e.manifest()
	if err != nil {
		return err
	}
	d, err := app.OpenDeadLetters(m, group, e.logger())
	if err != nil {
		return fail(err)
	}
	defer d.Close()
	return interruptible(cmd.Context(), func(ctx context.Context) error { return do(ctx, d) })
}

// missing is the error about IDs that are not there; nil for none.
func missing(d *app.DeadLetters, ids []stream.ID) error {
	if len(ids) == 0 {
		return nil
	}
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = id.String()
	}
	return fmt.Errorf("no dead letter %s of %s; fanout dead list %s shows those that are there", strings.Join(texts, ", "), d.Group, d.Group)
}

// groupAndIDs wants the name of one group and takes IDs after it.
func groupAndIDs(cmd *cobra.Command, args []string) error {
	return oneGroup(cmd, args[:min(1, len(args))])
}
