package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"example.com/fanout/pkg/app"
	"example.com/fanout/pkg/fanout"
	"example.com/fanout/pkg/manifest"
	"example.com/fanout/pkg/sink/webhook"
	"example.com/fanout/pkg/telemetry"
)

const (
	demoEvery  = 2 * time.Second
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
		Short: "Run the manifest against an in-process Redis and a simulated exchange",
		Long: `Run the manifest's groups against an in-process Redis that keeps nothing, with
a simulated betting exchange publishing trades. Nothing outside is touched:
every store becomes a SQLite file in a fresh directory, every URL the demo's own
inbox, and handlers that cannot be redirected are refused. Ctrl-C ends it.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			if !cmd.Flags().Changed("log-level") {
				e.logLevel = "warn" // the lines about the groups are the output
			}
			return e.demo(ctx, f)
		},
	}
	cmd.Flags().Float64Var(&f.rate, "rate", 200, "trades a second")
	cmd.Flags().DurationVar(&f.dur, "for", 0, "how long; 0: until interrupted")
	cmd.Flags().Uint64Var(&f.seed, "seed", 1, "seed of the simulated exchange")
	return cmd
}

func (e *env) demo(ctx context.Context, f demoFlags) error {
	if f.rate <= 0 || f.dur < 0 {
		return usage("--rate must be above 0, --for not below")
	}
	m, faults := app.Load(e.config, e.registry)
	if m == nil {
		for _, fault := range faults {
			fmt.Fprintln(e.err, fault)
		}
		return &exitError{exitManifest, fmt.Errorf("%s has %s", e.config, plural(len(faults.Errors()), "fault"))}
	}
	dir, err := os.MkdirTemp("", "fanout-demo-")
	if err != nil {
		return fail(fmt.Errorf("make a directory for the demo: %w", err))
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fail(fmt.Errorf("open inbox: %w", err))
	}
	demo, err := app.NewDemo(m, dir, "http://"+listener.Addr().String()+"/")
	if err != nil {
		_ = listener.Close()
		_ = os.Remove(dir) // nothing is in it yet
		return fail(err)
	}
	defer demo.Close()
	m.Admin.Listen = freeAddress(m.Admin.Listen)
	logger, err := e.logger()
	if err != nil {
		return err
	}
	e.demoHead(m, dir, f)
	if f.dur > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, f.dur)
		defer cancel()
	}
	return e.demoRun(ctx, demo, listener, logger, f, dir)
}

func (e *env) demoHead(m *manifest.Manifest, dir string, f demoFlags) {
	fmt.Fprintf(e.out, "demo: %s against an in-process Redis, %g trades a second\n", e.config, f.rate)
	for _, g := range m.Groups {
		if g.Enabled {
			fmt.Fprintf(e.out, "  %-16s %s\n", g.Name, g.Handler.Type)
		}
	}
	fmt.Fprintf(e.out, "stores are in %s, webhooks go to the demo's own inbox; Ctrl-C ends it\n", dir)
	if m.Admin.Listen != "off" {
		fmt.Fprintf(e.out, "http://%s has /readyz, /metrics and /v1/groups\n", m.Admin.Listen)
	}
	fmt.Fprintln(e.out)
}

// demoRun runs everything until ctx is done.
func (e *env) demoRun(ctx context.Context, demo *app.Demo, inbox net.Listener, logger *slog.Logger, f demoFlags, dir string) error {
	var notes, badNotes atomic.Int64
	receiver, err := webhook.NewReceiver(webhook.ReceiverConfig{Secret: demo.Secret, OnMessage: func(m webhook.Message) {
		if m.Verified {
			notes.Add(1)
		} else {
			badNotes.Add(1)
		}
	}})
	if err != nil {
		return fail(err)
	}
	a, err := app.New(app.Config{Manifest: demo.Manifest, Version: version(), Logger: logger, Load: func() (*manifest.Manifest, error) {
		return nil, errors.New("the demo does not reload")
	}})
	if err != nil {
		return fail(err)
	}
	publisher, err := app.NewPublisher(demo.Manifest.Redis, logger)
	if err != nil {
		return fail(err)
	}
	defer publisher.Close()

	inboxCtx, closeInbox := context.WithCancel(context.WithoutCancel(ctx)) // it outlives the groups
	defer closeInbox()
	began := time.Now()
	var edge errgroup.Group
	edge.Go(func() error { return serveHTTP(inboxCtx, inbox, receiver) })

	work, workCtx := errgroup.WithContext(ctx)
	work.Go(func() error { return a.Serve(workCtx) })
	for _, stream := range streams(demo.Manifest) {
		work.Go(func() error {
			x := newExchange(f.seed, 20, f.rate, 0, time.Now())
			_, err := publisher.Publish(workCtx, x, app.Publication{
				Stream: stream, Rate: f.rate, MaxLen: demoStream,
			})
			if workCtx.Err() != nil {
				return nil
			}
			return err
		})
	}
	work.Go(func() error {
		ticker := time.NewTicker(demoEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				e.demoLines(a.Status())
			case <-workCtx.Done():
				return nil
			}
		}
	})
	err = work.Wait()
	closeInbox()
	err = errors.Join(err, edge.Wait())

	fmt.Fprintf(e.out, "\n%s of trading\n", time.Since(began).Round(time.Second))
	e.demoLines(a.Status())
	fmt.Fprintf(e.out, "%d notifications received with a valid signature, %d without\n", notes.Load(), badNotes.Load())
	files, _ := filepath.Glob(filepath.Join(dir, "*.db")) // the pattern is sound
	for _, file := range files {
		fmt.Fprintf(e.out, "stored in %s\n", file)
	}
	return e.ended(err)
}

// demoLines prints one line a group.
func (e *env) demoLines(groups []fanout.Status) {
	w := tabwriter.NewWriter(e.out, 0, 4, 2, ' ', 0)
	for _, s := range groups {
		t := s.Telemetry
		var read, settled int64
		for i := range t.Read {
			read += t.Read[i].Load()
		}
		for i := range t.Settled {
			settled += t.Settled[i].Load()
		}
		lag := "unknown"
		if n, known := t.Lag.Load(); known {
			lag = fmt.Sprint(int64(n))
		}
		fmt.Fprintf(w, "%s\t%s\tread %d\tsettled %d\tlag %s\tpending %d\tdead %d\n",
			s.Manifest.Name, s.State, read, settled, lag, t.Pending.Load(), t.Settled[telemetry.Buried].Load())
	}
	fmt.Fprintln(w)
	_ = w.Flush() // standard output; the summary's error is enough
}

// streams are those that enabled groups read.
func streams(m *manifest.Manifest) []string {
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

// freeAddress is listen, or any free port of loopback when that is taken.
func freeAddress(listen string) string {
	if listen == "off" {
		return listen
	}
	l, err := net.Listen("tcp", listen)
	if err != nil {
		if l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			return "off"
		}
	}
	defer l.Close()
	return l.Addr().String()
}
