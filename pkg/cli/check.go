package cli

import (
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
		Short: "Find every mistake in the manifest, without Redis",
		Long: `Find every mistake in the manifest, without Redis. Exit code 0: it is sound,
warnings aside; 1: it has faults.`,
		Args: noArguments,
		RunE: func(*cobra.Command, []string) error {
			m, faults := app.Load(e.config, e.registry)
			if output == "json" {
				if faults == nil {
					faults = manifest.Faults{}
				}
				if err := e.json(map[string]any{"ok": m != nil, "faults": faults}); err != nil {
					return err
				}
			} else {
				e.printFaults(e.out, faults)
				e.printSound(m)
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

// printSound says what a manifest without faults declares.
func (e *env) printSound(m *manifest.Manifest) {
	if m == nil {
		return
	}
	var names []string
	for _, g := range m.Groups {
		what := g.Handler.Type
		if !g.Enabled {
			what = "disabled"
		}
		names = append(names, fmt.Sprintf("%s (%s)", g.Name, what))
	}
	fmt.Fprintf(e.out, "%s is sound: %s\n", e.config, strings.Join(names, ", "))
}
