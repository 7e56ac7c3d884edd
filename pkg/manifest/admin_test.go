package manifest_test

import (
	"os"
	"path/filepath"
	"testing"

	"example.com/fanout/pkg/manifest"
)

// Where a process listens is found whatever faults its manifest has elsewhere,
// and never guessed.
func TestLoadAdmin(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		text, listen string
		found        bool
	}{
		"sound":             {"version: 1\nadmin: {listen: \"127.0.0.1:1\"}\ngroups: {a: {handler: log}}\n", "127.0.0.1:1", true},
		"default":           {"version: 1\ngroups: {a: {handler: log, consumer: 1}}\n", "127.0.0.1:7600", true},
		"fault of a group":  {"version: 1\nadmin: {listen: \"127.0.0.1:1\"}\ngroups: {a: {handlr: log}}\n", "127.0.0.1:1", true},
		"no groups":         {"version: 1\nadmin: {listen: \"127.0.0.1:1\"}\n", "127.0.0.1:1", true},
		"fault of admin":    {"version: 1\nadmin: {listen: nowhere}\ngroups: {a: {handler: log}}\n", "", false},
		"unknown key there": {"version: 1\nadmin: {lisen: \"127.0.0.1:1\"}\ngroups: {a: {handler: log}}\n", "", false},
		"admin no mapping":  {"version: 1\nadmin: 5\ngroups: {a: {handler: log}}\n", "", false},
		"no YAML":           {"version: 1\nadmin: {listen: \"127.0.0.1:1\"}\ngroups: [\n", "", false},
		"no manifest":       {"just text\n", "", false},
		"empty":             {"", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "groups.yaml")
			if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			a, found := manifest.LoadAdmin(path, options(testEnv, testFiles))
			if found != tt.found || a.Listen != tt.listen {
				t.Errorf("it listens at %q, %v; want %q, %v", a.Listen, found, tt.listen, tt.found)
			}
		})
	}
	if _, found := manifest.LoadAdmin(filepath.Join(t.TempDir(), "nowhere"), options(testEnv, testFiles)); found {
		t.Error("a file that is not there says where")
	}
}
