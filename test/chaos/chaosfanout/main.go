// Command chaosfanout is fanout with the handler "probe" beside its own.
package main

import (
	"os"

	"example.com/fanout/pkg/cli"
	"example.com/fanout/pkg/sink/builtin"
	"example.com/fanout/test/chaos/probe"
)

func main() {
	r := builtin.Registry()
	r.Register("probe", probe.Factory())
	os.Exit(cli.Main(r))
}
