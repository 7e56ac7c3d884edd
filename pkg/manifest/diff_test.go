package manifest_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/fanout/pkg/manifest"
)

const before = `
version: 1
defaults: {consumers: 2}
groups:
  a: {handler: log}
  b: {handler: {sql: {dsn: "sqlite:x", table: t, columns: {x: a, y: b}}}}
  c: {handler: {webhook: {url: "http://h/", secret: s3cret-one, tls: {ca_file: f, pins: {k: v, l: w}}}}}
  d: {handler: log, enabled: false}
`

func TestDiff(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		replace []string // pairs of old and new text
		plan    manifest.Plan
	}{
		{"same", nil, manifest.Plan{Keep: []string{"a", "b", "c"}}},
		{"comment and order", []string{
			"  a: {handler: log}\n", "", // to the end
			"  d: {handler: log, enabled: false}", "  # moved\n  a: {handler: {log: {level: info}}, consumers: 2}",
			"version: 1", "version: ${N:-1}",
			"pins: {k: v, l: w}", "pins: {l: w, k: v}",
		}, manifest.Plan{Keep: []string{"b", "c", "a"}}},
		{"consumers", []string{"a: {", "a: {consumers: 5, "}, manifest.Plan{
			Adjust: []string{"a"}, Keep: []string{"b", "c"}, Changed: map[string][]string{"a": {"consumers"}}}},
		{"consumers of all", []string{"consumers: 2", "consumers: 4"}, manifest.Plan{
			Adjust: []string{"a", "b", "c"}, Changed: map[string][]string{"a": {"consumers"}, "b": {"consumers"}, "c": {"consumers"}}}},
		{"signal", []string{"a: {", "a: {restart_signal: 40, "}, manifest.Plan{
			Adjust: []string{"a"}, Keep: []string{"b", "c"}, Changed: map[string][]string{"a": {"restart_signal"}}}},
		{"start", []string{"a: {", "a: {start: latest, "}, manifest.Plan{
			Adjust: []string{"a"}, Keep: []string{"b", "c"}, Changed: map[string][]string{"a": {"start"}},
			Warnings: []string{"a: the change of start has no effect: it is used once, when the group is created in Redis; fanout seek a moves the group"}}},
		{"handler", []string{"handler: log}\n  b", "handler: {log: {level: warn}}}\n  b"}, manifest.Plan{
			Replace: []string{"a"}, Keep: []string{"b", "c"}, Changed: map[string][]string{"a": {"handler.log.level"}}}},
		{"handler type", []string{"a: {handler: log}", "a: {handler: {window: {size: 1m, dsn: x, table: t, measures: {n: m}}}}"}, manifest.Plan{
			Replace: []string{"a"}, Keep: []string{"b", "c"}, Changed: map[string][]string{"a": {
				"handler", "handler.log.fields", "handler.log.level", "handler.window.create", "handler.window.decimals", "handler.window.dsn", "handler.window.key",
				"handler.window.measures", "handler.window.measures[0].n", "handler.window.size", "handler.window.table", "handler.window.time", "handler.window.time_unit"}}}},
		{"order of columns", []string{"x: a, y: b", "y: b, x: a"}, manifest.Plan{
			Keep: []string{"a", "c"}, Replace: []string{"b"}, Changed: map[string][]string{"b": {
				"handler.sql.columns[0].x", "handler.sql.columns[0].y", "handler.sql.columns[1].x", "handler.sql.columns[1].y"}}}},
		{"secret", []string{"s3cret-one", "s3cret-two"}, manifest.Plan{
			Keep: []string{"a", "b"}, Replace: []string{"c"}, Changed: map[string][]string{"c": {"handler.webhook.secret"}}}},
		{"map behind a pointer", []string{"l: w", "l: x"}, manifest.Plan{
			Keep: []string{"a", "b"}, Replace: []string{"c"}, Changed: map[string][]string{"c": {"handler.webhook.tls.pins.l"}}}},
		{"stop and start", []string{"d: {handler: log, enabled: false}", "e: {stream: other, handler: log}", "a: {", "a: {enabled: false, "}, manifest.Plan{
			Start: []string{"e"}, Stop: []string{"a"}, Keep: []string{"b", "c"}}},
		{"enable", []string{", enabled: false", ""}, manifest.Plan{
			Start: []string{"d"}, Keep: []string{"a", "b", "c"}}},
		{"rename", []string{"a: {", "new: {"}, manifest.Plan{
			Start: []string{"new"}, Stop: []string{"a"}, Keep: []string{"b", "c"},
			Warnings: []string{"new has the stream and the handler of a, which goes: if it is a under a new name, write group: a to keep its position; it begins at its start (earliest) otherwise"}}},
		{"rename with other keys", []string{"a: {", "new: {timeout: 31s, start: latest, "}, manifest.Plan{
			Start: []string{"new"}, Stop: []string{"a"}, Keep: []string{"b", "c"},
			Warnings: []string{"new has the stream and the handler of a, which goes: if it is a under a new name, write group: a to keep its position; it begins at its start (latest) otherwise"}}},
		{"another handler under another name", []string{"a: {handler: log}", "new: {handler: {log: {level: warn}}}"}, manifest.Plan{
			Start: []string{"new"}, Stop: []string{"a"}, Keep: []string{"b", "c"}}},
		{"rename with group", []string{"a: {", "new: {group: a, "}, manifest.Plan{
			Start: []string{"new"}, Stop: []string{"a"}, Keep: []string{"b", "c"},
			Warnings: []string{`new goes on where a stops: both are the Redis group "a"`}}},
		{"another Redis group", []string{"a: {", "a: {group: z, "}, manifest.Plan{
			Replace: []string{"a"}, Keep: []string{"b", "c"}, Changed: map[string][]string{"a": {"dead_letter.stream", "group"}},
			Warnings: []string{`a: the Redis group "z" is another one than "a": it does not take over its position`}}},
		{"another dead-letter stream", []string{"a: {", "a: {dead_letter: {stream: \"{events_stream}:lost\"}, "}, manifest.Plan{
			Replace: []string{"a"}, Keep: []string{"b", "c"}, Changed: map[string][]string{"a": {"dead_letter.stream"}},
			Warnings: []string{`a: dead letters stay in "{events_stream}:dead:a", new ones go to "{events_stream}:lost"`}}},
		{"retention", []string{"version: 1", "version: 1\nretention: {events_stream: {max_len: 10}}"}, manifest.Plan{
			Keep: []string{"a", "b", "c"}, Retention: []string{"events_stream"}}},
		{"process", []string{"version: 1", "version: 1\nredis: {password: x}\nadmin: {listen: off}\nstate: elsewhere"}, manifest.Plan{
			Keep: []string{"a", "b", "c"}, Warnings: []string{
				"redis has changed: that takes a restart of the process",
				"admin has changed: that takes a restart of the process",
				"state has changed: that takes a restart of the process"}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			after := before
			for i := 0; i < len(test.replace); i += 2 {
				next := strings.Replace(after, test.replace[i], test.replace[i+1], 1)
				if next == after {
					t.Fatalf("no %q in the manifest", test.replace[i])
				}
				after = next
			}
			env := map[string]string{}
			old, faults := manifest.Parse("old", []byte(before), options(env, nil))
			if err := faults.Err(); err != nil {
				t.Fatal(err)
			}
			new, faults := manifest.Parse("new", []byte(after), options(env, nil))
			if err := faults.Err(); err != nil {
				t.Fatal(err)
			}
			plan := manifest.Diff(old, new)
			if diff := cmp.Diff(test.plan, plan); diff != "" {
				t.Errorf("plan (-want +got):\n%s", diff)
			}
			text, err := json.Marshal(plan)
			if err != nil || strings.Contains(string(text)+plan.String(), "s3cret") {
				t.Errorf("the plan shows a secret or is no JSON (%v): %s", err, text)
			}
			if got, want := plan.Empty(), len(test.plan.Keep) == 3 && test.plan.Start == nil && test.plan.Retention == nil; got != want {
				t.Errorf("Empty() = %v", got)
			}
		})
	}
}

func TestDiffFromNothing(t *testing.T) {
	t.Parallel()
	plan := manifest.Diff(nil, parse(t, before))
	if diff := cmp.Diff(manifest.Plan{Start: []string{"a", "b", "c"}}, plan); diff != "" {
		t.Errorf("plan (-want +got):\n%s", diff)
	}
}

func TestPlanString(t *testing.T) {
	t.Parallel()
	plan := manifest.Plan{
		Start: []string{"e"}, Stop: []string{"x"}, Replace: []string{"b"}, Adjust: []string{"a"}, Keep: []string{"c"},
		Changed:   map[string][]string{"b": {"timeout", "where"}, "a": {"consumers"}},
		Retention: []string{"events_stream"},
		Warnings:  []string{"admin has changed"},
	}
	want := `stop    x
replace b (timeout, where)
adjust  a (consumers)
start   e
keep    c
retain  events_stream
warning: admin has changed`
	if got := plan.String(); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	if got := (manifest.Plan{}).String(); got != "nothing changes" {
		t.Errorf("empty plan = %q", got)
	}
}
