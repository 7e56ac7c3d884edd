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
	v, err := g.client.run(ctx, op, infoScript, []string{g.cfg.Stream}, g.cfg.Group, count)
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
	}
	info.LagKnown = info.Lag >= 0
	info.Lag = max(0, info.Lag)
	return info, v.err
}

// Unknown as the result of Losses: some entries were lost, nobody knows how
// many.
const Unknown = -1

// Losses returns how many entries were trimmed from the stream before the group
// has read them, since the last call by any process: each loss is told once.
// The number is exact unless entries were deleted one by one, which may count
// too; while the group stands in the middle of the stream it may be a part
// whose rest is told later. [Unknown] stands for a loss that may be, in a group
// that something else has created.
func (g *Group) Losses(ctx context.Context) (int64, error) {
	return g.client.runInt(ctx, g.op("count losses of"), lossesScript, []string{g.cfg.Stream}, g.cfg.Group)
}
