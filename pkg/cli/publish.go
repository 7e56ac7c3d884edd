package cli

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/spf13/cobra"

	"example.com/fanout/pkg/app"
	"example.com/fanout/pkg/exchange"
	"example.com/fanout/pkg/manifest"
	"example.com/fanout/pkg/telemetry"
)

type publishFlags struct {
	rate    float64
	count   int64
	seed    uint64
	markets int
	stream  string
	redis   string
	maxLen  int64
}

const (
	mostMarkets    = 10_000
	defaultMarkets = 20
)

func (e *env) publishCommand() *cobra.Command {
	var f publishFlags
	cmd := &cobra.Command{
		Use:   "publish",
		Short: "Append trades of a simulated betting exchange to the stream",
		Long: `Append trades of a simulated betting exchange to the stream, as a matching engine
would. The same seed and markets give the same trades in the same order; their
times follow the clock. Redis and the stream are those of the manifest unless
--redis and --stream say otherwise. Ctrl-C ends it.`,
		Example: `  fanout publish --count 10000               as fast as Redis takes them
  fanout publish --rate 500                  until Ctrl-C
  fanout publish --redis redis://127.0.0.1:6379/0 --stream events_stream --count 1000`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return interruptible(cmd.Context(), func(ctx context.Context) error { return e.publish(ctx, f) })
		},
	}
	flags := cmd.Flags()
	flags.Int64Var(&f.count, "count", 0, "publish `N` trades in all; 0: until interrupted")
	flags.Float64Var(&f.rate, "rate", 0, "publish `N` trades a second; 0: as fast as Redis takes them")
	flags.Uint64Var(&f.seed, "seed", 1, "seed `N` of the simulation")
	flags.IntVar(&f.markets, "markets", defaultMarkets, "trade on `N` markets")
	flags.StringVar(&f.stream, "stream", "", "append to this `STREAM` (default that of the manifest's first group)")
	flags.StringVar(&f.redis, "redis", "", "`URL` of Redis (default that of the manifest)")
	flags.Int64Var(&f.maxLen, "max-len", 0, "trim the stream to about `N` entries; 0: never")
	return cmd
}

func (f *publishFlags) check() error {
	switch {
	case !validRate(f.rate):
		return usage("--rate %g: want a number of trades a second, or 0", f.rate)
	case f.count < 0:
		return usage("--count %d: want 0 or more", f.count)
	case f.maxLen < 0:
		return usage("--max-len %d: want 0 or more", f.maxLen)
	case f.markets < 1 || f.markets > mostMarkets:
		return usage("--markets %d: want 1 to %d", f.markets, mostMarkets)
	}
	return nil
}

func validRate(rate float64) bool { return rate >= 0 && !math.IsInf(rate, 0) }

func (e *env) publish(ctx context.Context, f publishFlags) error {
	if err := f.check(); err != nil {
		return err
	}
	target := app.Target{Stream: f.stream, Redis: manifest.Redis{URL: telemetry.Secret(f.redis)}}
	if f.redis == "" || f.stream == "" {
		m, err := e.manifest()
		if err != nil {
			return err
		}
		target = app.TargetOf(m, f.stream)
		if f.redis != "" {
			target.Redis = manifest.Redis{URL: telemetry.Secret(f.redis)}
		}
	}
	publisher, err := app.NewPublisher(target, e.logger())
	if err != nil {
		return fail(err)
	}
	defer publisher.Close()
	progress := e.newProgress(f.count)
	sent, err := publisher.Publish(ctx, newExchange(f.seed, f.markets, f.rate, f.count, time.Now()), app.Publication{
		Rate: f.rate, Count: f.count, MaxLen: f.maxLen, Progress: progress.update,
	})
	progress.end()
	if errors.Is(err, context.Canceled) {
		err = nil // interrupted is the usual end
	}
	if err == nil || sent > 0 {
		fmt.Fprintf(e.out, "%s appended to %s\n", telemetry.Plural(sent, "trade"), target.Stream)
	}
	return fail(err)
}

// newExchange returns an exchange whose trades happen at the rate at which they
// are published. What is published as fast as possible lies in the past and
// ends now.
func newExchange(seed uint64, markets int, rate float64, count int64, now time.Time) *exchange.Exchange {
	const (
		gap     = time.Millisecond // of simulated time between two trades, on average
		longest = 10 * 365 * 24 * time.Hour
	)
	if rate == 0 {
		rate = float64(time.Second / gap)
		now = now.Add(-gap * time.Duration(min(count, int64(longest/gap))))
	}
	return exchange.New(exchange.Config{Seed: seed, Markets: markets, Rate: rate, Start: now})
}
