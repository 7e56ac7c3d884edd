package retry_test

import (
	"math"
	"testing"
	"time"

	"example.com/fanout/pkg/retry"
)

func TestBackoffDelay(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	for _, c := range []struct {
		name     string
		min, max time.Duration
		n        int
		want     time.Duration // without jitter
	}{
		{"first", 100 * ms, time.Minute, 1, 100 * ms},
		{"second", 100 * ms, time.Minute, 2, 200 * ms},
		{"fifth", 100 * ms, time.Minute, 5, 1600 * ms},
		{"at the cap", 100 * ms, time.Second, 5, time.Second},
		{"long after the cap", 100 * ms, time.Second, math.MaxInt, time.Second},
		{"none before the first failure", 100 * ms, time.Second, 0, 100 * ms},
		{"min above max", time.Minute, time.Second, 1, time.Second},
		{"no min", 0, time.Second, math.MaxInt, 0},
		{"no max", time.Second, 0, 3, 0},
		{"negative", -time.Second, time.Second, 3, 0},
		{"one nanosecond", 1, 1, 9, 1},
		{"no overflow", math.MaxInt64/2 + 1, math.MaxInt64, 2, math.MaxInt64},
		{"no overflow far on", 3, math.MaxInt64, 1000, math.MaxInt64},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := retry.Backoff{Min: c.min, Max: c.max}
			for range 200 {
				if d := b.Delay(c.n); d > c.want || d < c.want-c.want/4-1 {
					t.Fatalf("delay %d is %s, want %s less up to a quarter", c.n, d, c.want)
				}
			}
		})
	}
}

func TestBackoffJitters(t *testing.T) {
	t.Parallel()
	b := retry.Backoff{Min: time.Second, Max: time.Minute}
	seen := map[time.Duration]bool{}
	for range 100 {
		seen[b.Delay(3)] = true
	}
	if len(seen) < 50 {
		t.Errorf("100 delays took %d values, want them spread", len(seen))
	}
}

func TestPolicySpent(t *testing.T) {
	t.Parallel()
	p := retry.Policy{Attempts: 3}
	for attempts, want := range []bool{false, false, false, true, true} {
		if got := p.Spent(attempts); got != want {
			t.Errorf("spent after %d of 3 attempts: %t, want %t", attempts, got, want)
		}
	}
}

func TestPolicyDelayAfter(t *testing.T) {
	t.Parallel()
	p := retry.Policy{Attempts: 5, Backoff: retry.Backoff{Min: time.Second, Max: time.Minute}}
	for _, c := range []struct {
		name        string
		attempts    int
		asked       time.Duration
		least, most time.Duration
	}{
		{"nothing asked", 1, 0, 750 * time.Millisecond, time.Second},
		{"less asked than the backoff", 3, time.Second, 3 * time.Second, 4 * time.Second},
		{"more asked than the backoff", 1, 20 * time.Second, 20 * time.Second, 20 * time.Second},
		{"more asked than the cap", 1, time.Hour, time.Minute, time.Minute},
		{"nonsense asked", 1, -time.Hour, 750 * time.Millisecond, time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if d := p.DelayAfter(c.attempts, c.asked); d < c.least || d > c.most {
				t.Errorf("delay is %s, want between %s and %s", d, c.least, c.most)
			}
		})
	}
}
