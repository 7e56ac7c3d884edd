package manifest_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"

	"example.com/fanout/pkg/manifest"
)

func schema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	text, err := manifest.Schema(handlers())
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("groups.schema.json", doc); err != nil {
		t.Fatal(err)
	}
	compiled, err := compiler.Compile("groups.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

func TestSchemaAcceptsGoodFiles(t *testing.T) {
	t.Parallel()
	schema := schema(t)
	for _, path := range append(glob(t, "testdata/*.good.yaml"), "../../groups.yaml") {
		if err := schema.Validate(asJSON(t, path)); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// What is wrong by its form alone is seen by an editor too.
func TestSchemaRefusesBadFiles(t *testing.T) {
	t.Parallel()
	schema := schema(t)
	for _, name := range []string{"structure", "names", "list", "groups-list", "no-groups", "nothing-said", "comment"} {
		if err := schema.Validate(asJSON(t, filepath.Join("testdata", name+".bad.yaml"))); err == nil {
			t.Errorf("%s.bad.yaml is valid", name)
		}
	}
}

// Each of these is one mistake, and both the schema and Parse see it.
func TestSchemaAgreesWithParse(t *testing.T) {
	t.Parallel()
	schema := schema(t)
	for _, test := range []struct {
		group string
		good  bool
	}{
		{`handler: log`, true},
		{`handler: {log: }`, true},
		{`handler: "${H:-log}"`, true},
		{`{handler: log, timeout: "${T:-1s}", consumers: "${C:-1}", enabled: "${E:-true}", start: "${S:-latest}", restart_signal: "${R:-35}", payload: {format: "${F:-raw}"}}`, true},
		{`{handler: log, enabled: "false", consumers: "3", timeout: 0h0m5.5s, drain_timeout: 0, batch: {bytes: 1024}}`, true},
		{`{handler: log, start: 123-4, restart_signal: USR2}`, true},
		{`{handler: log, group: 5, payload: }`, true},
		{`{handler: {webhook: {url: "http://h/", timeout: 1s, headers: {A: 1}, tls: {ca_file: x}}}}`, true},
		{``, false},
		{`handler: {}`, false},
		{`handler: [log]`, false},
		{`handler: lgo`, false},
		{`handler: {lgo: {}}`, false},
		{`handler: {log: {}, sql: {}}`, false},
		{`handler: {log: {lvl: info}}`, false},
		{`handler: {log: {level: loud}}`, false},
		{`handler: {log: {fields: [a]}}`, false},
		{`handler: {log: {fields: {a: {b: c}}}}`, false},
		{`handler: {sql: {dsn: "sqlite:x", table: t}}`, false},
		{`handler: {sql: }`, false},
		{`handler: {webhook: {url: "http://h/", tls: {min: "1.2"}}}`, false},
		{`{handler: log, stream: [a]}`, false},
		{`{handler: log, consumers: 0}`, false},
		{`{handler: log, consumers: 257}`, false},
		{`{handler: log, consumers: 1.5}`, false},
		{`{handler: log, consumers: [1]}`, false},
		{`{handler: log, enabled: yes}`, false},
		{`{handler: log, timeout: 5}`, false},
		{`{handler: log, timeout: 5 s}`, false},
		{`{handler: log, batch: {bytes: 4MB}}`, false},
		{`{handler: log, batch: 5}`, false},
		{`{handler: log, start: now}`, false},
		{`{handler: log, restart_signal: 34}`, false},
		{`{handler: log, restart_signal: RTMIN+31}`, false},
		{`{handler: log, unknown: 1}`, false},
		{`{handler: log, stream: }`, false},
	} {
		group := test.group
		if group != "" && group[0] != '{' {
			group = "{" + group + "}"
		}
		text := "version: 1\ngroups:\n  a: " + group + "\n"
		_, faults := manifest.Parse("g", []byte(text), options(nil, nil))
		err := schema.Validate(fromYAML(t, []byte(text)))
		if (faults.Err() == nil) != test.good || (err == nil) != test.good {
			t.Errorf("%s: want good %v\nParse:  %v\nschema: %v", test.group, test.good, faults.Err(), err)
		}
	}
}

func TestSchemaIsTheSameEachTime(t *testing.T) {
	t.Parallel()
	a, err := manifest.Schema(handlers())
	if err != nil {
		t.Fatal(err)
	}
	b, err := manifest.Schema(handlers())
	if err != nil || !bytes.Equal(a, b) {
		t.Errorf("two schemas differ (%v)", err)
	}
	var out struct {
		Schema string `json:"$schema"`
		Defs   struct {
			Group struct {
				Properties map[string]struct {
					Description string
					Default     any
				}
			}
		} `json:"$defs"`
		Properties struct {
			Defaults struct{ Properties map[string]any }
		}
	}
	if err := json.Unmarshal(a, &out); err != nil {
		t.Fatal(err)
	}
	if out.Schema != "https://json-schema.org/draft/2020-12/schema" {
		t.Errorf("$schema = %q", out.Schema)
	}
	consumers, timeout := out.Defs.Group.Properties["consumers"], out.Defs.Group.Properties["timeout"]
	if consumers.Default != 2.0 || timeout.Default != "30s" || timeout.Description != "of one call of the handler; 10ms to 24h" {
		t.Errorf("consumers %+v, timeout %+v", consumers, timeout)
	}
	if _, ok := out.Properties.Defaults.Properties["restart_signal"]; ok {
		t.Error("defaults may have a restart_signal")
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	config, _ := handlers().New("webhook")
	want := []manifest.Key{
		{Name: "url", Type: "text", Required: true},
		{Name: "secret", Type: "text"},
		{Name: "headers", Type: "mapping"},
		{Name: "batch", Type: "bool"},
		{Name: "timeout", Type: "duration", Default: "10s"},
		{Name: "tls.ca_file", Type: "text", Required: true},
		{Name: "tls.min", Type: "text (1.2, 1.3)", Default: "1.2"},
		{Name: "tls.pins", Type: "mapping"},
	}
	if diff := cmp.Diff(want, manifest.Keys(config.Config)); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
}

func asJSON(t *testing.T, path string) any {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return fromYAML(t, data)
}

// fromYAML gives the values as an editor sees them.
func fromYAML(t *testing.T, data []byte) any {
	t.Helper()
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	if len(doc.Content) == 0 {
		return nil
	}
	return plainJSON(t, doc.Content[0])
}

func plainJSON(t *testing.T, n *yaml.Node) any {
	t.Helper()
	switch n.Kind {
	case yaml.AliasNode:
		return plainJSON(t, n.Alias)
	case yaml.SequenceNode:
		list := []any{}
		for _, item := range n.Content {
			list = append(list, plainJSON(t, item))
		}
		return list
	case yaml.MappingNode:
		object := map[string]any{}
		for i := 0; i < len(n.Content); i += 2 {
			object[n.Content[i].Value] = plainJSON(t, n.Content[i+1])
		}
		return object
	}
	switch n.Tag {
	case "!!null":
		return nil
	case "!!int", "!!float", "!!bool":
		var v any
		if err := n.Decode(&v); err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		out, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	return n.Value
}
