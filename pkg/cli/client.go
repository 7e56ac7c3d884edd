package cli

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/spf13/cobra"

	"example.com/fanout/pkg/admin"
	"example.com/fanout/pkg/app"
	"example.com/fanout/pkg/manifest"
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
		listens, err := e.adminOfManifest()
		if err != nil {
			return runningFanout{}, err
		}
		if address = listens.Listen; address == "off" {
			return runningFanout{}, fail(fmt.Errorf("admin.listen is off in %s: the running fanout cannot be asked", e.config))
		}
		if token == "" {
			token = listens.Token
		}
		if token == "" && listens.TokenFile != "" {
			if token, err = admin.ReadToken(listens.TokenFile); err != nil {
				return runningFanout{}, fail(fmt.Errorf("%w; name another one with --token-file", err))
			}
		}
	}
	return runningFanout{admin.NewClient(address).WithToken(token), address}, nil
}

// adminOfManifest is where the manifest lets the admin server listen. Faults
// elsewhere in it do not hide a process that was started before they were made.
func (e *env) adminOfManifest() (manifest.Admin, error) {
	m, faults := app.Load(e.config, e.registry)
	if m != nil {
		return m.Admin, nil
	}
	if listens, ok := app.LoadAdmin(e.config, e.registry); ok {
		fmt.Fprintf(e.err, "fanout: %s has %s now, fanout check shows them\n", e.config, telemetry.Plural(len(faults.Errors()), "fault"))
		return listens, nil
	}
	e.printFaults(e.err, faults.Errors())
	return manifest.Admin{}, fail(errors.New("where the running fanout listens cannot be read; name it with --admin ADDRESS"))
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
