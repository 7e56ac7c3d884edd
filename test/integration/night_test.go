package integration

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"example.com/fanout/pkg/admin"
	"example.com/fanout/pkg/telemetry"
	"example.com/fanout/test/integration/faulty"
)

// eventuallySays asks until the command prints all of the parts.
func (p *process) eventuallySays(s *site, parts []string, args ...string) {
	p.t.Helper()
	eventually(p.t, 10*time.Second, "say "+strings.Join(parts, ", "), func() error {
		stdout, stderr, _ := commandAt(s, p.admin, args...)
		for _, part := range parts {
			if !strings.Contains(stdout+stderr, part) {
				return errors.New(stdout + stderr)
			}
		}
		return nil
	})
}

// Every error of the admin server is JSON that says what is wrong and what to do,
// whatever the request.
func TestEveryErrorSaysWhatToDo(t *testing.T) {
	t.Parallel()
	s := newSite(t).adminManifest("pprof: true", faultyGroup("a"))
	p := s.run().ready()
	paths := []string{
		"/x", "/v1", "/v1/groups/", "/v1/groups", "/v1/groups/nobody", "/v1/groups/a", "/v1/groups/a/x", "/v1/config", "/metrics", "/healthz",
		"/v1/explain/x", "/v1/explain/1-0?stream=x", "/v1/reload?dry_run=x", "/v1/events?recent=x", "/v1/events?group=x",
		"/v1/groups/a/pending?limit=x", "/v1/groups/a/pending?min_idle=-5s", "/v1/groups/a/dead?since=x", "/v1/groups/a/dead?limit=x",
		"/debug/pprof/x", "/debug/pprof/profile?seconds=x",
	}
	for _, group := range []string{"a", "nobody"} {
		for _, what := range []string{"restart", "pause", "resume", "stop", "start", "position", "pending", "dead", "dead/x", "dead/1-1", "dead/replay"} {
			paths = append(paths, "/v1/groups/"+group+"/"+what)
		}
	}
	errs := 0
	for _, path := range paths {
		for _, method := range []string{"GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"} {
			if method == "POST" && path == "/v1/groups/a/restart" {
				continue // it has no body, and reads none
			}
			for _, body := range []string{"[", `{"nonsense": 1}`} {
				status, text := p.request(method, path, body)
				if status < 400 {
					continue
				}
				errs++
				var problem struct{ Error, Hint string }
				if err := json.Unmarshal([]byte(text), &problem); err != nil || problem.Error == "" || problem.Hint == "" {
					t.Errorf("%s %s %s answers %d %.200s, %v", method, path, body, status, text, err)
				}
			}
		}
	}
	if errs < 400 {
		t.Errorf("%d requests were refused", errs)
	}
	if g, err := p.groupOf("a"); err != nil || g.Incarnation != 1 || g.State != "running" {
		t.Errorf("a request that is not understood has changed the group: %+v, %v", g, err)
	}
	p.stop()
}

// A manifest that was broken while its process runs hides the process from nobody:
// the commands find it, and say that a reload was refused, until one is not.
func TestBrokenManifestHidesNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t).manifest(faultyGroup("a"))
	p := s.run().ready()
	if list := answer[admin.GroupList](p, s, "status"); list.Reload != nil {
		t.Errorf("before any reload there is %+v", list.Reload)
	}
	sound, err := os.ReadFile(s.path("groups.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	s.manifest(faultyGroup("a") + "  b: {handlr: log}\n")
	p.says(s, 1, []string{"groups.b.handlr: unknown key", "nothing has changed"}, "reload")
	p.says(s, 0, []string{
		"groups.yaml has 2 faults now, fanout check shows them", "a      OK",
		"reload refused ", "groups.b.handler: is missing", "→ fanout check shows all faults",
	}, "status")
	p.says(s, 0, []string{" - reload refused: groups.yaml:"}, "events")
	p.says(s, 0, []string{"a is paused"}, "pause", "a")
	p.says(s, 0, []string{"a is running"}, "resume", "a")

	s.file("groups.yaml", string(sound)+"admin: [\n")
	p.says(s, 1, []string{"name it with --admin ADDRESS"}, "status")
	p.says(s, 0, []string{"reload refused "}, "status", "--admin", p.admin)

	s.file("groups.yaml", string(sound))
	p.says(s, 0, []string{"keep    a"}, "reload")
	if list := answer[admin.GroupList](p, s, "status"); list.Reload == nil || !list.Reload.Done {
		t.Errorf("after one that was done there is %+v", list.Reload)
	}
	p.stop()
}

// A process whose admin address is another's takes it as soon as that one ends.
func TestAdminAddressComesBack(t *testing.T) {
	t.Parallel()
	s := newSite(t).manifest(faultyGroup("a"))
	first := s.run("--instance", "first").ready()
	second := spawn(t, s.command(faultyBinary, first.admin, "run", "--log-format", "json", "--instance", "second"), first.admin)
	second.logs("admin address is taken, another port is used until it is free")
	second.says(s, 0, []string{"first-0"}, "status", "a")
	first.stop()
	eventually(t, 20*time.Second, "answer at the address", func() error {
		stdout, stderr, code := commandAt(s, first.admin, "status", "a")
		if code != 0 || !strings.Contains(stdout, "second-0 reading") {
			return errors.New(stdout + stderr)
		}
		return nil
	})
	second.stop()
}

// While Redis is away at the start the groups are there, in the status and in the
// metrics, and say what they wait for.
func TestGroupsAreSeenBeforeRedis(t *testing.T) {
	t.Parallel()
	s := newSite(t).manifest(faultyGroup("a"))
	s.redis.Stop(t)
	p := s.run()
	p.eventuallySays(s, []string{"STALLED", "redis: nothing listens", "→ "}, "status")
	for series, labels := range map[string][]string{
		"fanout_group_state":                   {`group="a"`, `state="starting"`},
		"fanout_group_verdict":                 {`group="a"`, `verdict="stalled"`},
		"fanout_config_last_reload_successful": nil,
	} {
		if got := p.metric(series, labels...); got != 1 {
			t.Errorf("%s%v is %v", series, labels, got)
		}
	}
	s.redis.Restart(t)
	p.ready()
	p.verdict(20*time.Second, "a", telemetry.VerdictOK, "")
	p.stop()
}

// What an operator breaks at night is named within seconds, with what to do.
func TestWhatIsBrokenIsNamed(t *testing.T) {
	t.Parallel()
	s := newSite(t).manifest(faultyGroup("a"))
	p := s.run().ready()
	book := "{" + eventsStream + "}:fanout:losses:a"
	s.redis.Do(t, "DEL", book)
	s.redis.Do(t, "SET", book, "x")
	p.eventuallySays(s, []string{"losses cannot be looked for: ", "WRONGTYPE"}, "status")
	p.says(s, 1, []string{"OK a: losses cannot be looked for: "}, "status", "--check")
	p.says(s, 1, []string{"the key " + book + " holds a string"}, "doctor")
	s.redis.Do(t, "DEL", book)

	s.redis.Do(t, "CONFIG", "SET", "requirepass", "other")
	s.redis.Do(t, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
	p.eventuallySays(s, []string{"STALLED", "asks for a password: set redis.password", "→ fanout doctor"}, "status")
	p.says(s, 1, []string{"asks for a password: set redis.password"}, "doctor")
	p.eventuallySays(s, []string{" a verdict STALLED: redis: "}, "events")
	p.stop()
}

// Poison is named by the events and the status, with where to look.
func TestPoisonIsNamed(t *testing.T) {
	t.Parallel()
	s := newSite(t).manifest(faultyGroup("a"))
	s.board.Tell("a", faulty.Verdict{Act: faulty.Permanent})
	p := s.run().ready()
	s.publish(events(trades(1, 2))...)
	p.eventuallySays(s, []string{" a dead-letters 2 dead letters written (handle 2); fanout dead list a tells why"}, "events")
	p.eventuallySays(s, []string{"letters      2, fanout dead list a tells why", "told to permanent"}, "status", "a")
	p.stop()
}
