package manifest_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"example.com/fanout/pkg/manifest"
)

var update = flag.Bool("update", false, "write the faults that were found to testdata")

// The environment and the files of all manifests in testdata.
var (
	testEnv = map[string]string{
		"REDIS":    "redis://:rediss3cret@127.0.0.1:6379/0",
		"TABLE":    "trades",
		"EMPTY":    "",
		"N":        "3",
		"WORD":     "many",
		"PASSWORD": "hunter2hunter2",
		"INJECT":   "a\n  b: {c: d}\n- e",
	}
	testFiles = map[string]string{
		"/run/secrets/webhook": "whsec_c2VjcmV0c2VjcmV0\n",
		"/run/secrets/number":  "fortytwo-secret\n",
	}
	// testSecrets must not be in any fault.
	testSecrets = []string{"rediss3cret", "hunter2", "whsec_c2Vj", "fortytwo", "topsecret"}
)

func parseFile(t *testing.T, path string) (*manifest.Manifest, manifest.Faults) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return manifest.Parse(filepath.Base(path), data, options(testEnv, testFiles))
}

func TestGoodFiles(t *testing.T) {
	t.Parallel()
	for _, path := range append(glob(t, "testdata/*.good.yaml"), "../../groups.yaml") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			m, faults := parseFile(t, path)
			if err := faults.Err(); err != nil {
				t.Fatalf("faults in a good file:\n%v", err)
			}
			if len(m.Groups) == 0 {
				t.Fatal("no groups")
			}
			golden(t, path, faults)
		})
	}
}

// Each bad file has all its faults beside it. "go test -update" writes them;
// read what it wrote.
func TestBadFiles(t *testing.T) {
	t.Parallel()
	for _, path := range glob(t, "testdata/*.bad.yaml") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			m, faults := parseFile(t, path)
			if m != nil || faults.Err() == nil {
				t.Fatal("no faults in a bad file")
			}
			golden(t, path, faults)
			for _, secret := range testSecrets {
				if strings.Contains(faults.Error(), secret) {
					t.Errorf("the faults show the secret %q", secret)
				}
			}
		})
	}
}

func golden(t *testing.T, path string, faults manifest.Faults) {
	t.Helper()
	got := faults.Error()
	if got != "" {
		got += "\n"
	}
	file := filepath.Join("testdata", strings.TrimSuffix(filepath.Base(path), ".yaml")+".txt")
	if *update {
		if got == "" {
			os.Remove(file)
		} else if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("faults of %s:\n%s\nwant (%s):\n%s", path, got, file, want)
	}
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil || len(paths) == 0 {
		t.Fatalf("no files %s (%v)", pattern, err)
	}
	return paths
}

// fuzzSeeds gives the text of every file in testdata.
func fuzzSeeds(f *testing.F) []string {
	f.Helper()
	paths, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(paths) == 0 {
		f.Fatalf("no files in testdata (%v)", err)
	}
	var texts []string
	for _, path := range append(paths, "../../groups.yaml") {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		texts = append(texts, string(data))
	}
	return texts
}
