package telemetry

import (
	"math"
	"sort"
	"sync/atomic"
)

// maxBuckets is the number of buckets of a Histogram without the last, +Inf.
const maxBuckets = 20

// Histogram counts observations in buckets. The zero Histogram keeps their
// number and sum alone. It is safe for concurrent use.
type Histogram struct {
	bounds []float64 // upper, inclusive, ascending; not changed after construction
	counts [maxBuckets + 1]atomic.Uint64
	sum    atomic.Uint64 // bits of a float64
}

// Observe counts one value.
func (h *Histogram) Observe(v float64) { h.ObserveN(v, 1) }

// ObserveN counts a value n times at the cost of once. NaN and n below 1 count
// nothing.
func (h *Histogram) ObserveN(v float64, n int) {
	if n < 1 || math.IsNaN(v) {
		return
	}
	h.counts[sort.SearchFloat64s(h.bounds, v)].Add(uint64(n))
	add := v * float64(n)
	for {
		old := h.sum.Load()
		if h.sum.CompareAndSwap(old, math.Float64bits(math.Float64frombits(old)+add)) {
			return
		}
	}
}

// Count returns the number of observations.
func (h *Histogram) Count() uint64 {
	var n uint64
	for i := range h.counts {
		n += h.counts[i].Load()
	}
	return n
}

// read returns cumulative counts by upper bound, as a scrape wants them. The
// total is made of the same reads, so that no bucket is above it; the sum may
// be ahead of or behind it by the observations of this moment.
func (h *Histogram) read() (total uint64, sum float64, buckets map[float64]uint64) {
	buckets = make(map[float64]uint64, len(h.bounds))
	for i, bound := range h.bounds {
		total += h.counts[i].Load()
		buckets[bound] = total
	}
	total += h.counts[len(h.bounds)].Load()
	return total, math.Float64frombits(h.sum.Load()), buckets
}

// The bounds of the histograms of a group.
var (
	durationBounds = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}
	ageBounds      = []float64{.001, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 3600, 21600, 86400}
	sizeBounds     = []float64{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384}
)
