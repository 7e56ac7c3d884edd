package consumertest

import (
	"context"
	"time"

	"example.com/fanout/pkg/consumer"
	"example.com/fanout/pkg/stream"
)

// Take reads once, without a limit of bytes, into memory that is used for
// nothing else.
func Take(ctx context.Context, r consumer.Reader, max int, wait time.Duration) ([]stream.Delivery, error) {
	var c stream.Chunk
	err := r.Read(ctx, &c, max, wait)
	return c.Deliveries, err
}
