package app

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"example.com/fanout/pkg/consumer"
	"example.com/fanout/pkg/deadletter"
	"example.com/fanout/pkg/fanout"
	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/manifest"
	"example.com/fanout/pkg/redisstream"
	"example.com/fanout/pkg/stream"
	"example.com/fanout/pkg/telemetry"
)

func redisConfig(r manifest.Redis, logger *slog.Logger) redisstream.Config {
	return redisstream.Config{
		URL:          r.URL,
		Username:     r.Username,
		Password:     r.Password,
		PasswordFile: r.PasswordFile,
		TLS:          redisstream.TLS(r.TLS),
		Logger:       logger,
	}
}

// broker shows Redis to the groups.
type broker struct {
	client  *redisstream.Client
	state   *state
	metrics *telemetry.Metrics
}

func (b broker) Remote(g manifest.Group) fanout.Remote {
	config := groupConfig(g)
	config.Checkpoints = b.state
	config.Dropped = b.metrics.Group(g.Name, g.Stream, g.Handler.Type).LettersDropped.Add
	return remote{b, b.client.Group(config)}
}

// groupConfig is what the manifest says of a group in Redis.
func groupConfig(g manifest.Group) redisstream.GroupConfig {
	bound, ok := g.Handler.Config.(handler.HostBound)
	return redisstream.GroupConfig{
		Stream:         g.Stream,
		Group:          g.Group,
		Start:          redisstream.Start{Latest: g.Start.Kind == manifest.StartLatest, After: g.Start.ID},
		DeadLetters:    manifest.DeadLetterStream(g),
		MaxDeadLetters: g.DeadLetter.MaxLen,
		DropOldest:     g.DeadLetter.Overflow == manifest.DropOldest,
		MinIdle:        g.Claim.MinIdle,
		KeepMissing:    g.OnMissing == manifest.KeepMissing,
		OneHost:        ok && bound.OneHost(),
		ReadsApart:     g.Batch.Linger.Apart(),

		WithoutCheckpoint: redisstream.WithoutCheckpoint(g.WithoutCheckpoint()),
	}
}

// failed counts what went wrong, and says it in the operator's words.
func (b broker) failed(op string, err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	if !errors.Is(err, stream.ErrDeadLettersFull) && !errors.Is(err, stream.ErrOtherHost) {
		b.metrics.RedisError(op)
	}
	return described(err)
}

// described gives an error of Redis in the operator's words.
func described(err error) error { return &describedError{redisstream.Describe(err), err} }

type describedError struct {
	text string
	err  error
}

func (d *describedError) Error() string { return d.text }
func (d *describedError) Unwrap() error { return d.err }

// remote is a group as the engine sees it.
type remote struct {
	broker
	*redisstream.Group
}

func (r remote) Ensure(ctx context.Context) (fanout.Opened, error) {
	o, err := r.Group.Ensure(ctx)
	return fanout.Opened{
		Epoch: o.Epoch, Created: o.Created, Recreated: o.Recreated, NewEpoch: o.NewEpoch, At: o.At, Note: o.Note, Warning: o.Warning,
	}, r.failed(telemetry.OpCreate, err)
}

func (r remote) Info(ctx context.Context) (stream.GroupInfo, error) {
	info, err := r.Group.Info(ctx)
	return info, r.failed(telemetry.OpInfo, err)
}

func (r remote) Losses(ctx context.Context, tell func(stream.Loss)) ([]stream.Loss, error) {
	recent, err := r.Group.Losses(ctx, tell)
	return recent, r.failed(telemetry.OpInfo, err)
}

func (r remote) Consumers(ctx context.Context) ([]stream.ConsumerInfo, error) {
	cs, err := r.Group.Consumers(ctx)
	return cs, r.failed(telemetry.OpInfo, err)
}

func (r remote) Checkpoint(ctx context.Context) (stream.ID, error) {
	id, err := r.Group.Checkpoint(ctx)
	return id, r.failed(telemetry.OpCheckpoint, err)
}

func (r remote) Reap(ctx context.Context, idle time.Duration, keep []string) ([]string, error) {
	deleted, err := r.Group.Reap(ctx, idle, keep)
	return deleted, r.failed(telemetry.OpReap, err)
}

func (r remote) Source(name, epoch string) consumer.Source {
	return source{r.broker, r.Group.Source(name, epoch)}
}

func (r remote) ReplaySource(name string) consumer.Source {
	return source{r.broker, r.Group.ReplaySource(name)}
}

// source is a consumer's view of a group, with its failures counted.
type source struct {
	broker
	consumer.Source
}

// Connection tells what the consumer reads over, where it has a connection of
// its own.
func (s source) Connection() consumer.Connection {
	own, ok := s.Source.(interface{ Connection() (int64, string) })
	if !ok {
		return consumer.Connection{}
	}
	id, addr := own.Connection()
	return consumer.Connection{ID: id, Addr: addr}
}

func (s source) Read(ctx context.Context, c *stream.Chunk, max int, wait time.Duration) error {
	return s.failed(telemetry.OpRead, s.Source.Read(ctx, c, max, wait))
}

func (s source) Rest(ctx context.Context) ([]stream.ID, error) {
	refs, err := s.Source.Rest(ctx)
	return refs, s.failed(telemetry.OpRead, err)
}

func (s source) Own(ctx context.Context, after stream.ID, max int) (stream.Page, error) {
	page, err := s.Source.Own(ctx, after, max)
	return page, s.failed(telemetry.OpOwn, err)
}

func (s source) Claim(ctx context.Context, cursor stream.ID, minIdle time.Duration, max int) (stream.Page, error) {
	page, err := s.Source.Claim(ctx, cursor, minIdle, max)
	return page, s.failed(telemetry.OpClaim, err)
}

func (s source) Ack(ctx context.Context, probes, refs []stream.ID) (int, error) {
	n, err := s.Source.Ack(ctx, probes, refs)
	return n, s.failed(telemetry.OpAck, err)
}

func (s source) Hold(ctx context.Context, holds []stream.Hold) ([]stream.ID, error) {
	lost, err := s.Source.Hold(ctx, holds)
	return lost, s.failed(telemetry.OpHold, err)
}

func (s source) Bury(ctx context.Context, ref stream.ID, letter *deadletter.Letter) (stream.Burial, error) {
	result, err := s.Source.Bury(ctx, ref, letter)
	return result, s.failed(telemetry.OpBury, err)
}
