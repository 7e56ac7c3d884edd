package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"example.com/fanout/pkg/admin"
	"example.com/fanout/pkg/fanout"
	"example.com/fanout/pkg/telemetry"
)

// controller shows the app to the admin server, in the API's own form.
type controller struct{ app *App }

func (c controller) Groups() []admin.GroupStatus {
	m, waiting := c.app.state()
	if waiting != "" {
		var all []admin.GroupStatus
		for _, g := range m.Groups {
			if g.Enabled {
				all = append(all, admin.GroupStatus{
					Name: g.Name, RedisGroup: g.Group, Stream: g.Stream, Handler: g.Handler.Type, Signal: g.RestartSignal.String(),
					State: telemetry.StateStarting, Problems: []string{waiting},
				})
			}
		}
		return all
	}
	var all []admin.GroupStatus
	for _, s := range c.app.fanout.Status() {
		all = append(all, groupStatus(s))
	}
	return all
}

func (c controller) Restart(_ context.Context, group string) error {
	err := c.app.Restart(group, telemetry.CauseRequest)
	if errors.Is(err, fanout.ErrUnknownGroup) {
		return fmt.Errorf("%w: %w", admin.ErrUnknownGroup, err)
	}
	return err
}

func (c controller) Health() admin.Health {
	h := admin.Health{Alive: true}
	for _, s := range c.app.fanout.Status() {
		for _, name := range s.Stalled {
			h.Alive = false
			h.Reasons = append(h.Reasons, fmt.Sprintf("%s: the loop of consumer %s does not turn", s.Manifest.Name, name))
		}
	}
	return h
}

func groupStatus(s fanout.Status) admin.GroupStatus {
	m := s.Manifest
	out := admin.GroupStatus{
		Name: m.Name, RedisGroup: m.Group, Stream: m.Stream, Handler: m.Handler.Type, Signal: m.RestartSignal.String(),
		Since: s.Since, Incarnation: int64(s.Incarnation),
		NextRetry: when(s.NextRestart), Problems: s.Problems,
	}
	out.Count(s.Telemetry)
	out.State = s.State
	if s.RestartCause != "" {
		out.LastRestart = &admin.Restart{Cause: s.RestartCause, At: s.RestartedAt}
	}
	if s.LastError != "" {
		out.LastError = &admin.Failure{Error: s.LastError, Since: s.LastErrorAt, At: s.LastErrorAt}
	}
	pending := map[string]int64{}
	if s.Info != nil {
		out.ObservedAt = when(s.ObservedAt)
		for _, c := range s.Info.Consumers {
			pending[c.Name] = c.Pending
		}
	}
	for _, c := range s.Consumers {
		out.Consumers = append(out.Consumers, admin.ConsumerStatus{
			Name: c.Name, State: string(c.State), Pending: pending[c.Name], InFlight: int64(c.InFlight), LastActivity: when(c.LastActivity),
		})
		if c.LastFailure != "" && (out.LastError == nil || c.FailedAt.After(out.LastError.At)) {
			out.LastError = &admin.Failure{Error: c.LastFailure, Since: c.FailedAt, At: c.FailedAt}
		}
	}
	return out
}

// when is a time as the API shows it: null for never.
func when(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
