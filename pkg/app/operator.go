package app

import (
	"context"
	"errors"
	"fmt"

	"example.com/fanout/pkg/admin"
	"example.com/fanout/pkg/fanout"
	"example.com/fanout/pkg/manifest"
	"example.com/fanout/pkg/redisstream"
)

// operator lets the admin server steer single groups.
type operator struct{ app *App }

func (o operator) Steer(ctx context.Context, group string, verb admin.Verb, by string) (admin.GroupStatus, error) {
	f := o.app.fanout
	if _, err := o.group(group); err != nil {
		return admin.GroupStatus{}, err
	}
	var err error
	switch verb {
	case admin.Pause:
		err = f.Pause(ctx, group, by)
	case admin.Stop:
		err = f.Stop(ctx, group, by)
	case admin.Resume:
		err = f.Resume(ctx, group)
	case admin.Start:
		err = f.Start(ctx, group)
	default:
		err = fmt.Errorf("%w: no verb %q", admin.ErrRequest, verb)
	}
	if err != nil && ctx.Err() == nil {
		return admin.GroupStatus{}, inWords(group, err)
	}
	for _, s := range controller(o).Groups() {
		if s.Name == group {
			return s, err
		}
	}
	return admin.GroupStatus{}, fmt.Errorf("%w %q: a reload has taken it away", admin.ErrUnknownGroup, group)
}

// inWords gives the engine's errors in the admin server's words.
func inWords(group string, err error) error {
	switch {
	case errors.Is(err, fanout.ErrUnknownGroup):
		return fmt.Errorf("%w: %w", admin.ErrUnknownGroup, err)
	case errors.Is(err, fanout.ErrStopped):
		return &admin.Refused{Reason: group + " is stopped", Hint: "fanout start " + group + " lets it run again"}
	case errors.Is(err, fanout.ErrNotSuspended):
		return &admin.Refused{Reason: group + " is neither paused nor stopped, or still finishes what it has begun", Hint: "fanout pause " + group + " first"}
	case errors.Is(err, fanout.ErrHeld):
		return &admin.Refused{Reason: "the position of " + group + " is being set", Hint: "try again when that is done"}
	case errors.Is(err, fanout.ErrStopping):
		return &admin.Refused{Reason: err.Error(), Hint: "start the process again"}
	}
	return err
}

// group is a group of the manifest that runs, or rests.
func (o operator) group(name string) (manifest.Group, error) {
	g, err := o.declared(name)
	_, waiting := o.app.state()
	switch {
	case err != nil:
		return g, err
	case !g.Enabled:
		return g, &admin.Refused{Reason: "group " + name + " is disabled in the manifest", Hint: "remove enabled: false and reload"}
	case waiting != "":
		return g, &admin.Refused{Reason: "groups are not started yet: " + waiting, Hint: "try again when they are"}
	}
	return g, nil
}

// declared is a group of the manifest.
func (o operator) declared(name string) (manifest.Group, error) {
	m, _ := o.app.state()
	for _, g := range m.Groups {
		if g.Name == name {
			return g, nil
		}
	}
	return manifest.Group{}, fmt.Errorf("%w %q", admin.ErrUnknownGroup, name)
}

// redis is the Redis side of a group, to look at it.
func (o operator) redis(g manifest.Group) *redisstream.Group {
	return o.app.redis.Group(groupConfig(g))
}
