package fanout

import (
	"context"
	"slices"
	"strconv"
	"sync"

	"example.com/fanout/pkg/consumer"
	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/stream"
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

// keep serves a remnant until its calls have returned or the process stops.
func (g *group) keep(r *consumer.Remnant, h *sharedHandler) {
	h.use()
	g.mu.Lock()
	g.remnants[r.Name()] = r.Calls()
	g.mu.Unlock()
	g.logger.Warn("handler calls abandoned", telemetry.KeyConsumer, r.Name(), telemetry.KeyCount, r.Calls())
	g.f.remnants.Go(func() error {
		err := r.Serve(g.f.ctx)
		g.mu.Lock()
		delete(g.remnants, r.Name())
		g.mu.Unlock()
		select {
		case g.freed <- struct{}{}:
		default:
		}
		if err == nil {
			g.logger.Info("abandoned handler calls returned", telemetry.KeyConsumer, r.Name())
			h.release()
		}
		return err // the handler stays open under a call that has not returned
	})
}

// waitForRemnants holds a group whose abandoned calls have become more than it
// has consumers: each restart would add to them. It returns an error when ctx
// was done first.
func (g *group) waitForRemnants(ctx context.Context) error {
	for {
		g.mu.Lock()
		calls := 0
		for _, n := range g.remnants {
			calls += n
		}
		stuck := calls > g.want
		g.mu.Unlock()
		if !stuck {
			return nil
		}
		g.setState(telemetry.StateTripped)
		g.setStartErr("stuck: more handler calls have been abandoned than the group has consumers; it goes on when they return")
		g.logger.Error("group tripped as stuck", "abandoned", calls)
		select {
		case <-g.freed:
			g.setStartErr("")
			g.setState(telemetry.StateStarting)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// freeName returns the first of prefix0, prefix1, … that neither one of taken
// nor a remnant has.
func (g *group) freeName(prefix string, taken []string) string {
	for n := 0; ; n++ {
		name := prefix + strconv.Itoa(n)
		if !slices.Contains(taken, name) && !g.isRemnant(name) {
			return name
		}
	}
}

func (g *group) isRemnant(name string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	_, is := g.remnants[name]
	return is
}

// usedNames are the names of all that runs for the group in this process.
func (g *group) usedNames() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	var names []string
	for _, c := range g.consumers {
		names = append(names, c.Status().Name)
	}
	for name := range g.remnants {
		names = append(names, name)
	}
	return names
}

func (g *group) addConsumer(c *consumer.Consumer) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.consumers = append(slices.Clip(g.consumers), c)
}

func (g *group) dropConsumer(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.consumers = slices.Delete(slices.Clone(g.consumers), n, n+1)
}

func (g *group) setConsumers(cs []*consumer.Consumer) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.consumers = cs
}

func (g *group) running() []*consumer.Consumer {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.consumers
}

func (g *group) setStartErr(text string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.startErr = text
}

func (g *group) setLowWater(id stream.ID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.lowWater = id
}

func (g *group) seenLowWater() stream.ID {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.lowWater
}
