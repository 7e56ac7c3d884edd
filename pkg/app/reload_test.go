package app_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"example.com/fanout/pkg/admin"
	"example.com/fanout/pkg/app"
	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/manifest"
	"example.com/fanout/pkg/telemetry"
	"example.com/fanout/test/redistest"
)

// While Redis is away the process waits, says why, and takes up a new manifest;
// then it runs that.
func TestReloadBeforeStart(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	s.Stop(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	r := newRig(t).manifest(s.URL(), groups("a", "b")+"  asleep: {enabled: false, handler: log}\n").start(func(c *app.Config) { c.Admin = l })
	r.logs("groups wait for redis")
	shown := func() admin.GroupList {
		t.Helper()
		resp, err := http.Get("http://" + address + "/v1/groups")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var list admin.GroupList
		if err := json.NewDecoder(resp.Body).Decode(&list); err != nil {
			t.Fatal(err)
		}
		return list
	}
	if list := shown().Groups; len(list) != 2 || list[0].State != telemetry.StateStarting || !strings.HasPrefix(strings.Join(list[0].Problems, ""), "redis: ") {
		t.Errorf("groups %+v", list)
	}
	series := func(text string, there bool) {
		t.Helper()
		resp, err := http.Get("http://" + address + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil || strings.Contains(string(body), text) != there {
			t.Errorf("%s: want %v, %v", text, there, err)
		}
	}
	series(`fanout_group_state{group="a",state="starting"} 1`, true)
	series(`group="asleep"`, false)
	if err := r.app.Restart("a", telemetry.CauseRequest); err == nil || !strings.Contains(err.Error(), "groups are not started yet: redis: ") {
		t.Errorf("a restart before the start: %v", err)
	}

	r.manifest(s.URL(), "  a: {handler: nonsense}\n")
	if _, err := r.app.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), "groups.yaml:9:") {
		t.Errorf("a faulty manifest: %v", err)
	}
	r.manifest(s.URL(), groups("b", "c"))
	plan, err := r.app.Reload(t.Context())
	if err != nil || fmt.Sprint(plan.Start, plan.Keep, plan.Stop) != "[c] [b] [a]" {
		t.Errorf("plan %+v, %v", plan, err)
	}
	if list := shown().Groups; len(list) != 2 || list[1].Name != "c" {
		t.Errorf("groups %+v", list)
	}
	series(`group="a"`, false)
	series(`fanout_group_state{group="c",state="starting"} 1`, true)
	s.Restart(t)
	r.runs("b c")
	r.logs("redis answers")
	r.stop()
	if err := r.end(); err != nil {
		t.Fatal(err)
	}
	if resp, err := http.Get("http://" + address + "/v1/groups"); err == nil {
		resp.Body.Close()
		t.Error("the admin server still answers")
	}
}

func TestReload(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	r := newRig(t).manifest(s.URL(), groups("a", "b")).start()
	r.runs("a b")
	incarnations := func() string { return fmt.Sprint(r.app.Status()[0].Incarnation, r.app.Status()[0].Since) }
	before := incarnations()

	r.manifest(s.URL(), groups("a")+"  b: {handler: log, consumer: 3}\n  c: {handler: nonsense}\n")
	_, err := r.app.Reload(t.Context())
	var faults manifest.Faults
	if !errors.As(err, &faults) || len(faults) != 2 {
		t.Fatalf("want two faults: %v", err)
	}
	if r.running() != "a b" {
		t.Errorf("a refused reload has left %q", r.running())
	}

	r.manifest(s.URL(), groups("a", "c"))
	plan, err := r.app.Reload(t.Context())
	if err != nil || fmt.Sprint(plan.Start, plan.Stop, plan.Keep) != "[c] [b] [a]" {
		t.Errorf("plan %+v, %v", plan, err)
	}
	r.runs("a c")
	if incarnations() != before {
		t.Errorf("the group that stays was touched: %s, was %s", incarnations(), before)
	}
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	r.stop()
	if err := r.end(); err != nil {
		t.Fatal(err)
	}
	r.manifest(s.URL(), groups("d"))
	if _, err := r.app.Reload(stopped); err == nil {
		t.Error("a reload after the end works")
	}
}

// The numbers of restart signals are said when they are new.
func TestReloadAnnouncesSignals(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	group := func(name, keys string) string { return "  " + name + ": {handler: {log: {level: none}}" + keys + "}\n" }
	r := newRig(t).manifest(s.URL(), group("a", ", restart_signal: 40")+group("b", ", restart_signal: 41, enabled: false")).start()
	r.runs("a")
	said := func() string {
		var all []string
		for line := range strings.Lines(r.log.String()) {
			if _, what, ok := strings.Cut(line, "restart signal "); ok {
				all = append(all, strings.TrimSpace(what))
			}
		}
		return strings.Join(all, "; ")
	}
	want := "group=a signal=40"
	for _, step := range []struct{ groups, more string }{
		{group("a", ", restart_signal: 40") + group("b", ", restart_signal: 41"), "; group=b signal=41"},
		{group("a", ", restart_signal: 42") + group("b", ", restart_signal: 41") + group("c", ""), "; group=a signal=42"},
		{group("a", "") + group("b", ", restart_signal: 41, consumers: 2"), ""},
	} {
		r.manifest(s.URL(), step.groups)
		if _, err := r.app.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		want += step.more
		if got := said(); got != want {
			t.Errorf("said %s, want %s", got, want)
		}
	}
}

// badCheck panics when it is checked after a while.
type badCheck struct {
	scripted
	panics *bool
}

func (b *badCheck) Check() []handler.Finding {
	if *b.panics {
		panic("check is broken")
	}
	return nil
}

// A panic of somebody's own handler is a fault of the manifest, not the end.
func TestReloadSurvivesPanic(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	r := newRig(t)
	panics := false
	r.registry.Register("bad", handler.Factory{Config: func() handler.Config { return &badCheck{panics: &panics} }})
	r.manifest(s.URL(), groups("a")+"  b: {handler: bad}\n").start().runs("a b")
	panics = true
	if _, err := r.app.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), "check is broken") {
		t.Errorf("reload: %v", err)
	}
	if r.running() != "a b" {
		t.Errorf("running: %s", r.running())
	}
}
