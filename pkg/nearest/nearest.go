// Package nearest finds, for a name that is unknown, the known ones that were
// probably meant.
package nearest

import (
	"slices"
	"strings"
)

// longest bounds the length of the names that are compared, in bytes.
const longest = 64

// Names returns at most n of the known names that were probably meant, the most
// likely first. Case, '_', '-' and spaces do not matter; a name is near when it
// differs in two bytes at most, fewer if it is short, or begins with what was
// written.
func Names(name string, known []string, n int) []string {
	if len(name) > longest {
		return nil
	}
	type candidate struct {
		name string
		far  int
	}
	var found []candidate
	written := plain(name)
	most := max(1, min(2, len(written)/3))
	for _, k := range known {
		if len(k) > longest {
			continue
		}
		meant := plain(k)
		far := distance(written, meant)
		if far <= most && far < len(written) || len(written) > 2 && strings.HasPrefix(meant, written) {
			found = append(found, candidate{k, far})
		}
	}
	slices.SortStableFunc(found, func(a, b candidate) int { return a.far - b.far })
	var names []string
	for _, c := range found[:min(n, len(found))] {
		names = append(names, c.name)
	}
	return names
}

// plain is what dead_letter, dead-letter, DeadLetter have in common.
func plain(s string) string {
	return strings.NewReplacer("_", "", "-", "", " ", "").Replace(strings.ToLower(s))
}

// distance counts the insertions, deletions, substitutions and swaps of
// neighbours that make b of a.
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
