package app

import (
	"slices"
	"testing"

	"example.com/fanout/pkg/manifest"
)

// A disabled group may have a checkpoint from which it goes on: nothing is
// trimmed while it is missing in Redis either.
func TestRulesRequireDisabledGroups(t *testing.T) {
	t.Parallel()
	m := &manifest.Manifest{Groups: []manifest.Group{
		{Group: "on", Stream: "s", Enabled: true}, {Group: "off", Stream: "s"}, {Group: "else", Stream: "t", Enabled: true},
	}}
	got := rules(m, manifest.Retention{Stream: "s"}).Required
	if slices.Sort(got); !slices.Equal(got, []string{"off", "on"}) {
		t.Errorf("required are %v, want on and off", got)
	}
}
