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
	d := b.Min
	for i := 1; i < n && d < b.Max; i++ {
		d *= 2
	}
	d = min(d, b.Max)
	if d <= 0 {
		return 0
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
	if asked > 0 {
		return min(asked, p.Max)
	}
	return p.Delay(attempts)
}
