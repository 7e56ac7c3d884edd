package redisstream_test

import (
	"testing"
	"time"

	"example.com/fanout/pkg/consumer/consumertest"
	"example.com/fanout/pkg/deadletter"
	"example.com/fanout/pkg/redisstream"
	"example.com/fanout/pkg/stream"
	"example.com/fanout/test/redistest"
)

// graveyard is a group with letters.
type graveyard struct {
	t   *testing.T
	srv *redistest.Server
	g   *redisstream.Group
}

func newGraveyard(t *testing.T, change func(*redisstream.GroupConfig)) graveyard {
	t.Helper()
	s := redistest.Start(t)
	cfg := config()
	cfg.MaxDeadLetters = 0
	if change != nil {
		change(&cfg)
	}
	g := open(t, s).Group(cfg)
	ensure(t, g)
	return graveyard{t, s, g}
}

// bury publishes an entry and buries it; it returns the entry's ID and the
// letter's.
func (y graveyard) bury(fields ...string) (entry, letter stream.ID) {
	y.t.Helper()
	args := []any{"XADD", key, "*"}
	for _, f := range fields {
		args = append(args, f)
	}
	entry = parseID(y.t, y.srv.Do(y.t, args...))
	src := y.g.Source("a", y.g.Epoch())
	defer src.Close()
	ds, err := consumertest.Take(y.t.Context(), src, 1, 0)
	if err != nil || len(ds) != 1 {
		y.t.Fatalf("read: %d deliveries, %v", len(ds), err)
	}
	if b, err := src.Bury(y.t.Context(), entry, letterFor(ds[0], "first")); err != nil || b != stream.Buried {
		y.t.Fatalf("bury: %v, %v", b, err)
	}
	all := y.letters()
	return entry, all[len(all)-1].ID
}

var failedAt = time.Date(2025, 11, 23, 1, 2, 3, 0, time.UTC)

func letterFor(d stream.Delivery, text string) *deadletter.Letter {
	return &deadletter.Letter{
		Entry: d.Entry, Stream: d.Stream, ID: d.ID, Epoch: d.Epoch, Group: group, Stage: deadletter.Handle,
		Class: deadletter.ClassError, Error: text, Attempts: 5, FirstFailure: failedAt, LastFailure: failedAt,
	}
}

func (y graveyard) letters() []redisstream.Letter {
	y.t.Helper()
	var all []redisstream.Letter
	for from, done := (stream.ID{}), false; !done; {
		page, end, err := y.g.Letters(y.t.Context(), from, stream.MaxID, 100)
		if err != nil {
			y.t.Fatal(err)
		}
		all, done = append(all, page...), end
		if len(page) > 0 {
			from = page[len(page)-1].ID.Next()
		}
	}
	return all
}

func (y graveyard) replay(letters ...redisstream.Letter) []redisstream.Sending {
	y.t.Helper()
	results, err := y.g.Replay(y.t.Context(), letters)
	if err != nil {
		y.t.Fatal(err)
	}
	return results
}

func (y graveyard) read(name string) []stream.Delivery {
	y.t.Helper()
	ds, err := consumertest.Take(y.t.Context(), y.g.ReplaySource(name), 100, 0)
	if err != nil {
		y.t.Fatal(err)
	}
	return ds
}
