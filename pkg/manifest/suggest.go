package manifest

import "example.com/fanout/pkg/nearest"

// suggest returns the known word that was probably meant, or nothing.
func suggest(word string, known []string) string {
	if names := nearest.Names(word, known, 1); len(names) > 0 {
		return names[0]
	}
	return ""
}
