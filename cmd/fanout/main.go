// Command fanout runs every consumer group of groups.yaml over Redis Streams.
package main

import (
	"os"

	"example.com/fanout/pkg/cli"
	"example.com/fanout/pkg/sink/builtin"
)

func main() { os.Exit(cli.Main(builtin.Registry())) }
