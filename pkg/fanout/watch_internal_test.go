package fanout

import (
	"testing"
	"time"
)

// A look that takes long is not repeated as if it did not: Redis copies the
// first and the last entry of the stream for it.
func TestNextLook(t *testing.T) {
	t.Parallel()
	for took, want := range map[time.Duration]time.Duration{
		0:                      watchEvery,
		199 * time.Millisecond: watchEvery,
		300 * time.Millisecond: 3 * time.Second,
		time.Hour:              time.Minute,
	} {
		if got := nextLook(took); got != want {
			t.Errorf("after %v: %v, want %v", took, got, want)
		}
	}
}
