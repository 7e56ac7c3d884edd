package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"example.com/fanout/pkg/app"
	"example.com/fanout/pkg/manifest"
	"example.com/fanout/pkg/telemetry"
)

// manifest reads the manifest for a command that needs it. Its faults go to
// standard error then. Warnings are left to fanout check.
func (e *env) manifest() (*manifest.Manifest, error) {
	m, faults := app.Load(e.config, e.registry)
	if m == nil {
		e.printFaults(e.err, faults.Errors())
		return nil, &exitError{code: exitFailure}
	}
	return m, nil
}

// printFaults prints one line a fault, and what to do at the end.
func (e *env) printFaults(w io.Writer, faults manifest.Faults) {
	for _, f := range faults {
		fmt.Fprintln(w, f)
	}
	errs := len(faults.Errors())
	switch _, err := os.Stat(e.config); {
	case errs == 0:
	case errors.Is(err, fs.ErrNotExist):
		fmt.Fprint(w, firstManifest)
	default:
		fmt.Fprintf(w, "%s has %s\n", e.config, telemetry.Plural(errs, "fault"))
	}
}

// firstManifest is what to do when there is none.
const firstManifest = `Name another file with -c, or begin with this one, which logs every entry of events_stream:

  version: 1
  groups:
    first:
      handler: log

`

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
