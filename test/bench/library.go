package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/fanout/test/bench/probe"
)

// readTyped reads one group with go-redis as its documentation has it: the
// typed XReadGroup, then one XAck for the batch. It returns when a replay has
// come to its end; live it does not.
func readTyped(ctx context.Context, rdb *redis.Client, stream, group string, live bool, recorder *probe.Recorder) error {
	args := &redis.XReadGroupArgs{
		Group: group, Consumer: "library", Streams: []string{stream, ">"}, Count: batchSize, Block: -1,
	}
	if live {
		args.Block = block
	}
	ids := make([]string, 0, batchSize)
	var sent []int64
	for {
		streams, err := rdb.XReadGroup(ctx, args).Result()
		if errors.Is(err, redis.Nil) {
			if live {
				continue
			}
			return nil
		}
		if err != nil {
			return fmt.Errorf("read a batch: %w", err)
		}
		ids, sent = ids[:0], sent[:0]
		now := time.Now()
		for _, m := range streams[0].Messages {
			ids = append(ids, m.ID)
			if recorder != nil {
				text, _ := m.Values["event"].(string)
				sent = append(sent, probe.SentIn([]byte(text)))
			}
		}
		if recorder != nil {
			recorder.Add(now, sent)
		}
		if err := rdb.XAck(ctx, stream, group, ids...).Err(); err != nil {
			return fmt.Errorf("acknowledge: %w", err)
		}
	}
}
