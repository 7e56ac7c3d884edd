package consumer_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"example.com/fanout/pkg/consumer"
	"example.com/fanout/pkg/deadletter"
	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/stream"
	"example.com/fanout/pkg/telemetry"
)

// replays is a source that gives what it has as replays: entries of another
// stream, pending under IDs of their own.
type replays struct{ consumer.Source }

const origin = "where_they_came_from"

func originals(ds []stream.Delivery) []stream.Delivery {
	for i := range ds {
		ds[i].Origin, ds[i].Stream, ds[i].ID = stream.Replayed, origin, stream.ID{Ms: 1, Seq: uint64(i)}
	}
	return ds
}

func (s replays) Read(ctx context.Context, c *stream.Chunk, max int, wait time.Duration) error {
	err := s.Source.Read(ctx, c, max, wait)
	originals(c.Deliveries)
	return err
}

func (s replays) Own(ctx context.Context, after stream.ID, max int) (stream.Page, error) {
	page, err := s.Source.Own(ctx, after, max)
	originals(page.Deliveries)
	return page, err
}

func (s replays) Claim(ctx context.Context, cursor stream.ID, minIdle time.Duration, max int) (stream.Page, error) {
	page, err := s.Source.Claim(ctx, cursor, minIdle, max)
	originals(page.Deliveries)
	return page, err
}

func asReplays(cfg *config) { cfg.Source = replays{cfg.Source} }

// Replays are handled and settled as other entries are, by the ID that they are
// pending under, and shown as what they are however they were obtained.
func TestReplaysAreShownAsSuch(t *testing.T) {
	bubble(t, func(r *rig) {
		left := r.leave("a", false, 1, 1)
		fresh := r.add(3)
		h := &recorder{answer: func(_ context.Context, b *handler.Batch) error {
			for _, d := range b.Deliveries {
				if d.Origin != stream.Replayed || d.Stream != origin || d.ID.Ms != 1 {
					t.Errorf("delivery %s of %s with origin %s", d.ID, d.Stream, d.Origin)
				}
			}
			return nil
		}}
		c := r.start("a", h, asReplays)
		pass(time.Second)
		if err := c.stop(handler.ErrStopping); err != nil {
			t.Error(err)
		}
		r.wantAcked(append(left, fresh...)...)
		if n := r.metrics.Read[stream.Replayed].Load(); n != 5 {
			t.Errorf("%d counted as replayed, want 5", n)
		}
		r.wantSettled(telemetry.Acked, 5)
		r.wantAccounted()
	})
}

// A letter names the class of its error.
func TestClassOfLetters(t *testing.T) {
	answers := map[string]func(ctx context.Context) error{
		deadletter.ClassPermanent:  func(context.Context) error { return handler.Permanent(errSink) },
		deadletter.ClassError:      func(context.Context) error { return errSink },
		string(deadletter.Panic):   func(context.Context) error { panic("no") },
		string(deadletter.Timeout): func(ctx context.Context) error { <-ctx.Done(); return context.Cause(ctx) },
	}
	for class, answer := range answers {
		t.Run(class, func(t *testing.T) {
			bubble(t, func(r *rig) {
				r.add(1)
				r.start("a", &recorder{answer: func(ctx context.Context, _ *handler.Batch) error { return answer(ctx) }})
				pass(time.Minute)
				r.wantClass(class)
			})
		})
	}
	t.Run("undecodable", func(t *testing.T) {
		bubble(t, func(r *rig) {
			r.server.AddEvent("{")
			r.start("a", &recorder{})
			pass(time.Second)
			r.wantClass(deadletter.ClassPermanent)
		})
	})
	t.Run("crash", func(t *testing.T) {
		bubble(t, func(r *rig) {
			r.leave("a", false, 5)
			r.start("a", &recorder{answer: func(context.Context, *handler.Batch) error { return errors.New("called") }})
			pass(time.Second)
			r.wantClass(string(deadletter.Crash))
		})
	})
}

func (r *rig) wantClass(class string) {
	r.Helper()
	letters := r.server.Letters(groupName)
	if len(letters) != 1 || letters[0].Class != class {
		r.Errorf("letters %+v, want one of class %q", letters, class)
	}
}
