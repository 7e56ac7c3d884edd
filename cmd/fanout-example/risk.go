package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync"

	"example.com/fanout/pkg/event"
	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/stream"
)

// riskConfig is the part of the manifest below "risk". The tags say what
// "fanout check" accepts and "fanout handlers" shows.
type riskConfig struct {
	Limit int64 `yaml:"limit" required:"true" min:"1" doc:"liability of one market, in minor units, above which a warning is logged"`
}

func riskFactory() handler.Factory {
	return handler.Factory{
		Doc:    "warns when the liability of a market passes a limit",
		Config: func() handler.Config { return new(riskConfig) },
	}
}

// Check reports what the tags cannot say; here they say it all.
func (c *riskConfig) Check() []handler.Finding { return nil }

// Local lets "fanout demo" run the handler: it has no effect outside the process.
func (c *riskConfig) Local() {}

func (c *riskConfig) New(env handler.Env) (handler.Handler, error) {
	r := &risk{limit: c.Limit, logger: env.Logger, markets: map[string]*market{}, seen: map[identity]struct{}{}}
	for path, text := range map[*event.Path]string{&r.marketID: "market_id", &r.ticks: "odds.ticks", &r.stake: "stake.value"} {
		var err error
		if *path, err = event.ParsePath(text); err != nil {
			return nil, fmt.Errorf("prepare risk: %w", err)
		}
	}
	return r, nil
}

// maxTicks are the longest odds of the exchange, 1000.00.
const maxTicks = 100_000

// risk adds up what the backers of each market would win: stake x (odds - 1).
// It knows what has passed since the process started, through this process; a
// number that must survive a restart belongs in a store, as "window" keeps it.
type risk struct {
	limit                  int64
	logger                 *slog.Logger
	marketID, ticks, stake event.Path

	mu      sync.Mutex // Handle is called from several goroutines
	markets map[string]*market
	seen    map[identity]struct{} // counted, and not yet out of reach of a redelivery
	low     stream.ID
}

type market struct {
	liability int64
	warned    bool
}

// identity is what a redelivery of an entry has in common with the first.
type identity struct {
	stream, epoch string
	id            stream.ID
}

// Handle counts an entry once for as long as Redis may redeliver it. An entry
// that is no trade is named with a permanent error, so that it becomes a dead
// letter and its neighbours count.
func (r *risk) Handle(_ context.Context, batch *handler.Batch) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forget(batch.LowWater)
	var failed handler.BatchError
	for i := range batch.Deliveries {
		d := &batch.Deliveries[i]
		id := identity{d.Stream, d.Epoch, d.ID}
		if _, counted := r.seen[id]; counted {
			continue
		}
		if err := r.add(d.Event); err != nil {
			failed.Fail(i, handler.Permanent(err))
			continue
		}
		r.seen[id] = struct{}{}
	}
	return failed.Err()
}

// forget drops identities that will not be delivered again.
func (r *risk) forget(low stream.ID) {
	if low == r.low {
		return
	}
	r.low = low
	for id := range r.seen {
		if !low.Before(id.id) {
			delete(r.seen, id)
		}
	}
}

func (r *risk) add(e *event.Event) error {
	id, found := e.Lookup(r.marketID)
	if !found {
		return errors.New("market_id is missing")
	}
	ticks, err := integer(e, r.ticks)
	if err != nil {
		return err
	}
	stake, err := integer(e, r.stake)
	if err != nil {
		return err
	}
	if ticks < 100 || ticks > maxTicks || stake < 0 || stake > math.MaxInt64/maxTicks {
		return fmt.Errorf("no bet has odds of %d hundredths and a stake of %d", ticks, stake)
	}
	name := id.Text() // a copy: the bytes of the event are not ours to keep
	m := r.markets[name]
	if m == nil {
		m = new(market)
		r.markets[name] = m
	}
	liability := stake * (ticks - 100) / 100
	if liability > math.MaxInt64-m.liability {
		return fmt.Errorf("the liability of market %q does not fit in 64 bits", name)
	}
	m.liability += liability
	if m.liability > r.limit && !m.warned {
		m.warned = true
		r.logger.Warn("market is over its limit", "market", name, "liability", m.liability, "limit", r.limit)
	}
	return nil
}

func integer(e *event.Event, p event.Path) (int64, error) {
	v, found := e.Lookup(p)
	if !found {
		return 0, fmt.Errorf("%s is missing", p)
	}
	n, err := v.Int64()
	if err != nil {
		return 0, fmt.Errorf("%s: %w", p, err)
	}
	return n, nil
}

// Close has nothing to give back.
func (r *risk) Close() error { return nil }
