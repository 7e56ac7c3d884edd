package manifest_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"example.com/fanout/pkg/manifest"
)

// Each of these is refused with words, in little time.
func TestHostileFiles(t *testing.T) {
	t.Parallel()
	laughs := "version: 1\nstate: &a0 x\ngroups:\n  a:\n    handler: log\n    x0: &b0 [x,x,x,x,x,x,x,x,x,x]\n"
	for i := 1; i < 9; i++ {
		alias := fmt.Sprintf("*b%d", i-1)
		laughs += fmt.Sprintf("    x%d: &b%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(alias+",", 10), ","))
	}
	var unknown strings.Builder
	unknown.WriteString("version: 1\ngroups: {a: {handler: log}}\n")
	for i := range 60_000 {
		fmt.Fprintf(&unknown, "c%d: 1\n", i)
	}
	for _, test := range []struct{ name, text, fault string }{
		{"billion laughs", laughs, "aliases counted as often as they stand"},
		{"deep flow", "version: 1\ngroups: " + strings.Repeat("[", 9000) + strings.Repeat("]", 9000), "nested deeper than 32"},
		{"deeper flow", "groups: " + strings.Repeat("{a: ", 60000), "exceeded max depth"},
		{"deep block", "groups:\n" + indented(400), "nested deeper than 32"},
		{"large", "# " + strings.Repeat("x", 1<<20), "larger than 1MiB"},
		{"comments", strings.Repeat("#\n", 500_000), "the file is empty"},
		{"comments on nothing", "groups:\n" + strings.Repeat("# x\n", 200_000), "needs at least one group"},
		{"many faults", unknown.String(), "59000 more faults are not listed"},
		{"long key", "version: 1\n" + strings.Repeat("k", 1000) + ": 1\ngroups: {a: {handler: log}}", "unknown key"},
		{"control characters", "version: 1\n\"\\e[31m\\0\": 1\ngroups: {a: {handler: log}}", "unknown key"},
		{"escape in value", "version: \"\\e[31m\"\ngroups: {a: {handler: log}}", "want a whole number, got"},
		{"question marks", strings.Repeat("? ", 9000), ""},
		{"anchors", "version: 1\ngroups: &a {a: {handler: log}, b: {handler: *a}}", "inside its own anchor"},
		{"many expansions", "version: 1\ngroups: {a: {handler: log, x: [" + strings.Repeat("\"${BIG}\",", 40) + "]}}", "the expanded values exceed 16MiB"},
		{"expansion", "version: 1\ngroups: {a: {handler: log, where: \"" + strings.Repeat("${BIG}", 40) + "\"}}", "the expanded values exceed 16MiB"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			begin := time.Now()
			m, faults := manifest.Parse("groups.yaml", []byte(test.text), options(map[string]string{"BIG": strings.Repeat("x", 1<<20)}, nil))
			if took := time.Since(begin); took > 20*time.Second {
				t.Errorf("took %v", took)
			}
			if m != nil || faults.Err() == nil {
				t.Fatal("no fault")
			}
			text := faults.Error()
			if !strings.Contains(text, test.fault) {
				t.Errorf("want %q in:\n%.2000s", test.fault, text)
			}
			checkFaults(t, test.text, faults)
		})
	}
}

func indented(depth int) string {
	var b strings.Builder
	for i := range depth {
		fmt.Fprintf(&b, "%sa:\n", strings.Repeat(" ", i+1))
	}
	return b.String()
}

// checkFaults checks what holds for the faults of every file.
func checkFaults(t *testing.T, text string, faults manifest.Faults) {
	t.Helper()
	lines := strings.Count(strings.TrimSuffix(text, "\n"), "\n") + 1
	last := manifest.Fault{}
	for i, f := range faults {
		if f.Line < 1 || f.Line > lines || f.Column < 1 || f.Message == "" || f.File == "" {
			t.Errorf("fault outside of the %d lines of the file: %+v", lines, f)
		}
		if strings.ContainsFunc(f.String(), func(r rune) bool { return r < ' ' || r == 0x7f }) {
			t.Errorf("control characters in %q", f.String())
		}
		if len(f.String()) > 8192 {
			t.Errorf("a fault of %d bytes", len(f.String()))
		}
		if i > 0 && (f == last || f.Line < last.Line) {
			t.Errorf("not in order, or twice: %v", f)
		}
		last = f
	}
}

func FuzzParse(f *testing.F) {
	for _, path := range fuzzSeeds(f) {
		f.Add(path)
	}
	f.Add("version: 1\ngroups: {a: {handler: {webhook: {url: \"${PASSWORD}\", secret: \"${file:/run/secrets/webhook}\"}}}}")
	f.Add("redis: {url: \"${PASSWORD}\", password: &a \"${PASSWORD}\"}\nadmin: {listen: \"${file:/run/secrets/number}\"}\ngroups: *a")
	f.Add("---")
	f.Add("version: 1\ngroups:\n  a:\n    handler:\n      log:\n        fields: {a: b}\n    batch:\n    -\n\n")
	f.Add("? [a]\n: &x {<<: *x}\n--- !!set\n%TAG ! x\n")
	secrets := testSecrets
	f.Fuzz(func(t *testing.T, text string) {
		m, faults := manifest.Parse("f", []byte(text), options(testEnv, testFiles))
		if (m == nil) != (faults.Err() != nil) {
			t.Fatalf("manifest %v with faults %v", m, faults)
		}
		checkFaults(t, text, faults)
		for _, secret := range secrets {
			// What the file itself says in a place for names is no secret, and a
			// variable may be shown where the key is none.
			if strings.Contains(text, secret) || secret == "hunter2" || secret == "rediss3cret" {
				continue
			}
			if strings.Contains(faults.Error(), secret) {
				t.Fatalf("the faults show %q:\n%v", secret, faults)
			}
		}
		if m == nil {
			return
		}
		again, faults := manifest.Parse("f", []byte(text), options(testEnv, testFiles))
		if err := faults.Err(); err != nil {
			t.Fatalf("good once, then: %v", err)
		}
		if plan := manifest.Diff(m, again); !plan.Empty() || len(plan.Warnings) > 0 {
			t.Fatalf("the same file twice differs: %v", plan)
		}
	})
}
