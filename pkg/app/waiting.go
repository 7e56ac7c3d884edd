package app

import (
	"slices"

	"example.com/fanout/pkg/manifest"
	"example.com/fanout/pkg/telemetry"
)

// expect makes the series of all groups of a manifest exist before the groups are
// started, so that monitoring sees that they do not run; those that only the
// manifest before it had vanish. changing is held.
func (a *App) expect(before, m *manifest.Manifest) {
	enabled := func(m *manifest.Manifest, name string) bool {
		return m != nil && slices.ContainsFunc(m.Groups, func(g manifest.Group) bool { return g.Name == name && g.Enabled })
	}
	if before != nil {
		for _, g := range before.Groups {
			if !enabled(m, g.Name) {
				a.metrics.Remove(g.Name)
			}
		}
	}
	for _, g := range m.Groups {
		if g.Enabled {
			a.metrics.Group(g.Name, g.Stream, g.Handler.Type).SetState(telemetry.StateStarting)
		}
	}
}

// waitFor says why the groups are not started, unless they are.
func (a *App) waitFor(what string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.waiting == "" {
		return
	}
	a.waiting = what
	for _, g := range a.manifest.Groups {
		if g.Enabled {
			a.metrics.Group(g.Name, g.Stream, g.Handler.Type).SetVerdict(waitingVerdict(what, a.began).Code)
		}
	}
}
