package app

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"example.com/fanout/pkg/admin"
	"example.com/fanout/pkg/fanout"
	"example.com/fanout/pkg/stream"
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
					State: telemetry.StateStarting, Problems: []string{waiting}, Verdict: waitingVerdict(waiting, c.app.began),
				})
			}
		}
		return all
	}
	var all []admin.GroupStatus
	for _, s := range c.app.fanout.Status() {
		status := groupStatus(s)
		status.Server = c.app.redis.Known().String()
		all = append(all, status)
	}
	return all
}

// waitingVerdict is the verdict on groups that are not started yet.
func waitingVerdict(why string, since time.Time) admin.Verdict {
	if why == waitStart {
		return admin.Verdict{Code: telemetry.VerdictOK, Since: since, Why: "the process starts"}
	}
	return admin.Verdict{
		Code: telemetry.VerdictStalled, Since: since, Why: why, Do: "see whether redis answers; the groups start by themselves",
	}
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
	out.Verdict = admin.Verdict(s.Verdict)
	out.Rates = admin.Rates{TenSeconds: rate(s.Short), OneMinute: rate(s.Long)}
	out.DrainSeconds = number(s.Drain)
	for _, n := range s.Backlog {
		out.BacklogHistory = append(out.BacklogHistory, number(n))
	}
	if b := s.Breaker(); b != nil {
		out.Breaker = &admin.Breaker{Since: b.Since, Error: b.Text(), Next: when(b.Next)}
	}
	for _, r := range s.Restarts {
		out.LatestRestarts = append(out.LatestRestarts, admin.Restart{Cause: r.Cause, Error: r.Error, At: r.At})
	}
	out.Count(s.Telemetry)
	out.State = s.State
	if w := s.Suspended; w.State != "" {
		out.Suspended = &admin.Suspension{State: w.State, By: w.By, Since: w.Since}
	}
	for _, l := range s.Losses {
		out.Losses = append(out.Losses, admin.LossOf(l))
	}
	if s.RestartCause != "" {
		out.LastRestart = &admin.Restart{Cause: s.RestartCause, At: s.RestartedAt}
	}
	if s.LastError != "" {
		out.LastError = &admin.Failure{Error: s.LastError, At: s.LastErrorAt}
	}
	if s.Info != nil {
		out.ObservedAt = when(s.ObservedAt)
		if out.Lag != nil {
			out.Backlog = new(*out.Lag + out.Pending)
		}
	}
	out.Consumers = consumers(s)
	for _, c := range s.Consumers {
		if c.LastFailure != "" && (out.LastError == nil || c.FailedAt.After(out.LastError.At)) {
			out.LastError = &admin.Failure{Error: c.LastFailure, At: c.FailedAt}
		}
	}
	return out
}

// consumers are those of this process, then those of others that Redis knows.
func consumers(s fanout.Status) []admin.ConsumerStatus {
	var all []admin.ConsumerStatus
	ours := map[string]bool{}
	present := map[string]stream.ConsumerInfo{}
	for _, c := range s.Present {
		present[c.Name] = c
	}
	for _, c := range s.Consumers {
		ours[c.Name] = true
		shown := admin.ConsumerStatus{Name: c.Name, State: string(c.State), InFlight: int64(c.InFlight), LastActivity: when(c.LastActivity)}
		if c.Connection.Addr != "" {
			shown.Connection = &admin.Connection{ID: c.Connection.ID, Addr: c.Connection.Addr}
		}
		if in, ok := present[c.Name]; ok {
			shown.Pending = new(in.Pending)
		}
		all = append(all, shown)
	}
	for _, c := range s.Present {
		if !ours[c.Name] {
			all = append(all, admin.ConsumerStatus{
				Name: c.Name, State: admin.Elsewhere, Pending: new(c.Pending), LastActivity: when(s.PresentAt.Add(-c.Idle)),
			})
		}
	}
	return all
}

func rate(r fanout.Rates) admin.Rate {
	return admin.Rate{Read: number(r.Read), Settled: number(r.Settled), Added: number(r.Added)}
}

// number is a number as the API shows it: null for unknown.
func number(n float64) *float64 {
	if math.IsNaN(n) {
		return nil
	}
	return &n
}

// when is a time as the API shows it: null for never.
func when(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
