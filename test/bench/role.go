package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"example.com/fanout/test/bench/probe"
)

// roles are what the program is when it is started by itself: the clients that
// fanout is compared with, each in a process of its own, so that their
// processor time and memory are theirs alone.
var roles = map[string]func(args []string) error{
	theLimit: runClient,
	typed:    runClient,
	"bare":   runBare,
}

// role runs the program as what its first argument says, and reports whether
// that is a role.
func role(args []string) bool {
	if len(args) < 2 || roles[args[1]] == nil {
		return false
	}
	if err := roles[args[1]](args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	return true
}

// runClient reads all groups, one goroutine each, and then waits for SIGTERM,
// for a process that has ended cannot be asked what it has used.
func runClient(args []string) error {
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	addr := flags.String("redis", "", "")
	stream := flags.String("stream", "", "")
	groups := flags.String("groups", "", "")
	report := flags.String("report", "", "file for the latency; empty: a replay")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	failed := make(chan error, 1)
	var recorder *probe.Recorder
	if *report != "" {
		recorder = &probe.Recorder{}
	}
	go func() {
		if err := readGroups(args[0], *addr, *stream, strings.Split(*groups, ","), recorder); err != nil {
			failed <- err
		}
	}()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	if recorder != nil {
		return recorder.WriteFile(*report)
	}
	return nil
}

func readGroups(kind, addr, stream string, groups []string, recorder *probe.Recorder) error {
	live := recorder != nil
	var all errgroup.Group
	rdb := redis.NewClient(&redis.Options{Addr: addr, PoolSize: 2 * len(groups)})
	defer rdb.Close()
	for _, group := range groups {
		all.Go(func() error {
			if kind == typed {
				return readTyped(context.Background(), rdb, stream, group, live, recorder)
			}
			l, err := dialLine(addr)
			if err != nil {
				return err
			}
			return (&pump{line: l, stream: stream, group: group, recorder: recorder}).run(live)
		})
	}
	return all.Wait()
}
