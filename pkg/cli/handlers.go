package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"example.com/fanout/pkg/app"
	"example.com/fanout/pkg/manifest"
)

// handlerDoc is a handler type as it is listed.
type handlerDoc struct {
	Type string         `json:"type"`
	Doc  string         `json:"doc"`
	Keys []manifest.Key `json:"keys"`
}

func (e *env) handlersCommand() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "handlers",
		Short: "List the handler types with their keys",
		Args:  noArguments,
		RunE: func(*cobra.Command, []string) error {
			handlers := app.Handlers(e.registry)
			all := []handlerDoc{}
			for _, name := range handlers.Names() {
				h, _ := handlers.New(name) // it is one of Names
				all = append(all, handlerDoc{name, h.Doc, manifest.Keys(h.Config)})
			}
			if output == "json" {
				return e.json(map[string]any{"handlers": all})
			}
			e.printHandlers(all)
			return nil
		},
	}
	outputFlag(cmd, &output, "text", "json")
	return cmd
}

func (e *env) printHandlers(all []handlerDoc) {
	var c columns
	rows := make([][][]cell, len(all))
	for i, h := range all {
		for _, k := range h.Keys {
			kind, values, limited := strings.Cut(k.Type, " (")
			doc := k.Doc
			if limited {
				doc += " (" + values
			}
			switch {
			case k.Required:
				doc += "; required"
			case k.Default != "":
				doc += "; default " + k.Default
			}
			row := []cell{{text: "  " + k.Name}, {text: kind}, {text: doc}}
			c.fit(row)
			rows[i] = append(rows[i], row)
		}
	}
	for i, h := range all {
		if i > 0 {
			fmt.Fprintln(e.out)
		}
		fmt.Fprintf(e.out, "%s: %s\n", h.Type, h.Doc)
		for _, row := range rows[i] {
			fmt.Fprintln(e.out, c.line(row))
		}
	}
}
