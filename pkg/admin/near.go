package admin

import (
	"slices"
	"strings"
)

// near returns at most three of the names that were probably meant, the most
// likely first.
func near(name string, names []string) []string {
	const longest = 64 // no group has a longer name
	if len(name) > longest {
		return nil
	}
	type candidate struct {
		name string
		far  int
	}
	var found []candidate
	lower := strings.ToLower(name)
	for _, n := range names {
		far := distance(lower, strings.ToLower(n))
		if far <= max(1, len(n)/3) || len(lower) > 2 && strings.HasPrefix(n, lower) {
			found = append(found, candidate{n, far})
		}
	}
	slices.SortStableFunc(found, func(a, b candidate) int { return a.far - b.far })
	var best []string
	for _, c := range found[:min(3, len(found))] {
		best = append(best, c.name)
	}
	return best
}

// distance is the number of bytes to insert, delete or replace that makes b of
// a.
func distance(a, b string) int {
	row := make([]int, len(b)+1) // of the prefix of a so far, by prefix of b
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
