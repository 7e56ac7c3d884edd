package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// section is a part of the list of commands.
type section struct {
	title    string
	commands []*cobra.Command
}

// arrange adds the commands to root and lets the help show them by section, and
// all flags in the order in which they were added.
func (e *env) arrange(root *cobra.Command, sections []section) {
	root.PersistentFlags().SortFlags = false
	root.Flags().SortFlags = false
	for _, s := range sections {
		for _, cmd := range s.commands {
			cmd.Flags().SortFlags = false
			root.AddCommand(cmd)
		}
	}
	last := &sections[len(sections)-1]
	root.SetHelpCommand(last.commands[len(last.commands)-1])
	root.InitDefaultCompletionCmd()
	root.InitDefaultVersionFlag()
	for _, cmd := range root.Commands() {
		if cmd.Name() == "completion" {
			cmd.Short = "Print a script that completes commands, flags and groups in a shell"
			last.commands = append(last.commands, cmd)
		}
	}
	root.SetUsageFunc(func(cmd *cobra.Command) error {
		shown := sections
		if cmd != root {
			shown = []section{{"Commands", cmd.Commands()}}
		}
		printUsage(cmd.OutOrStderr(), cmd, shown)
		return nil
	})
}

func printUsage(w io.Writer, cmd *cobra.Command, sections []section) {
	line := cmd.CommandPath()
	if cmd.HasAvailableSubCommands() {
		line += " COMMAND"
	} else if _, args, ok := strings.Cut(cmd.Use, " "); ok {
		line += " " + args
	}
	fmt.Fprintf(w, "Usage:\n  %s [flags]\n", line)
	for _, s := range sections {
		if len(s.commands) == 0 {
			continue
		}
		fmt.Fprintf(w, "\n%s:\n", s.title)
		for _, c := range s.commands {
			fmt.Fprintf(w, "  %-11s %s\n", c.Name(), c.Short)
		}
	}
	if cmd.Example != "" {
		fmt.Fprintf(w, "\nExamples:\n%s\n", cmd.Example)
	}
	printFlags(w, "Flags", cmd.LocalFlags())
	printFlags(w, "Flags of all commands", cmd.InheritedFlags())
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintf(w, "\n\"%s COMMAND --help\" tells more about a command.\n", cmd.CommandPath())
	}
}

func printFlags(w io.Writer, title string, flags *pflag.FlagSet) {
	if !flags.HasAvailableFlags() {
		return
	}
	flags.SortFlags = false
	type line struct{ left, right string }
	var lines []line
	width := 0
	flags.VisitAll(func(f *pflag.Flag) {
		value, doc := pflag.UnquoteUsage(f)
		left := "      --" + f.Name
		if f.Shorthand != "" {
			left = "  -" + f.Shorthand + ", --" + f.Name
		}
		if f.Value.Type() != "bool" {
			left += " " + value
		}
		if !slices.Contains([]string{"", "0", "0s", "false", "[]"}, f.DefValue) {
			doc += " (default " + f.DefValue + ")"
		}
		width = max(width, len(left))
		lines = append(lines, line{left, doc})
	})
	fmt.Fprintf(w, "\n%s:\n", title)
	for _, l := range lines {
		fmt.Fprintf(w, "%-*s   %s\n", width, l.left, l.right)
	}
}

func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Print the help of a command",
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			var names []string
			for _, c := range cmd.Root().Commands() {
				if len(args) == 0 && c.IsAvailableCommand() {
					names = append(names, c.Name())
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			target, _, err := cmd.Root().Find(args)
			if err != nil {
				return err
			}
			target.InitDefaultHelpFlag()
			return target.Help()
		},
	}
}

// mend says what to do about a wrong command line: cmd is the command as far as
// it was understood.
func mend(cmd *cobra.Command, args []string) string {
	if !cmd.HasParent() || cmd.Name() == "help" {
		root := cmd.Root()
		root.SuggestionsMinimumDistance = 2
		for _, arg := range args {
			if strings.HasPrefix(arg, "-") || arg == "help" {
				continue
			}
			if near := root.SuggestionsFor(arg); len(near) > 0 && near[0] != arg {
				return "did you mean " + strings.Join(near, " or ") + "?"
			}
		}
		cmd = root
	}
	return fmt.Sprintf("see %s --help", cmd.CommandPath())
}

// noArguments refuses arguments.
func noArguments(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("unexpected argument %q", args[0])
	}
	return nil
}

// oneGroup wants the name of one group.
func oneGroup(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("%s needs the name of a group", cmd.Name())
	}
	return noArguments(cmd, args[1:])
}

// groupOrNone takes the name of one group at most.
func groupOrNone(cmd *cobra.Command, args []string) error {
	return noArguments(cmd, args[min(1, len(args)):])
}
