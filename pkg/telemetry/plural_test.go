package telemetry

import "testing"

func TestPlural(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		n          int
		noun, want string
	}{
		{0, "group", "0 groups"},
		{1, "group", "1 group"},
		{2, "dead letter", "2 dead letters"},
		{1, "entry", "1 entry"},
		{0, "entry", "0 entries"},
		{3, "delivery", "3 deliveries"},
	} {
		if got := Plural(tt.n, tt.noun); got != tt.want {
			t.Errorf("%d of %q: %q, want %q", tt.n, tt.noun, got, tt.want)
		}
	}
}
