package fanout

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"

	"example.com/fanout/pkg/consumer"
	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/supervisor"
	"example.com/fanout/pkg/telemetry"
)

// A handler call that ignores its context cannot be ended. When a group is
// restarted all the same, the call is abandoned: a remnant of its consumer
// keeps the name and the entries until the call returns, and the next
// incarnation works under other names.

// sharedHandler closes a handler when its last user, an incarnation or a
// remnant of one, has let go of it.
type sharedHandler struct {
	handler.Handler
	closed func(error)

	mu    sync.Mutex
	users int
}

func (h *sharedHandler) use() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.users++
}

func (h *sharedHandler) release() {
	h.mu.Lock()
	h.users--
	last := h.users == 0
	h.mu.Unlock()
	if last {
		h.closed(h.Close())
	}
}

// remnants are those of the process: they outlive their group where that is
// stopped or replaced, and a successor of it must not use their names.
type remnants struct {
	mu    sync.Mutex
	of    map[redisGroup]map[string]int // calls by the name of their consumer
	ended chan struct{}                 // closed, and replaced, when a remnant has ended
}

// redisGroup tells groups apart as Redis does.
type redisGroup struct{ stream, group string }

func (r *remnants) init() {
	r.of = map[redisGroup]map[string]int{}
	r.ended = make(chan struct{})
}

func (r *remnants) add(of redisGroup, name string, calls int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.of[of] == nil {
		r.of[of] = map[string]int{}
	}
	r.of[of][name] = calls
}

func (r *remnants) remove(of redisGroup, name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.of[of], name)
	close(r.ended)
	r.ended = make(chan struct{})
}

// calls returns how many calls of a group are abandoned. The channel is closed
// when that has changed.
func (r *remnants) calls(of redisGroup) (n int, changed <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, calls := range r.of[of] {
		n += calls
	}
	return n, r.ended
}

// names are those of the consumers of a group's remnants.
func (r *remnants) names(of redisGroup) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Keys(r.of[of]))
}

// keep serves a remnant until its calls have returned or the process stops.
func (g *group) keep(r *consumer.Remnant, h *sharedHandler) {
	h.use()
	g.f.remnants.add(g.key, r.Name(), r.Calls())
	g.logger.Warn("handler calls abandoned", telemetry.KeyConsumer, r.Name(), telemetry.KeyCount, r.Calls())
	g.f.leaving.Go(func() {
		err := supervisor.Guard(func() error { return r.Serve(g.f.ctx) })()
		g.f.remnants.remove(g.key, r.Name())
		if err == nil {
			g.logger.Info("abandoned handler calls returned", telemetry.KeyConsumer, r.Name())
		} else {
			g.f.leftUndone(fmt.Errorf("groups.%s: %w", g.m.Name, err))
		}
		if err == nil || errors.Is(err, consumer.ErrUnconfirmed) && !errors.Is(err, consumer.ErrUnreturned) {
			h.release() // it stays open under a call that has not returned
		}
	})
}

// waitForRemnants holds a group whose abandoned calls have become more than it
// has consumers: each restart would add to them. It returns an error when ctx
// was done first.
func (g *group) waitForRemnants(ctx context.Context) error {
	for held := false; ; held = true {
		calls, changed := g.f.remnants.calls(g.key)
		if calls <= g.wanted() {
			if held {
				g.setStartErr("")
				g.setState(telemetry.StateStarting)
			}
			return nil
		}
		if !held {
			g.setState(telemetry.StateTripped)
			g.setStartErr("stuck: more handler calls have been abandoned than the group has consumers; it goes on when they return")
			g.logger.Error("group tripped as stuck", "abandoned", calls)
		}
		select {
		case <-changed:
		case <-g.scaled:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// freeName returns the first of prefix0, prefix1, … that is not among taken.
func freeName(prefix string, taken []string) string {
	for n := 0; ; n++ {
		if name := prefix + strconv.Itoa(n); !slices.Contains(taken, name) {
			return name
		}
	}
}

// usedNames are the names of all that runs for the group in this process.
func (g *group) usedNames() []string {
	names := g.f.remnants.names(g.key)
	for _, c := range g.running() {
		names = append(names, c.Status().Name)
	}
	return names
}
