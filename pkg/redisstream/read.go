package redisstream

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/fanout/pkg/stream"
)

// Read fills c with at most limit new entries. It waits at most wait for the
// first one, and never longer than two seconds. It returns soon after ctx is
// done, with what has arrived by then. What an answer holds beyond c.Limit
// stays on the connection: c.More says so, and the next Read goes on with it.
func (s *Source) Read(ctx context.Context, c *stream.Chunk, limit int, wait time.Duration) error {
	c.Reset()
	if err := ctx.Err(); err != nil {
		return err
	}
	err := s.interruptible(ctx, func() error { return s.read(ctx, c, limit, wait) })
	if len(c.Deliveries) > 0 && err == nil {
		return nil
	}
	c.Reset()
	if done := ctx.Err(); done != nil {
		return done
	}
	return wrap(s.op("read"), err)
}

// Rest ends what the last Read has left: it returns the IDs of those entries
// and skips their data. They are pending under our name.
func (s *Source) Rest(ctx context.Context) (refs []stream.ID, err error) {
	l := &s.line
	if l.left == 0 {
		return nil, nil
	}
	var c stream.Chunk
	err = s.interruptible(ctx, func() error {
		l.wire.begin(&c)
		defer l.wire.end()
		for l.left > 0 {
			var id stream.ID
			if err := l.wire.take(func(k *cursor) (err error) { id, err = k.skipped(); return err }); err != nil {
				return err
			}
			l.left--
			refs = append(refs, id)
		}
		return s.takeEpoch()
	})
	if err != nil {
		return nil, wrap(s.op("skip what is left of a read"), err)
	}
	return refs, nil
}

// interruptible runs a conversation on the line, which ctx does not cut off:
// entries in an answer would be pending and unseen. When ctx is done the wait in
// Redis is ended from another connection. After an error of which it cannot be
// told what else is on the wire the connection is given up.
func (s *Source) interruptible(ctx context.Context, talk func() error) error {
	if !s.talks.begin(ctx, s.interrupt) {
		return ctx.Err()
	}
	err := talk()
	s.talks.end()
	if err != nil && (s.line.left > 0 || unusable(err) || !whole(err)) {
		s.line.close()
	}
	return err
}

// whole reports whether an answer was taken off the wire as a whole though it
// has come to an error.
func whole(err error) bool {
	var answer reply
	return errors.As(err, &answer) || errors.Is(err, errEpoch)
}

// read reads in turn with the others while there is a backlog, then waits for
// what is new.
func (s *Source) read(ctx context.Context, c *stream.Chunk, limit int, wait time.Duration) error {
	if s.behind && s.line.left == 0 {
		err := s.readInTurn(ctx, c, limit)
		if err != nil || len(c.Deliveries) > 0 || wait <= 0 {
			return err
		}
	}
	if s.line.left > 0 || wait <= 0 {
		return s.fetch(ctx, c, limit, wait)
	}
	return s.lookOut(ctx, c, limit, wait)
}

// lookOut waits in Redis if nobody else of the group and this process does.
func (s *Source) lookOut(ctx context.Context, c *stream.Chunk, limit int, wait time.Duration) error {
	if err := s.line.connect(ctx); err != nil { // before it is our turn
		return err
	}
	wait = s.block(wait)
	end, place := time.Now().Add(wait), s.group.lookout
	goOn, taken := place.take(ctx, s.timer, wait)
	if !goOn {
		return ctx.Err()
	}
	if taken {
		place.occupy()
		defer place.leave()
		if !place.rest(ctx, s.timer) {
			return ctx.Err()
		}
	}
	left := time.Until(end)
	if left < aWhile && left < wait/2 {
		return nil // at rest all waits end at the same moment
	}
	err := s.fetch(ctx, c, limit, max(left, 1))
	if n := len(c.Deliveries); taken && n > 0 && n < limit {
		place.next = time.Now().Add(s.group.cfg.ReadsApart)
	}
	return err
}

// aWhile is what is left of a wait for others that is worth a question.
const aWhile = 20 * time.Millisecond

// Large reads that find enough go one after the other, some at once: Redis serves
// one at a time, and what it has delivered before its turn to be handled only takes
// memory, there and here. readsAtOnce keep it busy.
const (
	largeRead   = 256
	readsAtOnce = 8
)

func (s *Source) readInTurn(ctx context.Context, c *stream.Chunk, limit int) error {
	turns := s.group.client.reading
	select {
	case turns <- struct{}{}:
		defer func() { <-turns }()
	case <-ctx.Done():
		return ctx.Err()
	}
	return s.fetch(ctx, c, limit, 0)
}

// fetch takes what the last answer has left, or asks for more.
func (s *Source) fetch(ctx context.Context, c *stream.Chunk, limit int, wait time.Duration) error {
	l := &s.line
	if l.left == 0 {
		if err := s.ask(ctx, limit, wait); err != nil {
			return err
		}
	}
	l.wire.begin(c)
	defer l.wire.end()
	if l.left == 0 {
		var said reply
		err := l.wire.take(func(k *cursor) (err error) { l.left, said, err = k.entries(); return err })
		if err != nil {
			return err
		}
		l.since = time.Now()
		l.used = l.since
		s.behind = l.left >= max(limit, largeRead)
		if said != "" {
			if err := s.takeEpoch(); err != nil && !whole(err) {
				return err
			}
			return said
		}
	}
	c.Since = l.since
	if l.left > 0 {
		l.wire.enter(l.left * entryBytes)
	}
	for bytes := 0; l.left > 0 && (c.Limit <= 0 || bytes < c.Limit); l.left-- {
		e, err := l.wire.next(c)
		if err != nil {
			return err
		}
		bytes += e.Size()
		c.Deliveries = append(c.Deliveries, s.delivery(e, stream.New, 1))
	}
	if c.More = l.left > 0; c.More {
		return s.sameEpoch(ctx)
	}
	return s.takeEpoch()
}

// entryBytes is about what an entry takes on the wire at least.
const entryBytes = 64

// ask sends the read, and with it asks for the epoch of the stream. The read waits
// in Redis for wait, in whole milliseconds.
func (s *Source) ask(ctx context.Context, limit int, wait time.Duration) error {
	l := &s.line
	l.dropClosed(5 * longBlock) // it may have been others' turn
	if err := l.connect(ctx); err != nil {
		return err
	}
	cfg := &s.group.cfg
	l.out = l.out[:0]
	count := strconv.Itoa(max(limit, 1))
	block := time.Duration(0)
	if wait > 0 {
		block = (wait + time.Millisecond - 1).Truncate(time.Millisecond) // 0 would be for ever
		l.command("XREADGROUP", "GROUP", cfg.Group, s.consumer, "COUNT", count,
			"BLOCK", strconv.FormatInt(block.Milliseconds(), 10), "STREAMS", cfg.Stream, ">")
	} else {
		l.command("XREADGROUP", "GROUP", cfg.Group, s.consumer, "COUNT", count, "STREAMS", cfg.Stream, ">")
	}
	l.command("GET", s.group.epochKey)
	return l.send(block)
}

// errEpoch: the group has been opened by another process since, on another
// stream: what was read is of an epoch that is not ours. A process that had no
// read under way when the old stream went would not notice otherwise.
var errEpoch = fmt.Errorf("%w: its stream is another one now", stream.ErrNoGroup)

// takeEpoch takes the answer about the epoch off the wire, which comes after
// the entries.
func (s *Source) takeEpoch() error {
	var (
		epoch  []byte
		failed reply
	)
	err := s.line.wire.take(func(k *cursor) (err error) {
		if failed, err = k.failure(); err == nil && failed == "" {
			epoch, err = k.bulk()
		}
		return err
	})
	switch {
	case err != nil:
		return err
	case failed != "":
		return failed
	case epoch != nil && string(epoch) != s.epoch: // missing: it was evicted, and is put back
		return errEpoch
	}
	return nil
}

// sameEpoch asks for the epoch beside the line.
func (s *Source) sameEpoch(ctx context.Context) error {
	epoch, err := s.group.client.rdb.Get(context.WithoutCancel(ctx), s.group.epochKey).Result()
	switch {
	case errors.Is(err, redis.Nil), err == nil && epoch == s.epoch:
		return nil
	case err != nil:
		return fmt.Errorf("look at the epoch: %w", err)
	}
	return errEpoch
}

// block is how long a read may wait in Redis: at least a millisecond, for zero
// means for ever.
func (s *Source) block(wait time.Duration) time.Duration {
	longest := longBlock
	if s.line.ID() == 0 { // nothing would end it
		longest = shortBlock
	}
	wait = max(min(wait, longest), time.Millisecond)
	if wait < commonMoment {
		return wait
	}
	// Those who wait are answered at common moments: one wake-up serves all. In
	// whole milliseconds, and not before the moment: else there would be two.
	every := min(wait.Truncate(commonMoment), longBlock)
	end := time.Now().Add(wait)
	short := end.Sub(s.group.client.opened) % every
	return max((wait - short + time.Millisecond - 1).Truncate(time.Millisecond), time.Millisecond)
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
		if id := s.line.ID(); id != 0 {
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
			s.line.hangUp()
			return
		}
		pause = min(2*pause, longBlock/8)
	}
}
