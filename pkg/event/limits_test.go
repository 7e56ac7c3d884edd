package event_test

import (
	"fmt"
	"strings"
	"testing"

	"example.com/fanout/pkg/event"
)

func TestCompileWithin(t *testing.T) {
	t.Parallel()
	limits := event.Limits{Source: 100, Pattern: 500, Work: 128 << 10}
	for src, want := range map[string]string{
		`a == 1`: "",
		`a matches "^m-[0-9]+$" or b matches "x{40}"`:        "",
		`a == 1 ` + strings.Repeat(" ", 100):                 "longer than 100 bytes",
		`a matches "` + strings.Repeat(`(.{1000})`, 9) + `"`: "too large",
		`a matches ".{300}" or a matches ".{300}"`:           "too large", // together
		`a matches "((x{30}){20})+"`:                         "too large",
		`a matches "` + strings.Repeat(`\\p{L}`, 10) + `"`:   "too large",
		`a matches "x{1001}"`:                                "invalid repeat count",
	} {
		_, err := event.CompileWithin(src, limits)
		if got := fmt.Sprint(err); (err == nil) != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%.60s: %v, want %q", src, err, want)
		}
	}
	if _, err := event.Compile(`a matches "` + strings.Repeat(`(.{1000})`, 20) + `"`); err != nil {
		t.Errorf("without limits: %v", err)
	}
}

// What one match takes is bounded, whatever it is spent on; going through the
// event itself is always possible.
func TestLimitedWork(t *testing.T) {
	t.Parallel()
	doc := `{"a":[` + strings.Repeat("1,", 1000) + `1],"text":"` + strings.Repeat("x", 20_000) + `","p":1,"legs":[{"v":"` + strings.Repeat("y", 50_000) + `"}]}`
	many := `p == 2`
	for i := range 110 {
		many += fmt.Sprintf(" or q%d == 1", i)
	}
	huge := `{"n":1,"a":[` + strings.Repeat("1,", 200_000) + `1]}`
	for _, test := range []struct {
		name, src, doc string
		slow           bool
	}{
		{"a member", `p == 1`, doc, false},
		{"each element", `count(a, # >= 0) == 1001 and 1 in a`, doc, false},
		{"each element of a large event", `count(a, # >= 0) == 200001`, huge, false},
		{"a text", `not (lower(text) contains "z") and len(text) == 20000`, doc, false},
		{"a pattern", `not (text matches "z")`, doc, false},
		{"elements in elements", `count(a, count($env.a, # >= 0) > 0) > 0`, doc, true},
		{"texts in elements", `any(a, lower($env.text) == "z")`, doc, true},
		{"parts of texts in elements", `any(a, $env.text contains "zy")`, doc, true},
		{"comparisons in elements", `any(a, $env.text != $env.text)`, doc, true},
		{"patterns in elements", `any(a, $env.text matches "z")`, doc, true},
		{"members in elements", `any(legs, ` + strings.Repeat(`.v == "z" or `, 70) + `.w == 1)`, doc, true},
		{"a large pattern", `text matches "` + strings.Repeat(`(x|y){20}`, 8) + `z"`, doc, true},
		{"many members", many, huge, true},
	} {
		x, err := event.CompileWithin(test.src, event.Limits{Source: 4 << 10, Pattern: 2000, Work: 16 << 10})
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		got, err := x.Match(mustParse(t, test.doc))
		if test.slow != (err != nil && strings.Contains(err.Error(), "too long for this event")) || !test.slow && (!got || err != nil) {
			t.Errorf("%s: %v, %v", test.name, got, err)
		}
		free, err := event.Compile(test.src)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := free.Match(mustParse(t, test.doc)); err != nil {
			t.Errorf("%s without limits: %v", test.name, err)
		}
	}
}
