package manifest_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/fanout/pkg/manifest"
)

const retained = `
version: 1
retention:
  trades: {max_len: 10}
  events_stream:
groups:
  a: {handler: log}
  b: {handler: log, enabled: false}
  c: {group: audit, handler: log, stream: trades}
`

func TestRetention(t *testing.T) {
	t.Parallel()
	m := parse(t, retained)
	want := []manifest.Retention{
		{Stream: "trades", Rules: manifest.Rules{MaxLen: 10, Policy: manifest.HoldEntries, Interval: 10e9}},
		{Stream: "events_stream", Rules: manifest.Rules{Policy: manifest.HoldEntries, Interval: 10e9}},
	}
	if diff := cmp.Diff(want, m.Retention); diff != "" {
		t.Errorf("retention (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"events_stream", "trades"}, m.Streams()); diff != "" {
		t.Errorf("streams (-want +got):\n%s", diff)
	}
	m.Groups, m.Elsewhere = m.Groups[2:], m.Groups[:2]
	for stream, want := range map[string][2][]string{"events_stream": {{"a"}, {"b"}}, "trades": {{"audit"}, nil}, "none": {}} {
		enabled, disabled := m.Readers(stream)
		if diff := cmp.Diff(want, [2][]string{enabled, disabled}); diff != "" {
			t.Errorf("readers of %s (-want +got):\n%s", stream, diff)
		}
	}
}

// A reload names the streams whose retention changes, in either direction.
func TestDiffOfRetention(t *testing.T) {
	t.Parallel()
	with, without := parse(t, retained), parse(t, retained)
	without.Retention = without.Retention[1:]
	changed := parse(t, retained)
	changed.Retention[1].Rules.MinLen = 5
	for _, test := range []struct {
		old, new *manifest.Manifest
		want     []string
	}{
		{with, with, nil},
		{with, without, []string{"trades"}},
		{without, with, []string{"trades"}},
		{with, changed, []string{"events_stream"}},
		{nil, with, []string{"trades", "events_stream"}},
	} {
		if diff := cmp.Diff(test.want, manifest.Diff(test.old, test.new).Retention); diff != "" {
			t.Errorf("retention of the plan (-want +got):\n%s", diff)
		}
	}
}
