package cli

import "testing"

func TestPaceFor(t *testing.T) {
	t.Parallel()
	for live, want := range map[uint64]int{
		0:        300,
		1 << 20:  300,
		4 << 20:  200,
		8 << 20:  100,
		12 << 20: 100,
		1 << 30:  100,
	} {
		if got := paceFor(live); got != want {
			t.Errorf("%d live bytes may grow by %d %%, want %d", live, got, want)
		}
	}
}
