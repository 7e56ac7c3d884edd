package app

import (
	"context"
	"log/slog"
	"time"

	"example.com/fanout/pkg/exchange"
	"example.com/fanout/pkg/manifest"
	"example.com/fanout/pkg/redisstream"
)

// Publisher appends trades to a stream.
type Publisher struct{ client *redisstream.Client }

// NewPublisher opens Redis; it does not connect yet.
func NewPublisher(r manifest.Redis, logger *slog.Logger) (*Publisher, error) {
	client, err := redisstream.Open(redisConfig(&manifest.Manifest{Redis: r}, logger))
	if err != nil {
		return nil, err
	}
	return &Publisher{client}, nil
}

// Close closes the connections.
func (p *Publisher) Close() error { return p.client.Close() }

// Publication says what to publish.
type Publication struct {
	Stream   string
	Rate     float64     // trades a second; 0: as fast as Redis takes them
	Count    int64       // in all; 0: until ctx is done
	MaxLen   int64       // of the stream, about; 0: it is not trimmed
	Progress func(int64) // trades so far; may be nil
}

// Publish appends the exchange's next trades and returns how many Redis has
// confirmed.
func (p *Publisher) Publish(ctx context.Context, x *exchange.Exchange, what Publication) (sent int64, err error) {
	const (
		maxBatch = 1000
		tick     = 10 * time.Millisecond
	)
	began := time.Now()
	var (
		buffer   []byte
		payloads [][]byte
	)
	for what.Count == 0 || sent < what.Count {
		n := int64(maxBatch)
		if what.Rate > 0 {
			n = min(n, int64(time.Since(began).Seconds()*what.Rate)+1-sent)
		}
		if what.Count > 0 {
			n = min(n, what.Count-sent)
		}
		if n > 0 {
			buffer, payloads = buffer[:0], payloads[:0]
			ends := make([]int, 0, n)
			for range n {
				buffer = exchange.AppendJSON(buffer, x.Next())
				ends = append(ends, len(buffer))
			}
			start := 0
			for _, end := range ends {
				payloads = append(payloads, buffer[start:end])
				start = end
			}
			// A round trip is short and bounded; cut off in the middle it would not
			// be known what has been appended.
			if err := p.client.Append(context.WithoutCancel(ctx), what.Stream, "event", payloads, what.MaxLen); err != nil {
				return sent, err
			}
			sent += n
			if what.Progress != nil {
				what.Progress(sent)
			}
		}
		if what.Rate > 0 && n < maxBatch {
			timer := time.NewTimer(tick)
			select {
			case <-timer.C:
			case <-ctx.Done():
				timer.Stop()
			}
		}
		if ctx.Err() != nil {
			return sent, context.Cause(ctx)
		}
	}
	return sent, nil
}
