package app_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/fanout/pkg/app"
	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/manifest"
	"example.com/fanout/pkg/sink/builtin"
	"example.com/fanout/pkg/stream"
)

// previewed shows what it gets.
type previewed struct{ scripted }

func (previewed) Preview(env handler.Env, d *handler.Delivery) (any, error) {
	if d.Stream == "refused" {
		return nil, errors.New("no room")
	}
	return map[string]any{"id": d.ID.String(), "fields": len(d.Fields), "attempt": d.Attempt, "for": env.Group + " " + env.Version}, nil
}

func parse(t *testing.T, registry *handler.Registry, text string) *manifest.Manifest {
	t.Helper()
	m, faults := manifest.Parse("groups.yaml", []byte(text), manifest.Options{Handlers: app.Handlers(registry)})
	if m == nil {
		t.Fatal(faults)
	}
	return m
}

func TestEvaluate(t *testing.T) {
	t.Parallel()
	registry := builtin.Registry()
	registry.Register("previewed", handler.Factory{Config: func() handler.Config { return &previewed{} }})
	registry.Register("silent", handler.Factory{Config: func() handler.Config { return &scripted{} }})
	m := parse(t, registry, `version: 1
groups:
  shown: {handler: previewed}
  fields: {handler: previewed, payload: {format: fields}}
  refused: {handler: previewed, stream: refused}
  silent: {handler: silent}
  picky: {handler: silent, where: n > 5}
  wrong: {handler: silent, where: n contains "x"}
  asleep: {handler: silent, enabled: false}
`)
	verdicts := func(payload string) map[string]app.Verdict {
		byGroup := map[string]app.Verdict{}
		for _, v := range app.Evaluate(m, "v1", stream.ID{Ms: 5}, []byte(payload)) {
			byGroup[v.Group] = v
		}
		return byGroup
	}
	effect := func(group string, fields int) map[string]any {
		return map[string]any{"id": "5-0", "fields": fields, "attempt": 1, "for": group + " v1"}
	}

	got := verdicts(`{"n":"6","m":"7"}`)
	for name, want := range map[string]app.Verdict{
		"shown":   {Handler: "previewed", Verdict: app.WouldHandle, Effect: effect("shown", 1)},
		"fields":  {Handler: "previewed", Verdict: app.WouldHandle, Effect: effect("fields", 2)},
		"refused": {Handler: "previewed", Verdict: app.WouldBury, Reason: "no room"},
		"silent":  {Handler: "silent", Verdict: app.WouldHandle},
		"asleep":  {Handler: "silent", Verdict: app.Disabled},
	} {
		want.Group = name
		if diff := cmp.Diff(want, got[name]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if v := got["picky"]; v.Verdict != app.WouldBury || v.Reason == "" { // a text is no number
		t.Errorf("%+v", v)
	}
	if v := verdicts(`{"n":5}`)["picky"]; v.Verdict != app.WouldSkip || v.Reason != "n > 5" {
		t.Errorf("%+v", v)
	}
	if v := verdicts(`{}`)["picky"]; v.Verdict != app.WouldSkip {
		t.Errorf("a missing path: %+v", v)
	}
	for name, v := range verdicts(`nonsense`) {
		if name != "asleep" && (v.Verdict != app.WouldBury || v.Reason == "") {
			t.Errorf("%s: %+v", name, v)
		}
	}
}

func TestOnly(t *testing.T) {
	t.Parallel()
	m := parse(t, builtin.Registry(), "version: 1\ngroups:\n"+groups("a", "b", "c"))
	for _, test := range []struct {
		names []string
		want  string
	}{
		{nil, "abc"}, {[]string{"c", "a"}, "ac"}, {[]string{"b", "b"}, "b"},
	} {
		some, err := app.Only(m, test.names)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, g := range some.Groups {
			got += g.Name
		}
		if got != test.want {
			t.Errorf("only %v: %s, want %s", test.names, got, test.want)
		}
	}
	if _, err := app.Only(m, []string{"a", "x", "y"}); err == nil || err.Error() != "no group x, y in the manifest, which has a, b, c" {
		t.Errorf("unknown names: %v", err)
	}
	if len(m.Groups) != 3 {
		t.Error("the manifest itself was changed")
	}
}

func TestTargetOf(t *testing.T) {
	t.Parallel()
	m := parse(t, builtin.Registry(), `version: 1
redis: {url: "redis://127.0.0.1:1/0"}
groups:
  a: {handler: log, stream: one, payload: {format: fields}}
  b: {handler: log, stream: one, payload: {field: body}}
  c: {handler: log, stream: two}
  d: {handler: log, stream: one, payload: {field: other}}
`)
	for name, want := range map[string]app.Target{
		"": {Stream: "one", Field: "body"}, "one": {Stream: "one", Field: "body"}, "two": {Stream: "two", Field: "event"}, "three": {Stream: "three"},
	} {
		want.Redis = m.Redis
		if diff := cmp.Diff(want, app.TargetOf(m, name)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", name, diff)
		}
	}
}
