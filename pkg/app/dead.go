package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"example.com/fanout/pkg/deadletter"
	"example.com/fanout/pkg/manifest"
	"example.com/fanout/pkg/redisstream"
	"example.com/fanout/pkg/stream"
	"example.com/fanout/pkg/supervisor"
)

// DeadLetters works with the dead letters of one group, whether it runs or not.
type DeadLetters struct {
	Group  string // as the manifest names it
	Stream string // where the letters are

	client *redisstream.Client
	group  *redisstream.Group
}

// OpenDeadLetters opens the dead letters of a group of the manifest; it does
// not connect yet.
func OpenDeadLetters(m *manifest.Manifest, group string, logger *slog.Logger) (*DeadLetters, error) {
	only, err := Only(m, []string{group})
	if err != nil {
		return nil, err
	}
	client, err := redisstream.Open(redisConfig(m.Redis, logger))
	if err != nil {
		return nil, err
	}
	return deadLetters(client, only.Groups[0]), nil
}

func deadLetters(client *redisstream.Client, g manifest.Group) *DeadLetters {
	config := groupConfig(g)
	return &DeadLetters{Group: g.Name, Stream: config.DeadLetters, client: client, group: client.Group(config)}
}

// Close closes the connections.
func (d *DeadLetters) Close() error { return d.client.Close() }

// Choice says which letters are meant: those of these IDs, or without any those
// of the selection.
type Choice struct {
	IDs []stream.ID
	deadletter.Selection
}

const letterPage = 500

// Each visits the letters that are meant, in order, until visit returns an
// error. They are read page by page. What is no letter is visited too: entries
// that something else has written, unless the selection asks for something that
// only letters have, and IDs that are not there, whose Err is
// [redisstream.ErrNoLetter].
func (d *DeadLetters) Each(ctx context.Context, c Choice, visit func(redisstream.Letter) error) error {
	for _, id := range c.IDs {
		page, _, err := d.group.Letters(ctx, id, id, 1)
		if err != nil {
			return described(err)
		}
		if len(page) == 0 {
			page = []redisstream.Letter{{ID: id, Err: redisstream.ErrNoLetter}}
		}
		if err := visit(page[0]); err != nil {
			return err
		}
	}
	if len(c.IDs) > 0 {
		return nil
	}
	for from, done := c.From, false; !done; {
		page, last, err := d.group.Letters(ctx, from, c.Last(), letterPage)
		if err != nil {
			return described(err)
		}
		for _, l := range page {
			if l.Err == nil && !c.Has(l.ID, l.Head.Letter) || l.Err != nil && !c.All() {
				continue
			}
			if err := visit(l); err != nil {
				return err
			}
		}
		if done = last || len(page) == 0; !done {
			from = page[len(page)-1].ID.Next()
			done = c.Last().Before(from)
		}
	}
	return nil
}

// Get returns one entry of the dead letters with all of its fields. An ID that
// is not there is [redisstream.ErrNoLetter].
func (d *DeadLetters) Get(ctx context.Context, id stream.ID) (redisstream.Letter, stream.Entry, error) {
	l, entry, err := d.group.Letter(ctx, id)
	if err != nil && !errors.Is(err, redisstream.ErrNoLetter) {
		err = described(err)
	}
	return l, entry, err
}

// Survey is what a choice comes to.
type Survey struct {
	Letters   int64                // not on their way
	Replaying int64                // on their way back to the group
	Foreign   int64                // are no letters
	Missing   []stream.ID          // of the IDs that were asked for
	First     []redisstream.Letter // a few of the Letters
}

// any reports whether anything that is there was meant.
func (s Survey) any() bool { return s.Letters+s.Replaying+s.Foreign > 0 }

// Survey counts what is meant. The choice that it returns means that and
// nothing which comes later.
func (d *DeadLetters) Survey(ctx context.Context, c Choice) (Survey, Choice, error) {
	const few = 5
	var (
		s    Survey
		last stream.ID
	)
	err := d.Each(ctx, c, func(l redisstream.Letter) error {
		last = l.ID
		switch {
		case errors.Is(l.Err, redisstream.ErrNoLetter):
			s.Missing = append(s.Missing, l.ID)
		case l.Err != nil:
			s.Foreign++
		case l.Replaying:
			s.Replaying++
		default:
			s.Letters++
			if len(s.First) < few {
				s.First = append(s.First, l)
			}
		}
		return nil
	})
	if !last.IsZero() {
		c.To = last
	}
	return s, c, err
}

// Replay sends the letters that are meant back to their group, at most rate of
// them a second (0: as fast as Redis takes them), and returns how many. What is
// on its way already, and what is no letter, is left alone.
func (d *DeadLetters) Replay(ctx context.Context, c Choice, rate float64, progress func(sent int64)) (sent int64, err error) {
	const (
		maxBatch = 64
		maxBytes = 1 << 20 // of letters in one round trip
	)
	var (
		batch []redisstream.Letter
		bytes int64
		taken int64
		began = time.Now()
	)
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		// A round trip is short and bounded; cut off in the middle it would not
		// be known what has been sent.
		results, err := d.group.Replay(context.WithoutCancel(ctx), batch)
		if err != nil {
			return described(err)
		}
		for _, r := range results {
			if r == redisstream.Sent {
				sent++
			}
		}
		batch, bytes = batch[:0], 0
		progress(sent)
		return nil
	}
	err = d.Each(ctx, c, func(l redisstream.Letter) error {
		if l.Err != nil || l.Replaying {
			return nil
		}
		wait := time.Duration(0)
		if rate > 0 {
			wait = time.Until(began.Add(time.Duration(float64(taken) / rate * float64(time.Second))))
		}
		if wait > 0 || len(batch) == maxBatch || bytes > maxBytes {
			if err := flush(); err != nil {
				return err
			}
		}
		if wait > 0 && !supervisor.Pause(ctx, wait) {
			return context.Cause(ctx)
		}
		batch, bytes, taken = append(batch, l), bytes+l.Size, taken+1
		return nil
	})
	if err == nil {
		err = flush()
	}
	return sent, err
}

// Purge deletes the letters that are meant and returns how many. Those that are
// on their way back to the group, and entries that are no letters, go only when
// the choice names them.
func (d *DeadLetters) Purge(ctx context.Context, c Choice, progress func(deleted int64)) (deleted int64, err error) {
	named := len(c.IDs) > 0
	var ids []stream.ID
	flush := func() error {
		if len(ids) == 0 {
			return nil
		}
		p, err := d.group.Purge(context.WithoutCancel(ctx), ids, named)
		if err != nil {
			return described(err)
		}
		deleted, ids = deleted+p.Deleted, ids[:0]
		progress(deleted)
		return ctx.Err()
	}
	err = d.Each(ctx, c, func(l redisstream.Letter) error {
		if errors.Is(l.Err, redisstream.ErrNoLetter) || !named && (l.Err != nil || l.Replaying) {
			return nil
		}
		if ids = append(ids, l.ID); len(ids) < letterPage {
			return nil
		}
		return flush()
	})
	if err == nil {
		err = flush()
	}
	if err != nil && deleted > 0 {
		err = fmt.Errorf("after %d were deleted: %w", deleted, err)
	}
	return deleted, err
}
