package cli

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"example.com/fanout/pkg/app"
	"example.com/fanout/pkg/manifest"
)

func (e *env) handlersCommand() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "handlers",
		Short: "List the handler types with their keys",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			handlers := app.Handlers(e.registry)
			type listed struct {
				Type string         `json:"type"`
				Doc  string         `json:"doc"`
				Keys []manifest.Key `json:"keys"`
			}
			var all []listed
			for _, name := range handlers.Names() {
				h, _ := handlers.New(name) // it is one of Names
				all = append(all, listed{name, h.Doc, manifest.Keys(h.Config)})
			}
			if output == "json" {
				return e.json(map[string]any{"handlers": all})
			}
			for i, h := range all {
				if i > 0 {
					fmt.Fprintln(e.out)
				}
				fmt.Fprintf(e.out, "%s: %s\n", h.Type, h.Doc)
				w := tabwriter.NewWriter(e.out, 0, 4, 2, ' ', 0)
				for _, k := range h.Keys {
					fmt.Fprintf(w, "  %s\t%s\t%s\t%s\n", k.Name, k.Type, k.Default, k.Doc)
				}
				if err := w.Flush(); err != nil {
					return fail(err)
				}
			}
			return nil
		},
	}
	outputFlag(cmd, &output, "text", "json")
	return cmd
}
