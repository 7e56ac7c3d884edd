package app

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"example.com/fanout/pkg/manifest"
	"example.com/fanout/pkg/supervisor"
	"example.com/fanout/pkg/telemetry"
)

// Reload reads the manifest again and makes the running groups those of it. A
// fault anywhere changes nothing and is returned. Before the groups are started
// it replaces what will be started. One Reload runs at a time, others wait.
func (a *App) Reload(ctx context.Context) (manifest.Plan, error) {
	a.changing.Lock()
	defer a.changing.Unlock()
	var plan manifest.Plan
	err := supervisor.Guard(func() (err error) { // a handler's check may panic
		plan, err = a.reload(ctx)
		return err
	})()
	a.metrics.Reloaded(err == nil, time.Now())
	a.noteReload(err)
	a.tellReload(plan, err)
	return plan, err
}

func (a *App) reload(ctx context.Context) (manifest.Plan, error) {
	m, err := a.cfg.Load()
	if err != nil {
		return manifest.Plan{}, err
	}
	old, waiting := a.state()
	plan := manifest.Diff(old, m)
	if waiting == "" {
		prepared, err := a.fanout.Prepare(m, true)
		if err != nil {
			return manifest.Plan{}, err
		}
		plan = prepared.Plan
		if err := a.fanout.Apply(ctx, prepared); err != nil {
			return plan, err
		}
		a.announceSignals(old, m)
	}
	if waiting != "" {
		a.expect(old, m)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.manifest = m
	forgetStreams(old, m)
	return plan, nil
}

// tellReload tells the feed what came of a reload.
func (a *App) tellReload(plan manifest.Plan, err error) {
	if err != nil {
		a.feed.Say("", telemetry.EventReload, "refused: %s", strings.ReplaceAll(err.Error(), "\n", "; "))
		return
	}
	a.feed.Say("", telemetry.EventReload, "%s", strings.ReplaceAll(plan.String(), "\n", "; "))
}

// PlanReload reads the manifest again and tells what a reload would do. It
// builds no handler, so that one that cannot be built is found by the reload
// alone.
func (a *App) PlanReload() (manifest.Plan, error) {
	var m *manifest.Manifest
	err := supervisor.Guard(func() (err error) { // a handler's check may panic
		m, err = a.cfg.Load()
		return err
	})()
	if err != nil {
		return manifest.Plan{}, err
	}
	old, waiting := a.state()
	if waiting != "" {
		return manifest.Diff(old, m), nil
	}
	return a.fanout.Plan(m), nil
}

// Restart restarts one group; cause is one of telemetry's Cause constants. A
// name that the manifest does not have is [fanout.ErrUnknownGroup].
func (a *App) Restart(group, cause string) error {
	m, waiting := a.state()
	for _, g := range m.Groups {
		switch {
		case g.Name != group:
		case !g.Enabled:
			return fmt.Errorf("group %s is disabled in the manifest", group)
		case waiting != "":
			return fmt.Errorf("groups are not started yet: %s", waiting)
		}
	}
	return a.fanout.Restart(group, cause)
}

var errNoSignal = errors.New("no group has this restart_signal")

// RestartBySignal restarts the group whose restart_signal has that number, and
// returns its name.
func (a *App) RestartBySignal(number int) (group string, err error) {
	m, _ := a.state()
	for _, g := range m.Groups {
		if int(g.RestartSignal) == number {
			return g.Name, a.Restart(g.Name, telemetry.CauseSignal)
		}
	}
	return "", errNoSignal
}
