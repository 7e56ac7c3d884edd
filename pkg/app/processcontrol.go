package app

import (
	"context"

	"example.com/fanout/pkg/admin"
	"example.com/fanout/pkg/manifest"
)

// processControl lets the admin server steer what concerns all groups.
type processControl struct{ app *App }

func (c processControl) Reload(ctx context.Context, dryRun bool) (manifest.Plan, error) {
	if dryRun {
		return c.app.PlanReload()
	}
	return c.app.Reload(ctx)
}

func (c processControl) LastReload() *admin.LastReload {
	c.app.mu.Lock()
	defer c.app.mu.Unlock()
	return c.app.reloaded
}

func (c processControl) Manifest() *manifest.Manifest {
	m, _ := c.app.state()
	running := *m
	started := c.app.cfg.Manifest // what only a new process takes up
	running.Redis, running.Admin, running.State = started.Redis, started.Admin, started.State
	return &running
}
