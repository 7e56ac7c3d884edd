package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"

	"example.com/fanout/pkg/manifest"
)

const unsignedWebhook = `version: 1
groups:
  notify:
    handler: {webhook: {url: "http://127.0.0.1:1/"}}
`

const messy = `version: 1
groups:
  audit:
    consumer: 2
    handler: lgo
  Bad_Name:
    handler: log
`

func TestCheck(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, text string
		code       int
		want       []string // lines, after the file's name where they begin with a colon
		faults     int      // errors and warnings
	}{
		{"sound", twoGroups, exitOK, []string{" is sound: audit (log), billing (disabled)"}, 0},
		{"unsigned webhook", unsignedWebhook, exitOK, []string{
			":4:15: warning: groups.notify.handler.webhook.secret: not set: requests are unsigned", " is sound: notify (webhook)",
		}, 1},
		{"faults", messy, exitFailure, []string{
			`:4:5: groups.audit.consumer: unknown key (did you mean "consumers"?)`, ":5:", ":6:", " has 3 faults",
		}, 3},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			config := write(t, "groups.yaml", test.text)
			stdout, stderr := call(t, test.code, "check", "-c", config)
			if stderr != "" {
				t.Errorf("standard error has %s", stderr)
			}
			lines := strings.Split(strings.TrimSuffix(stdout, "\n"), "\n")
			if len(lines) != len(test.want) {
				t.Fatalf("%d lines, want %d:\n%s", len(lines), len(test.want), stdout)
			}
			for i, line := range lines {
				if !strings.HasPrefix(line, config+test.want[i]) {
					t.Errorf("line %d is %s, want %s", i, line, test.want[i])
				}
			}

			stdout, _ = call(t, test.code, "check", "-c", config, "-o", "json")
			var answer struct {
				OK     bool
				Faults []manifest.Fault
			}
			if err := json.Unmarshal([]byte(stdout), &answer); err != nil {
				t.Fatalf("%v: %s", err, stdout)
			}
			if answer.OK != (test.code == exitOK) || answer.Faults == nil || len(answer.Faults) != test.faults {
				t.Errorf("ok %v with %d faults, want %d: %s", answer.OK, len(answer.Faults), test.faults, stdout)
			}
		})
	}
}

// Whoever has no manifest yet is told how to begin, and what is told is sound.
func TestMissingManifest(t *testing.T) {
	t.Parallel()
	missing := t.TempDir() + "/groups.yaml"
	for _, test := range []struct {
		args []string
		code int
	}{
		{[]string{"check"}, exitFailure},
		{[]string{"run"}, exitManifest},
		{[]string{"demo"}, exitFailure},
		{[]string{"eval", "-e", "-"}, exitFailure},
		{[]string{"publish"}, exitFailure},
		{[]string{"status"}, exitFailure},
		{[]string{"restart", "a"}, exitFailure},
	} {
		stdout, stderr := call(t, test.code, append(test.args, "-c", missing)...)
		contains(t, stdout+stderr, missing+": ", "no such file", "another file with -c", "version: 1")
	}
	_, example, _ := strings.Cut(firstManifest, "\n")
	call(t, exitOK, "check", "-c", write(t, "groups.yaml", example))
}

func TestSchema(t *testing.T) {
	t.Parallel()
	const path = "../../scripts/groups.schema.json"
	got, _ := call(t, exitOK, "schema")
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("scripts/groups.schema.json is not what fanout schema prints; run\n  go run ./cmd/fanout schema > scripts/groups.schema.json")
	}

	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(got))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	shipped, err := os.ReadFile("../../groups.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if first, _, _ := bytes.Cut(shipped, []byte("\n")); string(first) != "# yaml-language-server: $schema=./scripts/groups.schema.json" {
		t.Errorf("groups.yaml begins with %s", first)
	}
	for _, test := range []struct {
		text  string
		valid bool
	}{{string(shipped), true}, {twoGroups, true}, {messy, false}} {
		var value any
		if err := yaml.Unmarshal([]byte(test.text), &value); err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(value); (err == nil) != test.valid {
			t.Errorf("valid is not %v: %v\n%s", test.valid, err, test.text)
		}
	}
}

func TestHandlers(t *testing.T) {
	t.Parallel()
	text, _ := call(t, exitOK, "handlers")
	contains(t, text, "live: ", "log: ", "sql: ", "webhook: ", "window: ", "\n  dsn ", "; required\n", "; default true\n", "(debug, info, warn, error, none)")
	stdout, _ := call(t, exitOK, "handlers", "-o", "json")
	var answer struct{ Handlers []handlerDoc }
	if err := json.Unmarshal([]byte(stdout), &answer); err != nil {
		t.Fatal(err)
	}
	if len(answer.Handlers) != 5 {
		t.Fatalf("%d handlers: %s", len(answer.Handlers), stdout)
	}
	for _, h := range answer.Handlers {
		if h.Type == "" || h.Doc == "" || len(h.Keys) == 0 {
			t.Errorf("%+v is incomplete", h)
		}
		for _, k := range h.Keys {
			if k.Name == "" || k.Type == "" || k.Doc == "" {
				t.Errorf("%s: key %+v is incomplete", h.Type, k)
			}
			contains(t, text, "\n  "+k.Name+" ")
		}
	}
}
