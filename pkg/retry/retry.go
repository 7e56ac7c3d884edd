// Package retry says when and whether to try again. It is pure: it keeps no
// clock and no state.
package retry

import (
	"math/rand/v2"
	"time"
)

// Backoff is an exponential backoff with jitter.
type Backoff struct {
	Min time.Duration // of the first delay
	Max time.Duration // of every delay
}

// Delay is the delay after the n-th failure in a row (1 is the first): Min
// doubled n-1 times, capped at Max, less a random part of up to a quarter so
// that what failed together does not come back together.
func (b Backoff) Delay(n int) time.Duration {
	d := min(b.Min, b.Max)
	if d <= 0 {
		return 0
	}
	for i := 1; i < n && d < b.Max; i++ {
		d += min(d, b.Max-d) // doubles it, without an overflow
	}
	return d - time.Duration(rand.Int64N(int64(d)/4+1))
}

// Policy says how often a delivery is tried.
type Policy struct {
	Attempts int // calls of the handler that count; at least 1
	Backoff
}

// Spent reports whether no further attempt is allowed after attempts.
func (p Policy) Spent(attempts int) bool { return attempts >= p.Attempts }

// DelayAfter is the wait after the given number of attempts when the handler
// asked for at least asked; Max caps both.
func (p Policy) DelayAfter(attempts int, asked time.Duration) time.Duration {
	return max(p.Delay(attempts), min(asked, p.Max))
}
