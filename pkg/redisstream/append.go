package redisstream

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// appendChunk is how many entries go into one round trip.
const appendChunk = 500

// Append appends one entry for each payload, which is the value of the entry's
// only field. maxLen trims the stream to about that many entries; 0 does not.
// On an error some of the payloads may have been appended.
func (c *Client) Append(ctx context.Context, key, field string, payloads [][]byte, maxLen int64) error {
	for len(payloads) > 0 {
		n := min(len(payloads), appendChunk)
		pipe := c.rdb.Pipeline()
		for _, p := range payloads[:n] {
			pipe.XAdd(ctx, &redis.XAddArgs{Stream: key, MaxLen: maxLen, Approx: maxLen > 0, Values: []any{field, p}})
		}
		if _, err := pipe.Exec(ctx); err != nil {
			return wrap("append to "+key, err)
		}
		payloads = payloads[n:]
	}
	return nil
}
