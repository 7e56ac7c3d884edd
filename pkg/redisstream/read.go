package redisstream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/fanout/pkg/stream"
)

// Read returns at most max new entries. It waits at most wait for the first one,
// and never longer than two seconds. It returns soon after ctx is done, with
// what has arrived by then.
func (s *Source) Read(ctx context.Context, max int, wait time.Duration) ([]stream.Delivery, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	args := append(make([]any, 0, 11), "xreadgroup", "group", s.group.cfg.Group, s.consumer, "count", atLeastOne(max))
	if wait > 0 {
		args = append(args, "block", s.block(wait).Milliseconds())
	}
	args = append(args, "streams", s.group.cfg.Stream, ">")

	raw, err := s.roundTrip(ctx, redis.NewRawCmd(ctx, args...))
	if err == nil {
		var entries []stream.Entry
		entries, err = decodeRead(raw)
		if len(entries) > 0 {
			if err := s.sameEpoch(ctx); err != nil {
				return nil, err
			}
			return s.fresh(entries), nil
		}
		if unusable(err) || errors.Is(err, errReply) {
			// What else is on the wire cannot be told: begin anew.
			_ = s.reader.Close()
			s.reader = s.newReader()
		}
	}
	if done := ctx.Err(); done != nil {
		return nil, done
	}
	return nil, wrap(s.op("read"), err)
}

// sameEpoch fails when the group has been opened by another process since, on
// another stream: what was read is of an epoch that is not ours. A process that
// had no read under way when the old stream went would not notice otherwise.
func (s *Source) sameEpoch(ctx context.Context) error {
	epoch, err := s.group.client.rdb.Get(context.WithoutCancel(ctx), s.group.epochKey).Result()
	switch {
	case errors.Is(err, redis.Nil), err == nil && epoch == s.epoch: // missing: it was evicted, and is put back
		return nil
	case err != nil:
		return wrap(s.op("read epoch for"), err)
	}
	return fmt.Errorf("%s: %w: its stream is another one now", s.op("read"), stream.ErrNoGroup)
}

func (s *Source) fresh(entries []stream.Entry) []stream.Delivery {
	deliveries := make([]stream.Delivery, len(entries))
	for i, e := range entries {
		deliveries[i] = s.delivery(e, stream.New, 1)
	}
	return deliveries
}

// block is how long a read may wait in Redis: at least a millisecond, for zero
// means for ever.
func (s *Source) block(wait time.Duration) time.Duration {
	longest := longBlock
	if s.connID.Load() == 0 { // not yet connected, or nothing would end it
		longest = shortBlock
	}
	return max(min(wait, longest), time.Millisecond)
}

// roundTrip sends one command on the reader's connection and waits for its
// reply, which ctx does not cut off: entries in it would be pending and unseen.
// When ctx is done the wait in Redis is ended from another connection.
func (s *Source) roundTrip(ctx context.Context, cmd *redis.RawCmd) ([]byte, error) {
	returned := make(chan struct{})
	stop := context.AfterFunc(ctx, func() { s.interrupt(returned) })
	_ = s.reader.Process(ctx, cmd) // the error is in cmd, too
	close(returned)
	stop()
	return cmd.Result()
}

// interrupt ends a read until it has returned. CLIENT UNBLOCK does nothing when
// it comes before the block has begun, so it is repeated. A server that answers
// neither the read nor this within the longest block has its connection closed;
// what it may still send stays pending under our name.
func (s *Source) interrupt(returned <-chan struct{}) {
	ctx, cancel := context.WithTimeout(context.Background(), longBlock+longBlock/4)
	defer cancel()
	pause := time.Millisecond
	for {
		if id := s.connID.Load(); id != 0 {
			_ = s.group.client.rdb.ClientUnblock(ctx, id).Err()
		}
		timer := time.NewTimer(pause)
		select {
		case <-returned:
			timer.Stop()
			return
		case <-timer.C:
		}
		if ctx.Err() != nil {
			s.hangUp()
			return
		}
		pause = min(2*pause, longBlock/8)
	}
}

func atLeastOne(n int) int { return max(n, 1) }

// answered reports whether the server itself has answered err.
func answered(err error) bool {
	var answer redis.Error
	return errors.As(err, &answer)
}
