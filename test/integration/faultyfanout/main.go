// Command faultyfanout is fanout with the handler "faulty" beside its own.
package main

import (
	"os"

	"example.com/fanout/pkg/cli"
	"example.com/fanout/pkg/sink/builtin"
	"example.com/fanout/test/integration/faulty"
)

func main() {
	r := builtin.Registry()
	r.Register("faulty", faulty.Factory())
	os.Exit(cli.Main(r))
}
