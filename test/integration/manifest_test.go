package integration

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// A messy manifest gives the whole list of its faults, each at its line, and
// nothing is started.
func TestMessyManifest(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		text   string
		faults []string // "line: part of the message"
	}{
		{"many faults at once", `version: 1
defaults:
  timeout: 30x
  retrys: {attempts: 3}
groups:
  analytics:
    consumer: 4
    restart_signal: 35
    handler: {log: {}}
  Bad_Name:
    handler: {log: {}}
  twice:
    restart_signal: RTMIN+1
    where: stake.value >=
    handler: {log: {}, sql: {}}
  unknown:
    handler: {lgo: {}}
  impatient:
    timeout: 2m
    claim: {min_idle: 1m}
    handler: {sql: {dsn: "${NOT_SET}", table: t, columns: {a: b}, tabel: x}}
`, []string{
			"3: defaults.timeout: ",
			`4: defaults.retrys: unknown key (did you mean "retry"?)`,
			`7: groups.analytics.consumer: unknown key (did you mean "consumers"?)`,
			"10: ",
			"13: groups.twice.restart_signal: ",
			"14: groups.twice.where: ",
			"15: groups.twice.handler",
			"17: groups.unknown.handler",
			"20: groups.impatient.claim.min_idle: ",
			"21: groups.impatient.handler.sql.dsn: ",
			"21: groups.impatient.handler.sql.tabel: ",
		}},
		{"the same key twice", "version: 1\ngroups:\n  a:\n    handler: {log: {}}\n  a:\n    handler: {log: {}}\n", []string{"5: "}},
		{"no YAML", "version: 1\ngroups: [\n", []string{"2: "}},
		{"another version", "version: 2\ngroups:\n  a:\n    handler: {log: {}}\n", []string{"1: version: "}},
		{"no groups", "version: 1\n", []string{"groups"}},
		{"empty", "", []string{"groups.yaml:"}},
		{"binary", "version: 1\x00\xff", []string{"groups.yaml:"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newDir(t).file("groups.yaml", tt.text)

			stdout, stderr, code := command(t, s, "check")
			if code != 1 {
				t.Errorf("check ended with %d, want 1", code)
			}
			hasFaults(t, "check", stdout+stderr, tt.faults)

			stdout, _, code = command(t, s, "check", "-o", "json")
			if code != 1 || !json.Valid([]byte(stdout)) {
				t.Errorf("check -o json ended with %d and wrote %s", code, stdout)
			}

			began := time.Now()
			stdout, stderr, code = command(t, s, "run")
			if code != 78 {
				t.Errorf("run ended with %d, want 78", code)
			}
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("run took %v to refuse the manifest", took)
			}
			hasFaults(t, "run", stdout+stderr, tt.faults)
		})
	}
}

// hasFaults wants each fault on a line of its own; what begins with a number is
// looked for behind the file's name.
func hasFaults(t *testing.T, what, output string, faults []string) {
	t.Helper()
	lines := strings.Split(output, "\n")
	used := map[int]bool{}
next:
	for _, fault := range faults {
		number, message, numbered := strings.Cut(fault, ": ")
		for i, line := range lines {
			if used[i] {
				continue
			}
			if !numbered && strings.Contains(line, fault) ||
				numbered && strings.Contains(line, "groups.yaml:"+number+":") && strings.Contains(line, message) {
				used[i] = true
				continue next
			}
		}
		t.Errorf("%s does not tell the fault %q:\n%s", what, fault, output)
	}
}

// A secret of the manifest never comes back out of it.
func TestFaultsHideSecrets(t *testing.T) {
	t.Parallel()
	const secret = "hunter2"
	s := newDir(t).file("groups.yaml", fmt.Sprintf(`version: 1
redis: {url: "redis://user:%[1]s@127.0.0.1:port/0", password: %[1]s, password_file: x}
groups:
  a:
    handler: {webhook: {url: "http://user:%[1]s@127.0.0.1:bad/", secret: "%[1]s"}}
`, secret))
	for _, args := range [][]string{{"check"}, {"check", "-o", "json"}, {"run"}} {
		stdout, stderr, code := command(t, s, args...)
		if code == 0 {
			t.Errorf("%v found no fault", args)
		}
		if strings.Contains(stdout+stderr, secret) {
			t.Errorf("%v shows a secret:\n%s%s", args, stdout, stderr)
		}
	}
}
