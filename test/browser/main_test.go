// Package browser opens the page in Chromium: every button is pressed and its
// effect looked for in Redis, charts are compared with the store, and the page is
// left open while trades come in. The fanout is the built binary, the Redis a
// real one.
package browser

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var (
	shots    = flag.String("shots", "", "write pictures of the page into this folder")
	patience = flag.Duration("patience", 2*time.Minute, "how long a condition may take; the machine may be busy")
	steady   = flag.Duration("steady", 20*time.Second, "how long the page is left open under load")
)

// Paths of what the tests run: fanout with the handler "faulty" beside its own,
// built once, and the browser.
var binary, chromium string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	flag.Parse()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome", "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			chromium = path
			break
		}
	}
	if chromium == "" {
		fmt.Fprintln(os.Stderr, "there is no Chromium: scripts/install-chromium.sh installs it")
		return 1
	}
	dir, err := os.MkdirTemp("", "fanout-bin-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	version := "unknown"
	if v, err := exec.Command("git", "describe", "--tags", "--always").Output(); err == nil {
		version = strings.TrimSpace(string(v))
	}
	build := exec.Command("go", "build", "-ldflags", "-X example.com/fanout/pkg/cli.Version="+version, "-o", dir+"/", "./test/integration/faultyfanout")
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the binary: %v\n%s", err, out)
		return 1
	}
	binary = filepath.Join(dir, "faultyfanout")
	return m.Run()
}
