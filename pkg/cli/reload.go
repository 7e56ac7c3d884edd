package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"example.com/fanout/pkg/admin"
)

func (e *env) reloadCommand() *cobra.Command {
	var (
		address, output string
		dry             bool
	)
	cmd := &cobra.Command{
		Use:   "reload",
		Short: "Let a running fanout read its manifest again",
		Long: `Let a running fanout read its manifest again, and wait until that is done; SIGHUP
does the same without waiting. A manifest with faults changes nothing. The plan
says what becomes of each group: those to keep do not notice.

With --dry-run nothing is changed. Handlers are not built then, so that one that
cannot be built is found by the reload alone.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := e.client(address)
			if err != nil {
				return err
			}
			return interruptible(cmd.Context(), func(ctx context.Context) error {
				done, err := client.Reload(ctx, dry)
				var refused *admin.Error
				if errors.As(err, &refused) && len(refused.Faults) > 0 {
					for _, f := range refused.Faults {
						fmt.Fprintln(e.err, printable(f.String(), 2000))
					}
				}
				if err != nil {
					return client.fail(err)
				}
				if output == "json" {
					return e.json(done)
				}
				fmt.Fprintln(e.out, done.Plan)
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&dry, "dry-run", false, "say what a reload would do, and do nothing")
	outputFlag(cmd, &output, "text", "json")
	e.adminFlag(cmd, &address)
	return cmd
}
