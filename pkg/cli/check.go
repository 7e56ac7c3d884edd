package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"example.com/fanout/pkg/app"
	"example.com/fanout/pkg/manifest"
)

func (e *env) checkCommand() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Check the manifest, without Redis",
		Long:  "Check the manifest, without Redis. Exit code 0: it is sound, warnings aside; 1: it has faults.",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			m, faults := app.Load(e.config, e.registry)
			switch output {
			case "text":
				e.checkText(m, faults)
			case "json":
				if faults == nil {
					faults = manifest.Faults{}
				}
				if err := e.json(map[string]any{"ok": m != nil, "faults": faults}); err != nil {
					return err
				}
			}
			if m == nil {
				return &exitError{code: exitFailure}
			}
			return nil
		},
	}
	outputFlag(cmd, &output, "text", "json")
	return cmd
}

func (e *env) checkText(m *manifest.Manifest, faults manifest.Faults) {
	for _, f := range faults {
		fmt.Fprintln(e.out, f)
	}
	if m == nil {
		fmt.Fprintf(e.out, "%s: %s\n", e.config, plural(len(faults.Errors()), "fault"))
		return
	}
	var names []string
	for _, g := range m.Groups {
		name := g.Name + " (" + g.Handler.Type + ")"
		if !g.Enabled {
			name = g.Name + " (disabled)"
		}
		names = append(names, name)
	}
	fmt.Fprintf(e.out, "%s is sound: %s\n", e.config, strings.Join(names, ", "))
}

func (e *env) schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of the manifest",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			schema, err := manifest.Schema(app.Handlers(e.registry))
			if err != nil {
				return fail(err)
			}
			_, err = e.out.Write(schema)
			return fail(err)
		},
	}
}

// outputFlag adds -o; the first format is the default.
func outputFlag(cmd *cobra.Command, value *string, formats ...string) {
	*value = formats[0]
	flag := &choice{value: value, formats: formats}
	cmd.Flags().VarP(flag, "output", "o", strings.Join(formats, " or "))
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp)) // the flag exists
}

// choice is a flag with a closed set of values.
type choice struct {
	value   *string
	formats []string
}

func (c *choice) String() string { return *c.value }
func (c *choice) Type() string   { return "format" }

// Set is for pflag.
func (c *choice) Set(s string) error {
	for _, f := range c.formats {
		if s == f {
			*c.value = s
			return nil
		}
	}
	return fmt.Errorf("want %s", strings.Join(c.formats, " or "))
}

// json prints a value as indented JSON.
func (e *env) json(v any) error {
	enc := json.NewEncoder(e.out)
	enc.SetIndent("", "  ")
	return fail(enc.Encode(v))
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// lines gives the single faults of an error.
func lines(err error) []string {
	var faults manifest.Faults
	if errors.As(err, &faults) {
		var all []string
		for _, f := range faults.Errors() {
			all = append(all, f.String())
		}
		return all
	}
	return strings.Split(err.Error(), "\n")
}

// completeGroups completes the names of the manifest's groups.
func (e *env) completeGroups(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	m, _ := app.Load(e.config, e.registry)
	if m == nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, g := range m.Groups {
		names = append(names, g.Name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
