package handler_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"example.com/fanout/pkg/event"
	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/stream"
)

// riskConfig is what a group may say in the manifest below handler: {risk: …}.
type riskConfig struct {
	Limit int64 `yaml:"limit"` // most that may be staked on a market
}

func (c *riskConfig) Check() []handler.Finding {
	if c.Limit <= 0 {
		return []handler.Finding{{Path: "limit", Message: "must be above 0"}}
	}
	return nil
}

func (c *riskConfig) New(env handler.Env) (handler.Handler, error) {
	r := &risk{limit: c.Limit, log: env.Logger, staked: map[string]int64{}}
	for path, text := range map[*event.Path]string{&r.market: "market_id", &r.stake: "stake.value"} {
		var err error
		if *path, err = event.ParsePath(text); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// risk adds up what is staked on each market. It forgets all when it is
// restarted and counts a redelivered entry twice: a store that knows the
// identities of its entries would not.
type risk struct {
	limit         int64
	market, stake event.Path
	log           *slog.Logger

	mu     sync.Mutex // Handle is called from several goroutines
	staked map[string]int64
}

func (r *risk) Handle(ctx context.Context, batch *handler.Batch) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var failed handler.BatchError
	for i := range batch.Deliveries {
		failed.Fail(i, r.add(batch.Deliveries[i].Event)) // nil names nothing
	}
	return failed.Err()
}

func (r *risk) add(e *event.Event) error {
	market, ok := e.Lookup(r.market)
	stake, known := e.Lookup(r.stake)
	if !ok || !known {
		return handler.Permanent(errors.New("market_id or stake.value is missing"))
	}
	amount, err := stake.Int64()
	if err != nil {
		return handler.Permanent(fmt.Errorf("read stake.value: %w", err))
	}
	id := market.Text() // a copy: nothing of the batch may be kept
	r.staked[id] += amount
	if r.staked[id] > r.limit {
		fmt.Println("limit passed on", id, "by", r.staked[id]-r.limit)
	}
	return nil
}

func (r *risk) Close() error { return nil }

// A handler of one's own is a Config, a Handler and a main of a few lines:
//
//	func main() {
//		r := builtin.Registry()
//		r.Register("risk", handler.Factory{
//			Doc:    "Watches what is staked on each market.",
//			Config: func() handler.Config { return &riskConfig{Limit: 10_000} },
//		})
//		os.Exit(cli.Main(r))
//	}
//
// The rest of this example does by hand what the engine does with it.
func Example() {
	var r handler.Registry
	r.Register("risk", handler.Factory{
		Doc:    "Watches what is staked on each market.",
		Config: func() handler.Config { return &riskConfig{Limit: 10_000} },
	})

	factory, _ := r.Lookup("risk")
	config := factory.Config() // which the manifest fills
	if findings := config.Check(); len(findings) > 0 {
		fmt.Println(findings)
	}
	h, err := config.New(handler.Env{Group: "risk", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer h.Close()

	batch := &handler.Batch{Group: "risk"}
	for i, payload := range []string{
		`{"market_id": "m-17", "stake": {"value": 7000}}`,
		`{"market_id": "m-17", "stake": {"value": 5000}}`,
		`{"market_id": "m-17"}`,
	} {
		entry := stream.Entry{
			ID:     stream.ID{Ms: 1763856000123, Seq: uint64(i)},
			Fields: []stream.Field{{Name: []byte("event"), Value: []byte(payload)}},
		}
		e, err := event.Decoder{Field: "event", Format: event.JSON}.Decode(entry)
		if err != nil {
			fmt.Println(err)
			return
		}
		batch.Deliveries = append(batch.Deliveries, handler.Delivery{
			Delivery: &stream.Delivery{Entry: entry, Ref: entry.ID, Count: 1},
			Event:    e,
			Attempt:  1,
		})
	}
	fmt.Println(h.Handle(context.Background(), batch))

	// Output:
	// limit passed on m-17 by 2000
	// failed deliveries: 1, the first: market_id or stake.value is missing
}
