package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"example.com/fanout/pkg/app"
)

// choice is a flag with a closed set of values.
type choice struct {
	value   *string
	choices []string
}

func (c *choice) String() string { return *c.value }

// Type is what the help shows for the value.
func (c *choice) Type() string { return strings.Join(c.choices, "|") }

// Set is for pflag.
func (c *choice) Set(s string) error {
	if !slices.Contains(c.choices, s) {
		return fmt.Errorf("want %s or %s", strings.Join(c.choices[:len(c.choices)-1], ", "), c.choices[len(c.choices)-1])
	}
	*c.value = s
	return nil
}

// choiceFlag adds a flag with a closed set of values; what value holds is the
// default.
func choiceFlag(cmd *cobra.Command, flags *pflag.FlagSet, value *string, name, short, doc string, choices ...string) {
	flags.VarP(&choice{value, choices}, name, short, doc)
	_ = cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(choices, cobra.ShellCompDirectiveNoFileComp)) // the flag exists
}

// outputFlag adds -o; the first format is the default.
func outputFlag(cmd *cobra.Command, value *string, formats ...string) {
	*value = formats[0]
	choiceFlag(cmd, cmd.Flags(), value, "output", "o", "form of the output", formats...)
}

// completeGroup completes one name of the manifest's groups.
func (e *env) completeGroup(cmd *cobra.Command, args []string, part string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return e.completeGroups(cmd, args, part)
}

// completeGroups completes the last name of a list of groups.
func (e *env) completeGroups(_ *cobra.Command, _ []string, part string) ([]string, cobra.ShellCompDirective) {
	m, _ := app.Load(e.config, e.registry)
	if m == nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	before := part[:strings.LastIndexByte(part, ',')+1]
	var names []string
	for _, g := range m.Groups {
		if !slices.Contains(strings.Split(before, ","), g.Name) {
			names = append(names, before+g.Name)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
