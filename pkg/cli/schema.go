package cli

import (
	"github.com/spf13/cobra"

	"example.com/fanout/pkg/app"
	"example.com/fanout/pkg/manifest"
)

func (e *env) schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of the manifest, for editors",
		Long: `Print the JSON Schema of the manifest with the handlers of this program. Editors
with a YAML language server use it when the manifest's first line is

  # yaml-language-server: $schema=./groups.schema.json`,
		Example: `  fanout schema > groups.schema.json`,
		Args:    noArguments,
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
