package cli

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/spf13/cobra"

	"example.com/fanout/pkg/admin"
	"example.com/fanout/pkg/telemetry"
)

// adminFlag adds --admin, the address of a running fanout, and --token-file.
func (e *env) adminFlag(cmd *cobra.Command, value *string) {
	cmd.Flags().StringVar(value, "admin", "", "`ADDRESS` or URL of the running fanout (default admin.listen of the manifest)")
	cmd.Flags().StringVar(&e.tokenFile, "token-file", "", "show it the token in `FILE` (default FANOUT_TOKEN, or the manifest's)")
	_ = cmd.MarkFlagFilename("token-file") // the flag exists
}

// runningFanout is a client of the process that runs the groups.
type runningFanout struct {
	*admin.Client
	address string
}

// client finds the running fanout: at the address, or where the manifest says.
// The token of the manifest is shown to the manifest's own address alone.
func (e *env) client(address string) (runningFanout, error) {
	token, err := e.token()
	if err != nil {
		return runningFanout{}, err
	}
	if address == "" {
		m, err := e.manifest()
		if err != nil {
			return runningFanout{}, err
		}
		if address = m.Admin.Listen; address == "off" {
			return runningFanout{}, fail(fmt.Errorf("admin.listen is off in %s: the running fanout cannot be asked", e.config))
		}
		if token == "" {
			token = m.Admin.Token
		}
		if token == "" && m.Admin.TokenFile != "" {
			if token, err = admin.ReadToken(m.Admin.TokenFile); err != nil {
				return runningFanout{}, fail(fmt.Errorf("%w; name another one with --token-file", err))
			}
		}
	}
	return runningFanout{admin.NewClient(address).WithToken(token), address}, nil
}

// token is what the flag or the environment gives, "" for neither.
func (e *env) token() (telemetry.Secret, error) {
	if e.tokenFile == "" {
		return telemetry.Secret(e.getenv("FANOUT_TOKEN")), nil
	}
	token, err := admin.ReadToken(e.tokenFile)
	return token, fail(err)
}

// fail is fail with shorter words for the most frequent error.
func (f runningFanout) fail(err error) error {
	if errors.Is(err, syscall.ECONNREFUSED) {
		err = fmt.Errorf("no fanout runs at %s; start it with fanout run, or name its address with --admin", f.address)
	}
	return fail(err)
}
