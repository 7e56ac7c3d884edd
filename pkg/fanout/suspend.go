package fanout

import (
	"context"
	"errors"
	"fmt"
	"time"

	"example.com/fanout/pkg/stream"
	"example.com/fanout/pkg/supervisor"
	"example.com/fanout/pkg/telemetry"
)

// An operator may keep a group from running. Its incarnation ends as with a
// restart, and the next one waits before it has done anything. Two wishes are
// told apart:
//
//   - paused: what was left in flight stays pending under the names of this
//     process, for the group to go on with.
//   - stopped: it is given back, claimable at once by other processes.
//
// The wish belongs to the group's name. It outlives reloads of the manifest that
// has the name, and restarts of the group, and ends with the process.

// Suspension is the wish that a group does not run.
type Suspension struct {
	State string    // telemetry.StatePaused or StateStopped; "" for no such wish
	By    string    // who asked for it
	Since time.Time // they asked
}

// Errors of the verbs.
var (
	// ErrStopped: the group was stopped, which neither Pause nor Resume undoes.
	ErrStopped = errors.New("group is stopped")
	// ErrNotSuspended: the group is neither paused nor stopped, or its last
	// incarnation has not ended yet.
	ErrNotSuspended = errors.New("group is neither paused nor stopped")
	// ErrHeld: something is being done that relies on the group not running.
	ErrHeld = errors.New("the group's position is being set")
)

// suspending is the cause of a restart that ends in a suspension. It is not
// counted as a restart.
const suspending = "suspend"

// suspension is a wish with those who rely on it. Fanout.mu guards it.
type suspension struct {
	Suspension
	held    int           // calls of Held
	changed chan struct{} // closed, and replaced, when the wish has changed or ended
}

func (s *suspension) tell() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// Pause ends the running incarnation of a group and keeps the next one from
// beginning, until Resume or Start. It returns when the group rests, or with the
// cause of ctx: the wish stays all the same. A group that is paused is left as
// it is, one that is stopped is [ErrStopped].
func (f *Fanout) Pause(ctx context.Context, name, by string) error {
	return f.suspend(ctx, name, telemetry.StatePaused, by)
}

// Stop is Pause, and gives what the group has left in flight back to other
// processes. It stops a paused group too.
func (f *Fanout) Stop(ctx context.Context, name, by string) error {
	return f.suspend(ctx, name, telemetry.StateStopped, by)
}

// Resume lets a paused group run again. It returns when the group runs or has
// failed to, which its status tells, or with the cause of ctx. A group that runs
// is left as it is, one that is stopped is [ErrStopped].
func (f *Fanout) Resume(ctx context.Context, name string) error {
	return f.lift(ctx, name, telemetry.StatePaused)
}

// Start is Resume for a stopped group too.
func (f *Fanout) Start(ctx context.Context, name string) error {
	return f.lift(ctx, name, telemetry.StateStopped)
}

func (f *Fanout) suspend(ctx context.Context, name, state, by string) error {
	f.mu.Lock()
	g, err := f.find(name)
	if err != nil {
		f.mu.Unlock()
		return err
	}
	s := f.suspended[name]
	asked := s != nil && s.State == state // already
	switch {
	case s == nil:
		f.suspended[name] = &suspension{Suspension{state, by, time.Now()}, 0, make(chan struct{})}
		g.setState(telemetry.StateDraining)
		g.supervisor.Restart(suspending)
	case asked:
	case state == telemetry.StatePaused:
		f.mu.Unlock()
		return ErrStopped
	default:
		s.Suspension = Suspension{state, by, time.Now()}
		s.tell()
	}
	f.mu.Unlock()
	if !asked {
		g.logger.Info("group is to rest", telemetry.KeyState, state, "by", by)
	}
	return f.await(ctx, name, state)
}

// lift ends a suspension up to the given one.
func (f *Fanout) lift(ctx context.Context, name, upTo string) error {
	f.mu.Lock()
	g, err := f.find(name)
	if err == nil {
		err = f.unsuspend(g, upTo)
	}
	f.mu.Unlock()
	if err != nil {
		return err
	}
	return f.await(ctx, name, telemetry.StateRunning, telemetry.StateBackingOff, telemetry.StateTripped)
}

// unsuspend is called with mu held.
func (f *Fanout) unsuspend(g *group, upTo string) error {
	s := f.suspended[g.m.Name]
	switch {
	case s == nil:
		return nil
	case s.held > 0:
		return ErrHeld
	case s.State == telemetry.StateStopped && upTo != s.State:
		return ErrStopped
	}
	delete(f.suspended, g.m.Name)
	s.tell()
	g.logger.Info("group is to run again", telemetry.KeyState, s.State)
	return nil
}

// await returns when a group is in one of the states.
func (f *Fanout) await(ctx context.Context, name string, states ...string) error {
	for {
		f.mu.Lock()
		g, err := f.find(name)
		f.mu.Unlock()
		if err != nil {
			return err // a reload has taken it away
		}
		state, changed := g.watchState()
		for _, want := range states {
			if state == want {
				return nil
			}
		}
		select {
		case <-changed:
		case <-f.ctx.Done():
			return ErrStopping
		case <-ctx.Done():
			return fmt.Errorf("wait while %s is %s: %w", name, state, context.Cause(ctx))
		}
	}
}

// Held calls do while a group rests and cannot be made to run, after what the
// group has lost so far was told. prefix begins the names of this process's
// consumers. Its errors are do's, those of Redis, and [ErrNotSuspended] when the
// group may still be at work.
func (f *Fanout) Held(name string, do func(r Remote, prefix string) error) error {
	f.mu.Lock()
	g, err := f.find(name)
	if err != nil {
		f.mu.Unlock()
		return err
	}
	s := f.suspended[name]
	if state, _ := g.watchState(); s == nil || state != s.State {
		f.mu.Unlock()
		return ErrNotSuspended
	}
	s.held++
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		s.held--
	}()
	if err := g.lookForLosses(f.ctx); err != nil && !errors.Is(err, stream.ErrNoGroup) {
		return err
	}
	return do(g.remote, f.cfg.Instance()+"-")
}

// suspension is the wish for a group, and what is closed when it changes.
func (f *Fanout) suspension(name string) (Suspension, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.suspended[name]
	if s == nil {
		return Suspension{}, nil
	}
	return s.Suspension, s.changed
}

// find is called with mu held.
func (f *Fanout) find(name string) (*group, error) {
	if g := f.groups[name]; g != nil {
		return g, nil
	}
	return nil, f.unknown(name)
}

// rest keeps an incarnation from beginning for as long as the group is
// suspended. It returns an error when ctx was done before.
func (g *group) rest(ctx context.Context) error {
	s, changed := g.f.suspension(g.m.Name)
	if s.State == "" {
		return nil
	}
	defer func() {
		g.setInfo(nil, time.Now())
		g.setLowWater(stream.ID{}) // the position may have been set back
	}()
	for s.State != "" {
		if err := g.restAs(ctx, s, changed); err != nil {
			return err
		}
		s, changed = g.f.suspension(g.m.Name)
	}
	g.setState(telemetry.StateStarting)
	return nil
}

// restAs is rest until the wish changes. A paused group is watched as ever; of a
// stopped one no checkpoint is stored, so that it may belong to another host.
func (g *group) restAs(ctx context.Context, s Suspension, changed <-chan struct{}) error {
	if s.State == telemetry.StateStopped {
		if err := g.giveBack(ctx, changed); err != nil {
			return err
		}
	}
	g.setState(s.State)
	watching, stop := context.WithCancel(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		err := supervisor.Guard(func() error {
			if s.State == telemetry.StatePaused {
				err := g.watch(watching)
				for errors.Is(err, stream.ErrNoGroup) && supervisor.Pause(watching, watchEvery) {
					err = g.watch(watching) // it is looked after when the group goes on
				}
				return err
			}
			for ok := true; ok; ok = supervisor.Pause(watching, watchEvery) {
				_ = g.lookForLosses(watching) // what Redis does not say now it says later
				g.look(watching)
			}
			return nil
		})()
		if err != nil && ctx.Err() == nil {
			g.logger.Warn("group rests and is not watched any more", telemetry.KeyError, err)
		}
	}()
	defer func() {
		stop()
		<-watched
	}()
	select {
	case <-changed:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// giveBack makes all that is pending under the names of this process claimable
// by others, but for what abandoned calls still hold. It tries for as long as
// Redis fails; changed or ctx end that.
func (g *group) giveBack(ctx context.Context, changed <-chan struct{}) error {
	epoch := g.lastEpoch()
	if epoch == "" {
		return nil // it never ran in this process
	}
	e := &engine{g: g, epoch: epoch, prefix: g.f.cfg.Instance() + "-"}
	for n := 1; ; n++ {
		err := e.freePending(ctx)
		if err == nil {
			g.away.Clear()
			return nil
		}
		if ctx.Err() == nil {
			g.away.Fault(fmt.Errorf("give entries back: %w", err))
		}
		select {
		case <-time.After(redisBackoff.Delay(n)):
		case <-changed:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
