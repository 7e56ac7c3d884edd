package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"example.com/fanout/test/redistest"
)

// runManifest is a manifest with one group that logs, and a webhook without a
// secret that is asleep and warns.
func runManifest(t *testing.T, s *redistest.Server, listen string) string {
	t.Helper()
	return write(t, "groups.yaml", fmt.Sprintf(`version: 1
redis: {url: "%s"}
admin: {listen: "%s"}
state: %s
groups:
  audit:
    restart_signal: 35
    handler: log
  asleep:
    enabled: false
    handler: {webhook: {url: "http://127.0.0.1:1/"}}
`, s.URL(), listen, filepath.Join(t.TempDir(), "data", "state.json")))
}

func TestRunUntilCaughtUp(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	config, pid := runManifest(t, s, "off"), filepath.Join(t.TempDir(), "fanout.pid")
	call(t, exitOK, "publish", "-c", config, "--count", "20")
	stdout, stderr := call(t, exitOK, "run", "-c", config, "--until-caught-up", "--pid-file", pid)
	if stdout != "" {
		t.Errorf("standard output has %s", stdout)
	}
	if n := strings.Count(stderr, "group=audit handler=log"); n < 20 {
		t.Errorf("%d lines about entries:\n%s", n, stderr)
	}
	contains(t, stderr, "INFO  fanout starts ", "INFO  restart signal group=audit signal=35\n", "INFO  group created group=audit stream=events_stream after=0-0\n", "INFO  caught up\n")
	if n := strings.Count(stderr, "WARN"); n != 1 {
		t.Errorf("%d warnings, want 1:\n%s", n, stderr)
	}
	if !regexp.MustCompile(`WARN  manifest warning at=\S+groups.yaml:11:\d+ path=groups.asleep.handler.webhook.secret warning="not set: `).MatchString(stderr) {
		t.Errorf("no warning of the manifest:\n%s", stderr)
	}
	if _, err := os.Stat(pid); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the pid file is still there: %v", err)
	}
	groups, err := s.Client().XInfoGroups(t.Context(), "events_stream").Result()
	if err != nil || len(groups) != 1 || groups[0].Pending != 0 {
		t.Errorf("groups %+v, %v", groups, err)
	}
}

func TestRunRefuses(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	good := runManifest(t, s, "off")
	held := filepath.Join(t.TempDir(), "held.pid")
	pid, err := writePID(held)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pid.remove)
	for _, test := range []struct {
		name string
		args []string
		code int
		want []string
	}{
		{"faults", []string{"-c", write(t, "messy.yaml", messy)}, exitManifest, []string{":4:5: groups.audit.consumer: unknown key", "has 3 faults", "nothing was started"}},
		{"unknown group", []string{"-c", good, "--group", "audit,adit"}, exitUsage, []string{"--group: no group adit in the manifest, which has audit, asleep"}},
		{"pid file in use", []string{"-c", good, "--pid-file", held}, exitFailure, []string{"belongs to process ", ", which runs"}},
		{"pid file without a directory", []string{"-c", good, "--pid-file", held + "/x"}, exitFailure, []string{"write pid file: "}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			stdout, stderr := call(t, test.code, append([]string{"run"}, test.args...)...)
			if stdout != "" {
				t.Errorf("standard output has %s", stdout)
			}
			contains(t, stderr, test.want...)
		})
	}
}

// An instance name that was given is one process's alone.
func TestRunInstanceHeld(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	config := runManifest(t, s, "off")
	first := new(caller)
	cancel, wait := first.start(t, "run", "-c", config, "--instance", "blue", "--log-format", "json")
	eventually(t, "group", func() bool { return strings.Contains(first.err.String(), `"msg":"group runs"`) })
	_, stderr := call(t, exitFailure, "run", "-c", config, "--instance", "blue")
	contains(t, stderr, fmt.Sprintf("blue: instance is in use: by process %d on host ", os.Getpid()), "another --instance")

	second := new(caller)
	_, _ = second.start(t, "run", "-c", config, "--instance", "green")
	eventually(t, "second process", func() bool { return strings.Contains(second.err.String(), "group runs") })
	cancel()
	if code := wait(); code != exitOK {
		t.Errorf("exit code %d: %s", code, first.err.String())
	}
	for line := range strings.Lines(first.err.String()) {
		if !strings.HasPrefix(line, "{") {
			t.Errorf("a line that is not JSON: %s", line)
		}
	}
	call(t, exitOK, "run", "-c", config, "--instance", "blue", "--until-caught-up")
}

// A group that is disabled is not run, and that nothing is left to run is said.
func TestRunNothing(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	_, stderr := call(t, exitOK, "run", "-c", runManifest(t, s, "off"), "--group", "asleep", "--until-caught-up")
	contains(t, stderr, "WARN  no group is enabled, nothing runs")
}
