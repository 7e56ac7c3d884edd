package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// idle is what three groups with nothing to do cost.
type idle struct {
	Groups  int     `json:"groups"`
	Seconds float64 `json:"seconds"`
	Client  float64 `json:"client_busy"` // share of one core
	Server  float64 `json:"server_busy"`
	Peak    float64 `json:"client_peak_rss_mib"`
}

// crowd is what many groups in one process take.
type crowd struct {
	Groups    int     `json:"groups"`
	Consumers int     `json:"consumers_per_group"`
	Start     float64 `json:"start_seconds"` // until it is ready
	Stop      float64 `json:"stop_seconds"`  // from SIGTERM to its end
	Peak      float64 `json:"client_peak_rss_mib"`
	Fault     string  `json:"fault,omitempty"` // why it was not ready
}

// resting starts groups of an empty stream.
func (b *bench) resting(ctx context.Context, dir string, groups int, consumers string) (*process, error) {
	const stream = "bench_idle"
	opts := b.opts
	quiet := &bench{opts: opts, server: b.server, fanout: b.fanout, admin: b.admin}
	quiet.opts.with = map[string]string{"consumers": consumers}
	if err := b.server.begin(ctx, eventsStream, nil, 0); err != nil {
		return nil, err
	}
	p, err := quiet.start(ctx, ours, dir, job{stream: stream, groups: names(groups)})
	if err != nil {
		return nil, err
	}
	return p, nil
}

func (b *bench) idle(ctx context.Context) (*idle, error) {
	r := &idle{Groups: 3}
	dir, drop, err := b.folder()
	if err != nil {
		return nil, err
	}
	defer drop()
	p, err := b.resting(ctx, dir, r.Groups, "2")
	if err != nil {
		return nil, err
	}
	defer p.kill()
	if err := b.await(ctx, "/readyz"); err != nil {
		return nil, fmt.Errorf("wait until %d groups are ready: %w\n%s", r.Groups, err, p.log.tail())
	}
	time.Sleep(min(2*time.Second, b.opts.idle)) // what starting has left to do
	from, err := b.look(ctx, p, eventsStream, 0)
	if err != nil {
		return nil, err
	}
	time.Sleep(b.opts.idle)
	to, err := b.look(ctx, p, eventsStream, 0)
	if err != nil {
		return nil, err
	}
	if r.Peak, err = p.peak(); err != nil {
		return nil, err
	}
	r.Seconds = to.at.Sub(from.at).Seconds()
	r.Client = (to.client - from.client).Seconds() / r.Seconds
	r.Server = (to.server - from.server).Seconds() / r.Seconds
	b.say("idle, 3 groups: %.2f %% of a core\n", 100*r.Client)
	return r, p.stop()
}

func (b *bench) crowd(ctx context.Context, groups int) (*crowd, error) {
	c := &crowd{Groups: groups, Consumers: 2}
	dir, drop, err := b.folder()
	if err != nil {
		return nil, err
	}
	defer drop()
	start := time.Now()
	p, err := b.resting(ctx, dir, groups, "2")
	if err != nil {
		return nil, err
	}
	defer p.kill()
	if err := b.await(ctx, "/readyz"); err != nil {
		c.Fault = fmt.Sprintf("not ready within %v: %v", patience, err)
		b.say("%d groups: %s\n%s", groups, c.Fault, p.log.tail())
	}
	c.Start = time.Since(start).Seconds() // nothing, where there is a fault
	time.Sleep(2 * time.Second)           // so that its memory has come to rest
	if c.Peak, err = p.peak(); err != nil {
		return nil, err
	}
	if b.opts.profiles != "" {
		if err := b.fetch(ctx, "/debug/pprof/heap", filepath.Join(b.opts.profiles, "crowd-heap.pprof")); err != nil {
			return nil, err
		}
	}
	end := time.Now()
	if err := p.stop(); err != nil {
		return nil, err
	}
	c.Stop = time.Since(end).Seconds()
	if c.Fault == "" {
		b.say("%d groups: ready in %.1f s, %.0f MiB, stopped in %.1f s\n", groups, c.Start, c.Peak, c.Stop)
	}
	return c, nil
}

// parts runs the Go benchmarks of the packages.
func (b *bench) parts(ctx context.Context) error {
	cmd := b.goTool(ctx, "test", "-run=^$", "-bench=.", "-benchmem", "./pkg/...")
	cmd.Dir = b.root
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd.Run()
}
