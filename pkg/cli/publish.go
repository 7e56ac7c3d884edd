package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
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

func (e *env) publishCommand() *cobra.Command {
	var f publishFlags
	cmd := &cobra.Command{
		Use:   "publish",
		Short: "Append trades of a simulated betting exchange to the stream",
		Long: `Append trades of a simulated betting exchange to the stream. The same seed
gives the same trades. Redis and the stream are those of the manifest unless
--redis and --stream say otherwise.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return e.publish(ctx, f)
		},
	}
	flags := cmd.Flags()
	flags.Float64Var(&f.rate, "rate", 0, "trades a second; 0: as fast as Redis takes them")
	flags.Int64Var(&f.count, "count", 0, "trades in all; 0: until interrupted")
	flags.Uint64Var(&f.seed, "seed", 1, "seed of the simulation")
	flags.IntVar(&f.markets, "markets", 20, "markets that are traded")
	flags.StringVar(&f.stream, "stream", "", "stream to append to (default: that of the manifest's first group)")
	flags.StringVar(&f.redis, "redis", "", "URL of Redis (default: that of the manifest)")
	flags.Int64Var(&f.maxLen, "max-len", 0, "trim the stream to about this length; 0: never")
	return cmd
}

func (e *env) publish(ctx context.Context, f publishFlags) error {
	if f.rate < 0 || f.count < 0 || f.markets < 1 || f.maxLen < 0 {
		return usage("--rate, --count and --max-len must not be negative, --markets must be at least 1")
	}
	redis := manifest.Redis{URL: telemetry.Secret(f.redis)}
	if f.redis == "" || f.stream == "" {
		m, faults := app.Load(e.config, e.registry)
		if m == nil {
			return fail(fmt.Errorf("%s does not tell where to publish; see fanout check, or give --redis and --stream: %w", e.config, faults.Err()))
		}
		if f.redis == "" {
			redis = m.Redis
		}
		if f.stream == "" {
			f.stream = m.Groups[0].Stream
		}
	}
	logger, err := e.logger()
	if err != nil {
		return err
	}
	publisher, err := app.NewPublisher(redis, logger)
	if err != nil {
		return fail(err)
	}
	defer publisher.Close()
	x := newExchange(f.seed, f.markets, f.rate, f.count, time.Now())
	progress := newProgress(e.err, f.count)
	sent, err := publisher.Publish(ctx, x, app.Publication{
		Stream: f.stream, Rate: f.rate, Count: f.count, MaxLen: f.maxLen, Progress: progress.update,
	})
	progress.end()
	if err != nil && !errors.Is(err, context.Canceled) {
		return fail(err)
	}
	fmt.Fprintf(e.out, "%d trades appended to %s\n", sent, f.stream)
	return nil
}

// newExchange returns an exchange whose trades happen at the rate at which they
// are published. What is published as fast as possible lies in the past and
// ends now.
func newExchange(seed uint64, markets int, rate float64, count int64, now time.Time) *exchange.Exchange {
	const backfill = 1000 // trades a second of simulated time
	if rate == 0 {
		rate = backfill
		now = now.Add(-time.Duration(float64(count) / backfill * float64(time.Second)))
	}
	return exchange.New(exchange.Config{Seed: seed, Markets: markets, Rate: rate, Start: now})
}
