// Command probefanout is fanout with the handlers "probe" and "trouble" beside its
// own. It writes what was measured to the file that FANOUT_BENCH_REPORT names.
package main

import (
	"fmt"
	"os"

	"example.com/fanout/pkg/cli"
	"example.com/fanout/pkg/sink/builtin"
	"example.com/fanout/test/bench/probe"
)

func main() {
	var recorder probe.Recorder
	r := builtin.Registry()
	r.Register("probe", probe.Factory(&recorder))
	r.Register("trouble", probe.Trouble())
	code := cli.Main(r)
	if name := os.Getenv("FANOUT_BENCH_REPORT"); name != "" {
		if err := recorder.WriteFile(name); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = max(code, 1)
		}
	}
	os.Exit(code)
}
