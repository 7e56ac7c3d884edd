package redisstream

import (
	"context"

	"example.com/fanout/pkg/stream"
)

// countLag is how many undelivered entries are counted one by one in a
// simulated server, which knows no lag.
const countLag = 5000

// Info tells how far the group is, in one consistent look. Consumers is left
// empty.
func (g *Group) Info(ctx context.Context) (stream.GroupInfo, error) {
	op := g.op("look at")
	server, err := g.client.Server(ctx)
	if err != nil {
		return stream.GroupInfo{}, err
	}
	count := 0
	if server.Simulated {
		count = countLag
	}
	v, err := g.client.runTogether(ctx, op, infoScript, g.cfg.Stream, []string{g.cfg.Stream, g.cfg.DeadLetters}, g.cfg.Group, count)
	if err != nil {
		return stream.GroupInfo{}, err
	}
	info := stream.GroupInfo{
		Stream:        g.cfg.Stream,
		Group:         g.cfg.Group,
		Length:        v.integer(),
		EntriesAdded:  v.integer(),
		LastGenerated: v.id(),
		FirstEntry:    v.id(),
		LastDelivered: v.id(),
		EntriesRead:   v.integer(),
		Pending:       v.integer(),
		OldestPending: v.id(),
		Lag:           v.integer(),
		DeadLetters:   v.integer(),
	}
	info.LagKnown = info.Lag >= 0
	info.Lag = max(0, info.Lag)
	return info, v.err
}
