// Command fanout-example is fanout with a handler of its own: all that it takes
// is a type, a factory and this file. A group uses it like any other:
//
//	groups:
//	  exposure:
//	    handler:
//	      risk:
//	        limit: 5000000
package main

import (
	"os"

	"example.com/fanout/pkg/cli"
	"example.com/fanout/pkg/sink/builtin"
)

func main() {
	r := builtin.Registry()
	r.Register("risk", riskFactory())
	os.Exit(cli.Main(r))
}
