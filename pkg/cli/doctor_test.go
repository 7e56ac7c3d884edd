package cli

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"example.com/fanout/pkg/app"
	"example.com/fanout/test/redistest"
)

func doctorManifest(t *testing.T, url string) string {
	t.Helper()
	return write(t, "groups.yaml", fmt.Sprintf("version: 1\nredis: {url: %q}\nretention: {events_stream: {}}\ngroups: {audit: {handler: log}}\n", url))
}

func TestDoctor(t *testing.T) {
	t.Parallel()
	well := redistest.Start(t, redistest.WithArgs("--appendonly", "yes"))
	evicts := redistest.Start(t, redistest.WithArgs("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lfu"))
	gone := redistest.Start(t)
	gone.Stop(t)
	for _, test := range []struct {
		name string
		s    *redistest.Server
		code int
		want []string
	}{
		{"well", well, exitOK, []string{"ok  server ", "\nall is well\n"}},
		{"evicts", evicts, exitFailure, []string{
			"\nfail  eviction ", "\n                    mend: CONFIG SET maxmemory-policy noeviction", "\nwarn  persistence ", "\n1 failure, 1 warning\n",
		}},
		{"gone", gone, exitFailure, []string{"fail  redis    ", "nothing listens at the address", "\n1 failure\n"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			config := doctorManifest(t, test.s.URL())
			stdout, stderr := call(t, test.code, "doctor", "-c", config)
			contains(t, stdout, test.want...)
			if stderr != "" {
				t.Errorf("standard error has %s", stderr)
			}

			stdout, _ = call(t, test.code, "doctor", "-c", config, "-o", "json")
			var answer struct {
				OK       bool
				Findings []app.Finding
			}
			if err := json.Unmarshal([]byte(stdout), &answer); err != nil {
				t.Fatalf("%v: %s", err, stdout)
			}
			if answer.OK != (test.code == exitOK) || len(answer.Findings) < 2 {
				t.Errorf("ok is %v: %s", answer.OK, stdout)
			}
		})
	}
}

// What Redis and the manifest hold cannot steer the terminal.
func TestDoctorPrintsSafely(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	s.Do(t, "XGROUP", "CREATE", "events_stream", "\x1b[31mred", "0", "MKSTREAM")
	stdout, _ := call(t, exitOK, "doctor", "-c", doctorManifest(t, s.URL()))
	if strings.Contains(stdout, "\x1b") {
		t.Errorf("control characters are printed: %q", stdout)
	}
	contains(t, stdout, `warn  orphans`, `\x1b[31mred`)

	terminal := &caller{terminal: true}
	stdout, _ = terminal.call(t, exitOK, "doctor", "-c", doctorManifest(t, s.URL()))
	contains(t, stdout, yellow+"warn"+plain, green+"ok"+plain)
}

func TestDoctorRefuses(t *testing.T) {
	t.Parallel()
	_, stderr := call(t, exitFailure, "doctor", "-c", write(t, "groups.yaml", messy))
	contains(t, stderr, ":4:5: groups.audit.consumer: unknown key")
}
