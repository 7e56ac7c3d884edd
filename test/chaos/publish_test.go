package chaos

import (
	"context"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/fanout/pkg/exchange"
	"example.com/fanout/pkg/stream"
)

const (
	streamKey = "events_stream"
	tick      = 10 * time.Millisecond
)

// publisher appends the trades of an exchange, under IDs that it chooses, so
// that the ID of an entry is known also when the answer of Redis was lost.
type publisher struct {
	rdb      *redis.Client
	ledger   *ledger
	exchange *exchange.Exchange
	rate     int // trades a second
	special  chan class

	// Guarded by ledger.mu.
	base  uint64    // the first half of the first ID of this life
	began time.Time // of this life
	last  stream.ID
}

func newPublisher(rdb *redis.Client, l *ledger, seed uint64, rate int) *publisher {
	now := time.Now()
	return &publisher{
		rdb: rdb, ledger: l, rate: rate, special: make(chan class, 64),
		exchange: exchange.New(exchange.Config{Seed: seed, Markets: 12, Rate: 50}),
		base:     uint64(now.UnixMilli()), began: now,
	}
}

// serve publishes until ctx is done.
func (p *publisher) serve(ctx context.Context) {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	began, sent := time.Now(), 0
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		// What a fault has held up is not made up for.
		due := int(time.Since(began).Seconds() * float64(p.rate))
		n := min(due-sent, 5*p.rate/100)
		sent = due
		if n > 0 && !p.publish(n) {
			p.await(ctx)
		}
	}
}

// again lets the IDs of the next life begin where those of this one began; the
// ledger is locked.
func (p *publisher) again() { p.began, p.last = time.Now(), stream.ID{} }

// await waits until Redis answers again.
func (p *publisher) await(ctx context.Context) {
	for ctx.Err() == nil && p.rdb.Ping(ctx).Err() != nil {
		time.Sleep(tick)
	}
}

// publish reports whether Redis has confirmed everything.
func (p *publisher) publish(n int) (confirmed bool) {
	p.ledger.mu.Lock()
	defer p.ledger.mu.Unlock()
	return p.publishLocked(n)
}

// mark publishes one entry; the ledger is locked.
func (p *publisher) mark() { p.publishLocked(1) }

func (p *publisher) publishLocked(n int) (confirmed bool) {
	ctx := context.Background()
	pipe := p.rdb.Pipeline()
	var batch []*entry
	for range n {
		e := p.entry()
		batch = append(batch, e)
		pipe.XAdd(ctx, e.command())
	}
	cmds, err := pipe.Exec(ctx)
	for i, cmd := range cmds {
		err := cmd.Err()
		batch[i].unsure = err != nil
		if err != nil && strings.Contains(err.Error(), "equal or smaller") {
			p.catchUp(ctx)
		}
	}
	return err == nil
}

// entry is the next one, in the ledger; the ledger is locked.
func (p *publisher) entry() *entry {
	e := &entry{Trade: p.exchange.Next(), id: p.next()}
	select {
	case e.class = <-p.special:
	default:
	}
	p.ledger.add(e)
	return e
}

// command adds an entry to the stream.
func (e *entry) command() *redis.XAddArgs {
	return &redis.XAddArgs{Stream: streamKey, ID: e.id.String(), Values: []any{"event", e.event()}}
}

func (p *publisher) next() stream.ID {
	id := stream.ID{Ms: p.base + uint64(time.Since(p.began).Milliseconds())}
	if !p.last.Before(id) {
		id = p.last.Next()
	}
	p.last = id
	return id
}

// catchUp goes on behind what a late request of before has put at the end.
func (p *publisher) catchUp(ctx context.Context) {
	info, err := p.rdb.XInfoStream(ctx, streamKey).Result()
	if err != nil {
		return
	}
	if id, err := stream.ParseID(info.LastGeneratedID); err == nil && p.last.Before(id) {
		p.last = id
	}
}
