package app

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"example.com/fanout/pkg/event"
	"example.com/fanout/pkg/exchange"
	"example.com/fanout/pkg/manifest"
	"example.com/fanout/pkg/redisstream"
	"example.com/fanout/pkg/supervisor"
)

// Target is where a [Publisher] appends.
type Target struct {
	Redis  manifest.Redis
	Stream string
	Field  string // of an entry that holds the event; "": event
}

// TargetOf is the stream of that name as the groups of a manifest read it; ""
// names the stream of the first group.
func TargetOf(m *manifest.Manifest, stream string) Target {
	if stream == "" {
		stream = m.Groups[0].Stream
	}
	t := Target{Redis: m.Redis, Stream: stream}
	for _, g := range m.Groups {
		if t.Field == "" && g.Stream == stream && event.Format(g.Payload.Format) != event.Fields {
			t.Field = g.Payload.Field
		}
	}
	return t
}

// Publisher appends trades to a stream.
type Publisher struct {
	client *redisstream.Client
	target Target
}

// NewPublisher opens Redis; it does not connect yet.
func NewPublisher(t Target, logger *slog.Logger) (*Publisher, error) {
	client, err := redisstream.Open(redisConfig(t.Redis, logger))
	if err != nil {
		return nil, err
	}
	if t.Field == "" {
		t.Field = "event"
	}
	return &Publisher{client, t}, nil
}

// Close closes the connections.
func (p *Publisher) Close() error { return p.client.Close() }

// Publication says what to publish.
type Publication struct {
	Rate     float64     // trades a second; 0: as fast as Redis takes them
	Count    int64       // in all; 0: until ctx is done
	MaxLen   int64       // of the stream, about; 0: it is not trimmed
	Progress func(int64) // trades so far; may be nil
}

// Publish appends the exchange's next trades and returns how many Redis has
// confirmed. When ctx is done it ends with its cause; what it has begun to
// append is appended then.
func (p *Publisher) Publish(ctx context.Context, x *exchange.Exchange, what Publication) (sent int64, err error) {
	const (
		maxBatch = 1000
		tick     = 10 * time.Millisecond
	)
	began := time.Now()
	var batch batch
	for what.Count == 0 || sent < what.Count {
		if ctx.Err() != nil {
			return sent, context.Cause(ctx)
		}
		n := int64(maxBatch)
		if what.Rate > 0 {
			n = int64(min(maxBatch, time.Since(began).Seconds()*what.Rate+1-float64(sent)))
		}
		if what.Count > 0 {
			n = min(n, what.Count-sent)
		}
		if n > 0 {
			// Not cut off by ctx: it would not be known what has been appended.
			err := p.client.Append(context.WithoutCancel(ctx), p.target.Stream, p.target.Field, batch.fill(x, int(n)), what.MaxLen)
			if err != nil {
				return sent, fmt.Errorf("append to %s at %s: %w", p.target.Stream, p.client.Addr(), described(err))
			}
			sent += n
			if what.Progress != nil {
				what.Progress(sent)
			}
		}
		if what.Rate > 0 && n < maxBatch {
			supervisor.Pause(ctx, tick)
		}
	}
	return sent, nil
}

// batch holds trades as they are appended; its memory is used again.
type batch struct {
	buffer   []byte
	ends     []int
	payloads [][]byte
}

func (b *batch) fill(x *exchange.Exchange, n int) [][]byte {
	b.buffer, b.ends, b.payloads = b.buffer[:0], b.ends[:0], b.payloads[:0]
	for range n {
		b.buffer = exchange.AppendJSON(b.buffer, x.Next())
		b.ends = append(b.ends, len(b.buffer))
	}
	begin := 0
	for _, end := range b.ends {
		b.payloads = append(b.payloads, b.buffer[begin:end])
		begin = end
	}
	return b.payloads
}
