package main

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// spread sums up the rounds of one figure.
type spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// spreadOf ignores what is not a number; without any figure it is zero.
func spreadOf(figures []float64) spread {
	var sorted []float64
	for _, f := range figures {
		if !math.IsNaN(f) && !math.IsInf(f, 0) {
			sorted = append(sorted, f)
		}
	}
	if len(sorted) == 0 {
		return spread{}
	}
	slices.Sort(sorted)
	middle := sorted[len(sorted)/2]
	if len(sorted)%2 == 0 {
		middle = (sorted[len(sorted)/2-1] + middle) / 2
	}
	return spread{Median: middle, Min: sorted[0], Max: sorted[len(sorted)-1]}
}

// collect is the spread of one figure of many runs.
func collect[T any](runs []T, figure func(T) float64) spread {
	figures := make([]float64, len(runs))
	for i, r := range runs {
		figures[i] = figure(r)
	}
	return spreadOf(figures)
}

// parseCounts reads "1,3,10".
func parseCounts(text string) ([]int, error) {
	var counts []int
	for part := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(part))
		if err != nil || n < 1 || n > 10_000 {
			return nil, fmt.Errorf("read %q: %q is not a number from 1 to 10000", text, part)
		}
		counts = append(counts, n)
	}
	return counts, nil
}
