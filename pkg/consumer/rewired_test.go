package consumer_test

import (
	"context"
	"time"

	"example.com/fanout/pkg/consumer"
	"example.com/fanout/pkg/deadletter"
	"example.com/fanout/pkg/stream"
)

// rewired is a source with other calls in place of some.
type rewired struct {
	consumer.Source
	read  func(ctx context.Context, c *stream.Chunk, limit int, wait time.Duration) error
	own   func(ctx context.Context, after stream.ID, limit int) (stream.Page, error)
	claim func(ctx context.Context, after stream.ID, idle time.Duration, limit int) (stream.Page, error)
	hold  func(ctx context.Context, holds []stream.Hold) ([]stream.ID, error)
	bury  func(ctx context.Context, ref stream.ID, letter *deadletter.Letter) (stream.Burial, error)
}

func (s *rewired) Read(ctx context.Context, c *stream.Chunk, limit int, wait time.Duration) error {
	if s.read != nil {
		return s.read(ctx, c, limit, wait)
	}
	return s.Source.Read(ctx, c, limit, wait)
}

func (s *rewired) Own(ctx context.Context, after stream.ID, limit int) (stream.Page, error) {
	if s.own != nil {
		return s.own(ctx, after, limit)
	}
	return s.Source.Own(ctx, after, limit)
}

func (s *rewired) Claim(ctx context.Context, after stream.ID, idle time.Duration, limit int) (stream.Page, error) {
	if s.claim != nil {
		return s.claim(ctx, after, idle, limit)
	}
	return s.Source.Claim(ctx, after, idle, limit)
}

func (s *rewired) Hold(ctx context.Context, holds []stream.Hold) ([]stream.ID, error) {
	if s.hold != nil {
		return s.hold(ctx, holds)
	}
	return s.Source.Hold(ctx, holds)
}

func (s *rewired) Bury(ctx context.Context, ref stream.ID, letter *deadletter.Letter) (stream.Burial, error) {
	if s.bury != nil {
		return s.bury(ctx, ref, letter)
	}
	return s.Source.Bury(ctx, ref, letter)
}

// rewire puts calls of the test's own into the source of a consumer.
func rewire(change func(s *rewired)) func(*config) {
	return func(cfg *config) {
		s := &rewired{Source: cfg.Source}
		change(s)
		cfg.Source = s
	}
}
