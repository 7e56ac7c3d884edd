package admin_test

import (
	"errors"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"example.com/fanout/pkg/admin"
	"example.com/fanout/pkg/telemetry"
)

func TestRoutes(t *testing.T) {
	t.Parallel()
	addr := serve(t, running("analytics", "persistence"))
	for _, tt := range []struct {
		method, path string
		status       int
		has          string
	}{
		{"GET", "/healthz", 200, "alive"},
		{"GET", "/readyz", 200, "ready"},
		{"GET", "/metrics", 200, "fanout_up 1"},
		{"GET", "/v1/groups", 200, `{"groups":[{"name":"analytics"`},
		{"GET", "/v1/groups/persistence", 200, `{"name":"persistence"`},
		{"HEAD", "/v1/groups", 200, ""},
		{"POST", "/v1/groups/analytics/restart", 202, `{"group":"analytics"}`},

		{"GET", "/", 404, `"error":"no such path"`},
		{"GET", "/v1", 404, `"hint":"there are /healthz, /metrics, /readyz, /v1/groups, /v1/groups/{name}, /v1/groups/{name}/restart"`},
		{"GET", "/v1/groups/", 404, `"error"`},
		{"GET", "//v1/groups", 404, `"error"`},
		{"GET", "/v1/../v1/groups", 404, `"error"`},
		{"POST", "/v1/groups//restart", 404, `"error"`},
		{"GET", "/v1/groups/analytics/", 404, `"error"`},
		{"GET", "/v1/groups/a/b/c", 404, `"error"`},
		{"POST", "/nowhere", 404, `"error"`},

		{"GET", "/v1/groups/analytics/restart", 405, `"hint":"use POST"`},
		{"DELETE", "/v1/groups/analytics", 405, `"hint":"use GET, HEAD"`},
		{"POST", "/metrics", 405, `"error"`},
		{"OPTIONS", "/v1/groups", 405, `"error"`},
		{"BREW", "/healthz", 405, `"error"`},
	} {
		t.Run(tt.method+" "+tt.path, func(t *testing.T) {
			t.Parallel()
			got := ask(t, addr, tt.method, tt.path)
			if got.status != tt.status || !strings.Contains(got.body, tt.has) {
				t.Errorf("answer is %d %s, want %d with %s", got.status, got.body, tt.status, tt.has)
			}
			if tt.status >= 400 {
				answer := got.json(t)
				if answer["error"] == "" || answer["hint"] == "" {
					t.Errorf("an error without words or without hint: %s", got.body)
				}
			}
			if allow := got.header.Get("Allow"); (allow != "") != (tt.status == 405) {
				t.Errorf("Allow is %q with status %d", allow, tt.status)
			}
			if got.header.Get("Access-Control-Allow-Origin") != "" || got.header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("headers are %v", got.header)
			}
		})
	}
}

func TestRestart(t *testing.T) {
	t.Parallel()
	f := running("analytics", "persistence", "a b")
	addr := serve(t, f)
	ask(t, addr, "POST", "/v1/groups/persistence/restart")
	ask(t, addr, "GET", "/v1/groups/analytics/restart")
	ask(t, addr, "POST", "/v1/groups/a%20b/restart")
	if got := f.restarts(); got != "persistence a b" {
		t.Errorf("restarted %q, want persistence and a b", got)
	}

	f = running("analytics")
	f.restartErr = errors.New("group is draining")
	got := ask(t, serve(t, f), "POST", "/v1/groups/analytics/restart")
	if answer := got.json(t); got.status != 409 || answer["error"] != "group is draining" {
		t.Errorf("a refused restart answers %d %s", got.status, got.body)
	}
}

func TestUnknownGroup(t *testing.T) {
	t.Parallel()
	addr := serve(t, running("analytics", "persistence", "notifications"))
	none := serve(t, running())
	for _, tt := range []struct {
		addr, method, path, hint string
	}{
		{addr, "GET", "/v1/groups/analytic", "did you mean analytics?"},
		{addr, "POST", "/v1/groups/persistance/restart", "did you mean persistence?"},
		{addr, "GET", "/v1/groups/NOTIF", "did you mean notifications?"},
		{addr, "GET", "/v1/groups/zzz", "the groups are analytics, persistence, notifications"},
		{addr, "GET", "/v1/groups/" + strings.Repeat("a", 5000), "the groups are analytics, persistence, notifications"},
		{addr, "GET", "/v1/groups/%00%1b%ff", "the groups are analytics, persistence, notifications"},
		{none, "GET", "/v1/groups/zzz", "no group runs"},
	} {
		got := ask(t, tt.addr, tt.method, tt.path)
		if answer := got.json(t); got.status != 404 || answer["hint"] != tt.hint {
			t.Errorf("%.40s answers %d %.200s, want 404 with hint %q", tt.path, got.status, got.body, tt.hint)
		}
		if len(got.body) > 1000 {
			t.Errorf("%.40s gets an answer of %d bytes", tt.path, len(got.body))
		}
	}
}

func TestHealth(t *testing.T) {
	t.Parallel()
	f := running("analytics")
	f.health = admin.Health{Reasons: []string{"loop of analytics-0 is stuck\nsince 10:32"}}
	addr := serve(t, f)
	got := ask(t, addr, "GET", "/healthz")
	if want := "not alive\nloop of analytics-0 is stuck since 10:32\n"; got.status != 503 || got.body != want {
		t.Errorf("answer is %d %q, want 503 %q", got.status, got.body, want)
	}
	answer := ask(t, addr, "GET", "/healthz", "Accept", "application/json").json(t)
	if answer["alive"] != false || len(answer["reasons"].([]any)) != 1 {
		t.Errorf("JSON is %v", answer)
	}
	if got := ask(t, addr, "GET", "/readyz"); got.status != 200 {
		t.Errorf("readiness of a running group is %d %s", got.status, got.body)
	}
}

func TestReadiness(t *testing.T) {
	t.Parallel()
	since := time.Date(2025, 11, 23, 10, 32, 0, 0, time.UTC)
	retry := since.Add(time.Minute)
	for name, tt := range map[string]struct {
		status admin.GroupStatus
		want   []string // reasons; none: ready
	}{
		"running": {status: admin.GroupStatus{State: telemetry.StateRunning, LastError: &admin.Failure{Error: "long ago"}}},
		"paused":  {status: admin.GroupStatus{State: telemetry.StatePaused}},
		"starting": {
			admin.GroupStatus{State: telemetry.StateStarting, Since: since},
			[]string{"starting since 2025-11-23T10:32:00Z"},
		},
		"tripped": {
			admin.GroupStatus{State: telemetry.StateTripped, Since: since, NextRetry: &retry, LastError: &admin.Failure{Error: "no such table: trades"}},
			[]string{"tripped since 2025-11-23T10:32:00Z, next try at 2025-11-23T10:33:00Z: no such table: trades"},
		},
		"backing off": {admin.GroupStatus{State: telemetry.StateBackingOff}, []string{"backing-off"}},
		"draining":    {admin.GroupStatus{State: telemetry.StateDraining}, []string{"draining"}},
		"stopped":     {admin.GroupStatus{State: telemetry.StateStopped}, []string{"stopped"}},
		"no state":    {admin.GroupStatus{}, []string{"not started"}},
		"stuck": {
			admin.GroupStatus{State: telemetry.StateRunning, StuckCalls: 2, AbandonedCalls: 1},
			[]string{"2 calls of the handler run past their deadline", "1 calls of the handler outlived a restart"},
		},
		"problems": {
			admin.GroupStatus{State: telemetry.StateRunning, Problems: []string{"dead letters full", "sink\x1b[2J unavailable"}},
			[]string{"dead letters full", "sink\x1b[2J unavailable"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := running("healthy")
			tt.status.Name = "g"
			f.groups = append(f.groups, tt.status)
			addr := serve(t, f)

			status, text := 200, "ready\n"
			if len(tt.want) > 0 {
				status, text = 503, "not ready\n"
				for _, reason := range tt.want {
					text += "g: " + strings.ReplaceAll(reason, "\x1b", " ") + "\n"
				}
			}
			if got := ask(t, addr, "GET", "/readyz"); got.status != status || got.body != text {
				t.Errorf("answer is %d %q, want %d %q", got.status, got.body, status, text)
			}

			got := ask(t, addr, "GET", "/readyz", "Accept", "text/html, application/json")
			answer := got.json(t)
			if got.status != status || answer["ready"] != (status == 200) {
				t.Errorf("JSON answer is %d %s", got.status, got.body)
			}
			groups := answer["groups"].([]any)
			if len(tt.want) == 0 {
				if len(groups) != 0 {
					t.Errorf("JSON names groups: %s", got.body)
				}
				return
			}
			group := groups[0].(map[string]any)
			if len(groups) != 1 || group["name"] != "g" || len(group["reasons"].([]any)) != len(tt.want) {
				t.Errorf("JSON is %s, want g alone with %q", got.body, tt.want)
			}
		})
	}
}

// What a client may rely on: every key is there, lists are lists, what is not
// known is null.
func TestWireForm(t *testing.T) {
	t.Parallel()
	addr := serve(t, running("g"))
	one, all := ask(t, addr, "GET", "/v1/groups/g").body, ask(t, addr, "GET", "/v1/groups").body
	if want := `{"groups":[` + strings.TrimSpace(one) + `],"reload":null}` + "\n"; all != want {
		t.Errorf("the group is %s alone and %s in the list", one, all)
	}
	got := ask(t, addr, "GET", "/v1/groups/g").json(t)
	for _, key := range []string{"restarts", "read", "settled", "lost"} {
		if _, ok := got[key].(map[string]any); !ok {
			t.Errorf("%s is %v, want an object", key, got[key])
		}
	}
	for _, key := range []string{"problems", "consumers", "losses"} {
		if _, ok := got[key].([]any); !ok {
			t.Errorf("%s is %v, want a list", key, got[key])
		}
	}
	for _, key := range []string{"last_restart", "next_retry", "last_error", "last_success", "observed_at", "oldest_pending_seconds", "lag", "lag_seconds"} {
		if v, ok := got[key]; !ok || v != nil {
			t.Errorf("%s is %v (present %v), want null", key, v, ok)
		}
	}
	if got["lag_known"] != false {
		t.Errorf("lag_known is %v", got["lag_known"])
	}
	if list := ask(t, serve(t, &fake{}), "GET", "/v1/groups").body; list != `{"groups":[],"reload":null}`+"\n" {
		t.Errorf("the list of no groups is %s", list)
	}
}

func TestNumbersThatJSONDoesNotHave(t *testing.T) {
	t.Parallel()
	f := running("g")
	f.groups[0].LagSeconds = new(math.NaN())
	got := ask(t, serve(t, f), "GET", "/v1/groups")
	if answer := got.json(t); got.status != http.StatusInternalServerError || answer["error"] == "" {
		t.Errorf("answer is %d %s", got.status, got.body)
	}
}
