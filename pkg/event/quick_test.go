package event

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// What is decided quickly is what the evaluation of the whole decides, with every
// operator, either side, and every kind of value, odd ones among them.
func TestQuick(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	comparison := func() string {
		op := pick("==", "!=", "<", "<=", ">", ">=")
		path := pick("a", "b.c", "l[0]", `$env["x-y"]`)
		value := pick("0", "1", "5", "9223372036854775807", `"m"`, `"m-1"`, `""`, `"é"`)
		if r.IntN(4) == 0 {
			return value + " " + op + " " + path
		}
		return path + " " + op + " " + value
	}
	value := func() string {
		return pick("0", "1", "5", "-1", "5.0", "5e0", "0.5", "-0", "9223372036854775807", "9223372036854775808", "1e999", "123456789012345678",
			`"m"`, `"m-1"`, `"\u006d"`, `""`, `"é"`, `"\u00e9"`, "\"\xff\"", "null", "true", `[1]`, `{"c":1}`)
	}
	quick, same := 0, 0
	for range 20_000 {
		src, join := comparison(), pick(" and ", " or ")
		for range r.IntN(3) {
			src += join + comparison()
		}
		x, err := Compile(src)
		if err != nil {
			t.Fatalf("%s: %v", src, err)
		}
		if x.quick == nil {
			t.Fatalf("%s is not quick", src)
		}
		doc := fmt.Sprintf(`{"a": %s, "b": {"c": %s}, "l": [%s], "x-y": %s}`, value(), value(), value(), value())
		if r.IntN(5) == 0 {
			doc = fmt.Sprintf(`{"a": %s, "a": %s}`, value(), value())
		}
		e, err := Parse([]byte(doc))
		if err != nil {
			t.Fatalf("%s: %v", doc, err)
		}
		if _, known := x.quick.match(e); known {
			quick++
		}
		got, gotErr := x.Match(e)
		want, wantErr := x.matchWhole(e)
		if got != want || fmt.Sprint(gotErr) != fmt.Sprint(wantErr) {
			t.Fatalf("%s on %s: %v, %v, want %v, %v", src, doc, got, gotErr, want, wantErr)
		}
		if got {
			same++
		}
	}
	if quick < 1000 || same < 1000 {
		t.Errorf("%d decided quickly, %d wanted: the inputs say little", quick, same)
	}
	for _, src := range []string{"a", "a == nil", "a == b", "not (a == 1)", "a == 1 and b.c == 2 or a == 3", "a == 1.5", "a + 1 == 2", "any(l, # == 1)", "a in [1]"} {
		if x, err := Compile(src); err != nil || x.quick != nil {
			t.Errorf("%s is taken for a simple one, %v", src, err)
		}
	}
}
