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

	// Losses looks for entries that Redis has lost, and calls tell for each loss
	// that no process has told of yet, what its sources have found to have vanished
	// among them. It returns the latest ones, oldest first.
	Losses(ctx context.Context, tell func(stream.Loss)) ([]stream.Loss, error)

	// Consumers lists the group's consumers in Redis, those of other processes
	// included.
	Consumers(ctx context.Context) ([]stream.ConsumerInfo, error)

	// Checkpoint stores the group's low-water mark and returns it. It is called
	// once a second; [stream.ErrOtherHost] ends the incarnation.
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
