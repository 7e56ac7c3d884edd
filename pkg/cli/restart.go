package cli

import (
	"fmt"

	"github.com/spf13/cobra"
)

func (e *env) restartCommand() *cobra.Command {
	var address string
	cmd := &cobra.Command{
		Use:   "restart GROUP",
		Short: "Restart one group of a running fanout; the others go on",
		Long: `Restart one group of a running fanout; the others go on. Its restart_signal does
the same. The command returns when the restart has begun.`,
		Args:              oneGroup,
		ValidArgsFunction: e.completeGroup,
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := e.client(address)
			if err != nil {
				return err
			}
			if err := client.Restart(cmd.Context(), args[0]); err != nil {
				return client.fail(err)
			}
			fmt.Fprintf(e.out, "%s restarts\n", args[0])
			return nil
		},
	}
	e.adminFlag(cmd, &address)
	return cmd
}
