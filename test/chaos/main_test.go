// Package chaos runs the groups under load and under every fault that can be
// made on one machine, and then accounts for every entry.
//
// A run has rounds, each with a Redis, stores and processes of its own. A round
// is dealt its faults from a deck by the seed (schedule_test.go), does them on
// three lanes at once while an exchange publishes (faults_*_test.go), lets
// everything heal, and compares what was published with what is in the stores,
// the dead letters and the reports of losses (check_test.go). No time decides
// what is right: waits are bounded far above what a busy machine takes.
//
// CHAOS_SEED and CHAOS_ROUNDS choose the run; the same seed gives the same
// schedule, though not the same moments.
package chaos

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/redis/go-redis/v9"
)

// binary is fanout with the handler "probe".
var binary string

func TestMain(m *testing.M) { os.Exit(run(m)) }

// silence is the logger of the Redis client: that Redis is away is no news here.
type silence struct{}

// Printf does nothing.
func (silence) Printf(context.Context, string, ...any) {}

func run(m *testing.M) int {
	if code, done := inside(); done {
		return code
	}
	redis.SetLogger(silence{})
	dir, err := os.MkdirTemp("", "fanout-chaos-bin-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	build := exec.Command("go", "build", "-o", dir+"/", "./test/chaos/chaosfanout")
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the binary: %v\n%s", err, out)
		return 1
	}
	binary = filepath.Join(dir, "chaosfanout")
	return m.Run()
}
