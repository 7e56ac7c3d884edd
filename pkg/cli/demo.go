package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"example.com/fanout/pkg/app"
	"example.com/fanout/pkg/manifest"
	"example.com/fanout/pkg/sink/webhook"
	"example.com/fanout/pkg/supervisor"
	"example.com/fanout/pkg/telemetry"
)

const (
	demoEvery  = time.Second
	demoStream = 10_000 // entries that the in-process Redis keeps at most: it grows slow beyond
)

type demoFlags struct {
	rate float64
	dur  time.Duration
	seed uint64
}

func (e *env) demoCommand() *cobra.Command {
	var f demoFlags
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run the manifest on simulated trades, with nothing to install",
		Long: `Run the manifest's groups on the trades of a simulated betting exchange, with a
Redis in the process that keeps nothing. Nothing outside is touched: every store
becomes a SQLite file in a fresh directory, every URL the demo's own inbox, and
handlers that cannot be redirected are refused. Ctrl-C ends it.`,
		Example: `  fanout demo
  fanout demo --rate 2000 --for 10s
  fanout demo -c mine.yaml --log-level info`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !cmd.Flags().Changed("log-level") {
				e.logLevel = "warn" // the lines about the groups are the output
			}
			return interruptible(cmd.Context(), func(ctx context.Context) error { return e.demo(ctx, f) })
		},
	}
	cmd.Flags().Float64Var(&f.rate, "rate", 200, "publish `N` trades a second")
	cmd.Flags().DurationVar(&f.dur, "for", 0, "end after this `DURATION`; 0: when interrupted")
	cmd.Flags().Uint64Var(&f.seed, "seed", 1, "seed `N` of the simulation")
	return cmd
}

func (e *env) demo(ctx context.Context, f demoFlags) error {
	switch {
	case f.rate == 0 || !validRate(f.rate):
		return usage("--rate %g: want a number of trades a second above 0", f.rate)
	case f.dur < 0:
		return usage("--for %s: want 0 or more", f.dur)
	}
	dir, err := os.MkdirTemp("", "fanout-demo-")
	if err != nil {
		return fail(fmt.Errorf("make a directory for the demo: %w", err))
	}
	defer os.Remove(dir) // if nothing has come to be in it
	inbox, err := listenLocal("127.0.0.1:0")
	if err != nil {
		return fail(fmt.Errorf("open inbox: %w", err))
	}
	defer inbox.Close()
	target, err := app.NewDemoTarget(dir, "http://"+inbox.Addr().String()+"/")
	if err != nil {
		return fail(err)
	}
	m, faults := app.LoadDemo(e.config, e.registry, target)
	if m == nil {
		e.printFaults(e.err, faults.Errors())
		return &exitError{code: exitFailure}
	}
	demo, err := app.NewDemo(m, target)
	if err != nil {
		return fail(err)
	}
	defer demo.Close()
	d := &demoRun{demoFlags: f, demo: demo, secret: target.Secret, inbox: inbox, logger: e.logger()}
	if listen := m.Admin.Listen; listen != "off" {
		// Taken by a fanout that runs, as likely as not: any other port will do.
		if d.admin, err = listenLocal(listen); err != nil {
			d.admin, err = listenLocal("127.0.0.1:0")
		}
		if err != nil {
			return fail(fmt.Errorf("listen for admin requests: %w", err))
		}
		defer d.admin.Close()
	}
	e.printDemoHead(d, dir)
	if f.dur > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, f.dur)
		defer cancel()
	}
	if err := e.runDemo(ctx, d); err != nil {
		return ended(err)
	}
	files, _ := filepath.Glob(filepath.Join(dir, "*.db")) // the pattern is sound
	for _, file := range files {
		fmt.Fprintf(e.out, "stored in %s\n", file)
	}
	return nil
}

func listenLocal(address string) (net.Listener, error) {
	return new(net.ListenConfig).Listen(context.Background(), "tcp", address)
}

// demoRun is one demo, ready to run.
type demoRun struct {
	demoFlags
	demo   *app.Demo
	secret string // of the inbox
	inbox  net.Listener
	admin  net.Listener // nil: off
	logger *slog.Logger

	published       atomic.Int64
	signed, foreign atomic.Int64 // notifications that the inbox received
}

// runDemo runs everything until ctx is done, then prints the summary.
func (e *env) runDemo(ctx context.Context, d *demoRun) error {
	a, err := app.New(app.Config{Manifest: d.demo.Manifest, Admin: d.admin, Version: version(), Logger: d.logger})
	if err != nil {
		return err
	}
	receiver, err := webhook.NewReceiver(webhook.ReceiverConfig{Secret: d.secret, OnMessage: func(m webhook.Message) {
		if m.Verified && !m.Duplicate {
			d.signed.Add(1)
		} else {
			d.foreign.Add(1)
		}
	}})
	if err != nil {
		return err
	}
	began := time.Now()
	work, workCtx := errgroup.WithContext(ctx)
	work.Go(func() error { return a.Serve(workCtx) })
	for _, stream := range enabledStreams(d.demo.Manifest) {
		work.Go(func() error { return d.publish(workCtx, stream) })
	}
	work.Go(func() error {
		lines := newDemoLines(e)
		ticker := time.NewTicker(demoEvery)
		defer ticker.Stop()
		for {
			select {
			case now := <-ticker.C:
				lines.print(now.Sub(began), a.Status())
			case <-workCtx.Done():
				return nil
			}
		}
	})
	// The inbox outlives the groups.
	inboxCtx, closeInbox := context.WithCancel(context.WithoutCancel(ctx))
	defer closeInbox()
	var edge errgroup.Group
	edge.Go(func() error { return serveHTTP(inboxCtx, d.inbox, receiver) })

	err = work.Wait()
	closeInbox()
	err = errors.Join(err, edge.Wait())
	e.printDemoEnd(d, time.Since(began), a.Status())
	return err
}

// publish appends trades to a stream until ctx is done. The in-process Redis can
// be slow on a busy machine, but never gone: trades wait for it.
func (d *demoRun) publish(ctx context.Context, stream string) error {
	publisher, err := app.NewPublisher(app.TargetOf(d.demo.Manifest, stream), d.logger)
	if err != nil {
		return err
	}
	defer publisher.Close()
	x := newExchange(d.seed, defaultMarkets, d.rate, 0, time.Now())
	slow := telemetry.Repeat{Logger: d.logger, Level: slog.LevelWarn, Begin: "trades wait for the redis of the demo"}
	for ctx.Err() == nil {
		sent, err := publisher.Publish(ctx, x, app.Publication{Rate: d.rate, MaxLen: demoStream})
		d.published.Add(sent)
		if ctx.Err() == nil {
			slow.Fault(err)
			supervisor.Pause(ctx, time.Second)
		}
	}
	return nil
}

// enabledStreams are the streams that groups read.
func enabledStreams(m *manifest.Manifest) []string {
	var all []string
	seen := map[string]bool{}
	for _, g := range m.Groups {
		if g.Enabled && !seen[g.Stream] {
			seen[g.Stream] = true
			all = append(all, g.Stream)
		}
	}
	return all
}
