package fanout

import (
	"context"
	"time"

	"example.com/fanout/pkg/consumer"
	"example.com/fanout/pkg/manifest"
	"example.com/fanout/pkg/stream"
)

// Broker gives access to consumer groups in Redis.
type Broker interface {
	// Remote returns the Redis side of a group. It does no I/O.
	Remote(g manifest.Group) Remote
}

// Remote is the Redis side of one group. Its methods are safe for concurrent
// use and fail for as long as Redis is away.
type Remote interface {
	// Ensure creates the group where it is missing: at its start when it is
	// new, at its checkpoint when Redis has lost it.
	Ensure(ctx context.Context) (Opened, error)

	// Source returns the view of one consumer, without I/O. Deliveries carry epoch.
	Source(consumer, epoch string) consumer.Source

	// ReplaySource returns the view of one consumer on what is replayed to the
	// group, without I/O. It never says that the group is missing.
	ReplaySource(consumer string) consumer.Source

	// Info tells how far the group is.
	Info(ctx context.Context) (stream.GroupInfo, error)

	// Losses tells how many entries Redis has trimmed before the group had read
	// them, since it was last asked by any process: each loss is told once. A
	// negative number is a loss that may be, of unknown size.
	Losses(ctx context.Context) (int64, error)

	// Consumers lists the group's consumers in Redis, those of other processes
	// included.
	Consumers(ctx context.Context) ([]stream.ConsumerInfo, error)

	// Checkpoint stores the group's low-water mark and returns it.
	Checkpoint(ctx context.Context) (stream.ID, error)

	// Reap deletes consumers that have nothing pending and have been idle for
	// that long, except those named in keep.
	Reap(ctx context.Context, idle time.Duration, keep []string) (deleted []string, err error)
}

// Opened is what Ensure found or did.
type Opened struct {
	Epoch     string    // of the stream
	Created   bool      // the group was missing and was created
	Recreated bool      // it had existed before: Redis had lost it
	NewEpoch  bool      // the stream is another one than before
	At        stream.ID // where a created group begins: after this ID
	Note      string    // what happened and what it means, for the log; empty when nothing did
	Warning   error     // a fault that did not hinder
}
