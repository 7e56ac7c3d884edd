// Package integration runs the built binary against real Redis servers, one
// file for each thing that has to be shown. Every test has a server, a working
// directory and a board of its own (see site), so that tests run side by side.
package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Paths of the two binaries, built once for all tests.
var (
	fanoutBinary string // as it is shipped
	faultyBinary string // with the handler "faulty" beside the built-in ones
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "fanout-bin-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	build := exec.Command("go", "build", "-o", dir+"/", "./cmd/fanout", "./test/integration/faultyfanout")
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the binaries: %v\n%s", err, out)
		return 1
	}
	fanoutBinary = filepath.Join(dir, "fanout")
	faultyBinary = filepath.Join(dir, "faultyfanout")
	return m.Run()
}
