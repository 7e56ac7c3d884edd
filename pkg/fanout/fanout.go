// Package fanout keeps the running groups equal to a manifest: it plans what a
// new manifest changes, applies it, restarts groups, and tells how they are.
//
// Guarantees:
//   - A group that fails, hangs or panics does not touch another. Each runs in
//     goroutines of its own and returns nil to its siblings.
//   - A manifest whose handlers cannot be built changes nothing.
//   - Groups that a new manifest leaves alone do not notice it.
//   - Two incarnations of a group do not overlap in this process, except for
//     calls of the handler that ignore their context; see remnant.go.
package fanout

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"example.com/fanout/pkg/consumer"
	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/manifest"
	"example.com/fanout/pkg/supervisor"
	"example.com/fanout/pkg/telemetry"
)

// Config of a Fanout. All fields without a stated default are needed.
type Config struct {
	Broker   Broker
	Build    func(manifest.Group) (handler.Handler, error)
	Instance func() string // name of this instance, asked at each incarnation
	Metrics  *telemetry.Metrics
	Feed     *telemetry.Feed // told what happens; nil: nobody is
	Logger   *slog.Logger
}

// Fanout runs groups. Its methods are safe for concurrent use.
type Fanout struct {
	cfg      Config
	suspects *consumer.Gate
	applying chan struct{} // held by the one Apply at a time
	began    time.Time

	ctx    context.Context // of everything that runs; done when Serve ends
	cancel context.CancelCauseFunc

	running  sync.WaitGroup // groups
	leaving  sync.WaitGroup // remnants
	remnants remnants

	share atomic.Int64 // bytes that each group may hold

	mu      sync.Mutex
	current *manifest.Manifest // nil before the first Apply
	groups  map[string]*group
	closing bool
	unclean []error // what was left undone

	suspended map[string]*suspension // by group
}

// ErrUnknownGroup is wrapped by errors about a name that no running group has.
var ErrUnknownGroup = errors.New("unknown group")

// Errors of Apply.
var (
	ErrStopping = errors.New("the process is stopping")
	ErrOutdated = errors.New("another manifest was applied meanwhile")
)

// New returns a Fanout that runs nothing yet.
func New(cfg Config) *Fanout {
	f := &Fanout{
		cfg:      cfg,
		suspects: consumer.NewGate(),
		applying: make(chan struct{}, 1),
		began:    time.Now(),
		groups:   map[string]*group{},

		suspended: map[string]*suspension{},
	}
	f.remnants.init()
	f.ctx, f.cancel = context.WithCancelCause(context.Background())
	return f
}

// Serve waits until ctx is done, then stops all groups. It returns an error
// that wraps [consumer.ErrUnreturned] or [consumer.ErrUnconfirmed] when
// something was left undone.
func (f *Fanout) Serve(ctx context.Context) error {
	<-ctx.Done()
	f.mu.Lock()
	f.closing = true
	for _, g := range f.groups {
		g.stop()
	}
	f.mu.Unlock()
	f.running.Wait()
	f.cancel(handler.ErrStopping)
	f.leaving.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	return errors.Join(f.unclean...)
}

// leftUndone notes what Serve is to return.
func (f *Fanout) leftUndone(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.unclean = append(f.unclean, err)
}

// Prepared is a manifest whose handlers are built and which waits to be applied
// or discarded.
type Prepared struct {
	Plan     manifest.Plan
	base     *manifest.Manifest // what the plan starts from
	manifest *manifest.Manifest
	handlers map[string]handler.Handler
}

// Plan tells what applying m would do.
func (f *Fanout) Plan(m *manifest.Manifest) manifest.Plan {
	f.mu.Lock()
	defer f.mu.Unlock()
	return manifest.Diff(f.current, m)
}

// Prepare plans the change to m and builds the handlers of every group that m
// starts or replaces. With strict, any that cannot be built is an error and
// everything is undone; otherwise such a group builds its own handler when
// it starts, under its own supervision. Nothing that runs is touched.
func (f *Fanout) Prepare(m *manifest.Manifest, strict bool) (*Prepared, error) {
	f.mu.Lock()
	p := &Prepared{Plan: manifest.Diff(f.current, m), base: f.current, manifest: m, handlers: map[string]handler.Handler{}}
	f.mu.Unlock()
	var faults []error
	for _, name := range append(slices.Clone(p.Plan.Start), p.Plan.Replace...) {
		g := find(m, name)
		h, err := f.build(g)
		switch {
		case err == nil:
			p.handlers[name] = h
		case strict:
			faults = append(faults, fmt.Errorf("groups.%s: %w", name, err))
		}
	}
	if len(faults) > 0 {
		p.Discard()
		return nil, errors.Join(faults...)
	}
	return p, nil
}

// build is Config.Build with the panics of a constructor as errors.
func (f *Fanout) build(g manifest.Group) (h handler.Handler, err error) {
	err = supervisor.Guard(func() (err error) {
		h, err = f.cfg.Build(g)
		return err
	})()
	if err != nil {
		return nil, fmt.Errorf("build handler %s: %w", g.Handler.Type, err)
	}
	return h, nil
}

// Discard closes what Prepare has built. It does nothing after an Apply.
func (p *Prepared) Discard() {
	for _, h := range p.handlers {
		_ = h.Close() // never used: there is nothing that it could have lost
	}
	p.handlers = nil
}

// Apply makes the running groups those of p: it drains what is gone or changed,
// then starts what is new. It returns when that is done. One Apply runs at a
// time; one that was prepared before another was applied is [ErrOutdated].
// What is not applied is discarded.
func (f *Fanout) Apply(ctx context.Context, p *Prepared) error {
	defer p.Discard()
	select {
	case f.applying <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-f.applying }()

	f.mu.Lock()
	if f.current != p.base {
		f.mu.Unlock()
		return ErrOutdated
	}
	var stopping []*group
	for _, name := range append(slices.Clone(p.Plan.Stop), p.Plan.Replace...) {
		g := f.groups[name]
		stopping = append(stopping, g)
		g.stop()
	}
	f.mu.Unlock()
	for _, g := range stopping {
		<-g.done
	}

	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closing {
		return ErrStopping
	}
	for _, g := range stopping {
		delete(f.groups, g.m.Name)
		f.cfg.Metrics.Remove(g.m.Name)
	}
	for _, name := range p.Plan.Stop {
		delete(f.suspended, name)
	}
	f.shareOut(p.manifest)
	for _, name := range p.Plan.Adjust {
		m := find(p.manifest, name)
		f.groups[name].adjust(m)
	}
	for _, name := range append(slices.Clone(p.Plan.Start), p.Plan.Replace...) {
		m := find(p.manifest, name)
		f.start(m, p.handlers[name])
	}
	p.handlers = nil // the groups' now
	next := *p.manifest
	if p.base != nil { // what only a new process takes up is what it was, so that the next plan says so again
		next.Redis, next.Admin, next.State = p.base.Redis, p.base.Admin, p.base.State
	}
	f.current = &next
	return nil
}

// start runs a group. It is called with mu held.
func (f *Fanout) start(m manifest.Group, h handler.Handler) {
	g := newGroup(f, m, h)
	f.groups[m.Name] = g
	f.running.Go(func() {
		defer close(g.done)
		if err := g.serve(); err != nil {
			g.logger.Warn("group stopped with entries unsettled, they come again", telemetry.KeyError, err)
			f.leftUndone(err)
		}
	})
}

// Restart ends the running incarnation of a group and starts the next one. It
// returns at once. cause is one of telemetry's Cause constants. A group that is
// paused or stopped runs again when somebody has asked for it by name
// (CauseRequest); any other cause leaves it as it is.
func (f *Fanout) Restart(name, cause string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	g, err := f.find(name)
	if err != nil {
		return err
	}
	switch s := f.suspended[name]; {
	case s == nil:
		g.supervisor.Restart(cause)
	case cause == telemetry.CauseRequest:
		return f.unsuspend(g, telemetry.StateStopped)
	default:
		g.logger.Info("group is not restarted, it rests", telemetry.KeyCause, cause, telemetry.KeyState, s.State, "by", s.By)
	}
	return nil
}

// unknown is the error about a name that no group has; mu is held.
func (f *Fanout) unknown(name string) error {
	return fmt.Errorf("%w %q: this process runs %s", ErrUnknownGroup, name, strings.Join(f.names(), ", "))
}

// RestartAll restarts every group.
func (f *Fanout) RestartAll(cause string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, g := range f.groups {
		g.supervisor.Restart(cause)
	}
}

// names of the running groups, in the order of the manifest; mu is held.
func (f *Fanout) names() []string {
	var names []string
	for _, g := range f.manifest().Groups {
		if f.groups[g.Name] != nil {
			names = append(names, g.Name)
		}
	}
	return names
}

// shareOut gives every group an equal part of what the process may hold, so that
// none can take the memory of another; mu is held.
func (f *Fanout) shareOut(m *manifest.Manifest) {
	groups := int64(0)
	for _, g := range m.Groups {
		if g.Enabled {
			groups++
		}
	}
	f.share.Store(int64(m.Memory) / max(groups, 1))
}

// manifest is the one that was applied last, an empty one before that; mu is
// held.
func (f *Fanout) manifest() *manifest.Manifest {
	if f.current == nil {
		return &manifest.Manifest{}
	}
	return f.current
}

// CaughtUp returns when every running group has settled all that was in its
// stream when CaughtUp was called, or when ctx is done.
func (f *Fanout) CaughtUp(ctx context.Context) error {
	f.mu.Lock()
	groups := make([]*group, 0, len(f.groups))
	for _, g := range f.groups {
		groups = append(groups, g)
	}
	f.mu.Unlock()
	all, ctx := errgroup.WithContext(ctx)
	for _, g := range groups {
		all.Go(func() error { return g.caughtUp(ctx) })
	}
	return all.Wait()
}

// find is the group of a name that the manifest has.
func find(m *manifest.Manifest, name string) manifest.Group {
	for i := range m.Groups { // a group is large: none is copied to look at its name
		if m.Groups[i].Name == name {
			return m.Groups[i]
		}
	}
	return manifest.Group{}
}
