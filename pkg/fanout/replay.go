package fanout

import (
	"fmt"
	"slices"
	"strconv"

	"example.com/fanout/pkg/consumer"
	"example.com/fanout/pkg/stream"
	"example.com/fanout/pkg/supervisor"
	"example.com/fanout/pkg/telemetry"
)

// replay runs the consumer of what is replayed to the group: dead letters that
// were sent back to it alone. It is one more than those that the manifest asks
// for and works as they do, but nobody waits for it to catch up.
func (e *engine) replay() error {
	name := e.g.replayName(e.prefix)
	config := e.config(name, e.g.remote.ReplaySource(name))
	config.Vanished = func(ids []stream.ID) {
		e.g.logger.Warn("replays vanished, their dead letters stay", telemetry.KeyEntries, len(ids))
	}
	c := consumer.New(config)
	e.g.setReplayer(c)
	defer e.g.setReplayer(nil)
	e.all.Go(supervisor.Guard(func() error {
		for {
			c.Claim()
			if !supervisor.Pause(e.ctx, e.g.m.Claim.Interval) {
				return nil
			}
		}
	}))
	if err := supervisor.Guard(func() error { return c.Serve(e.ctx) })(); err != nil {
		return fmt.Errorf("consumer %s: %w", name, err)
	}
	return nil
}

// replayName is the name of the replay consumer, another one while a remnant
// has it. Its entries are in a stream of their own, so that no other consumer
// adopts them.
func (g *group) replayName(prefix string) string {
	name := prefix + "replay"
	taken := g.f.remnants.names(g.key)
	for n := 1; slices.Contains(taken, name); n++ {
		name = prefix + "replay-" + strconv.Itoa(n)
	}
	return name
}

func (g *group) setReplayer(c *consumer.Consumer) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.replayer = c
}

// everyConsumer is all that runs of an incarnation, the replay consumer last;
// mu is held.
func (g *group) everyConsumer() []*consumer.Consumer {
	if g.replayer == nil {
		return g.consumers
	}
	return append(g.consumers[:len(g.consumers):len(g.consumers)], g.replayer)
}
