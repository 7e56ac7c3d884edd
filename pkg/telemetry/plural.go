package telemetry

import (
	"fmt"
	"strings"
)

// Plural is a number of things as people read it: "1 entry", "2 entries". The
// noun is a regular one.
func Plural[N int | int64](n N, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	if stem, ok := strings.CutSuffix(noun, "y"); ok {
		return fmt.Sprintf("%d %sies", n, stem)
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
