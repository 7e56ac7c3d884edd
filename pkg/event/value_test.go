package event_test

import (
	"errors"
	"math"
	"math/big"
	"strings"
	"testing"

	"example.com/fanout/pkg/event"
)

func rootOf(t testing.TB, doc string) event.Value {
	t.Helper()
	v, ok := mustParse(t, doc).Root()
	if !ok {
		t.Fatal("no root")
	}
	return v
}

func TestInt64(t *testing.T) {
	t.Parallel()
	zeros := strings.Repeat("0", 300)
	for _, tc := range []struct {
		doc  string
		want int64
		err  string
	}{
		{"0", 0, ""},
		{"-0", 0, ""},
		{"-0.0e5", 0, ""},
		{"2500", 2500, ""},
		{"2500.0", 2500, ""},
		{"2500.000", 2500, ""},
		{"2.5e3", 2500, ""},
		{"1e3", 1000, ""},
		{"1E+3", 1000, ""},
		{"2500e-2", 25, ""},
		{"-25000e-1", -2500, ""},
		{"0.00025e7", 2500, ""},
		{"9007199254740993", 9007199254740993, ""},
		{"9223372036854775807", math.MaxInt64, ""},
		{"-9223372036854775808", math.MinInt64, ""},
		{"9223372036854775807.000", math.MaxInt64, ""},
		{"922337203685477580.7e1", math.MaxInt64, ""},
		{"1" + zeros + "e-300", 1, ""},
		{"0." + zeros + "7e301", 7, ""},
		{"0e999999999999999999999", 0, ""},
		{"2.5", 0, "2.5 is not an integer"},
		{"0.5", 0, "0.5 is not an integer"},
		{"1e-1", 0, "1e-1 is not an integer"},
		{"1e-999999999999999999999", 0, "is not an integer"},
		{"9007199254740993.5", 0, "is not an integer"},
		{"1." + zeros + "1", 0, "1.0000000000000000000000… is not an integer"},
		{"1" + zeros + "1e-301", 0, "is not an integer"},
		{"9223372036854775808", 0, "9223372036854775808 does not fit in 64 bits"},
		{"-9223372036854775809", 0, "does not fit in 64 bits"},
		{"92233720368547758070", 0, "does not fit in 64 bits"},
		{"1e19", 0, "does not fit in 64 bits"},
		{"1e999999999999999999999", 0, "does not fit in 64 bits"},
		{`"2500"`, 0, "a string is not a number"},
		{"null", 0, "null is not a number"},
		{"true", 0, "a boolean is not a number"},
		{"[1]", 0, "an array is not a number"},
		{"{}", 0, "an object is not a number"},
	} {
		got, err := rootOf(t, tc.doc).Int64()
		if got != tc.want || (err == nil) != (tc.err == "") || err != nil && !strings.Contains(err.Error(), tc.err) {
			t.Errorf("%.40s is %d, %v, want %d, %s", tc.doc, got, err, tc.want, tc.err)
		}
		if errors.Is(err, event.ErrRange) != strings.Contains(tc.err, "does not fit") {
			t.Errorf("%.40s: %v is wrongly marked", tc.doc, err)
		}
	}
}

// FuzzInt64 compares with exact rational numbers.
func FuzzInt64(f *testing.F) {
	for _, s := range []string{"0", "-1.50e1", "9223372036854775807", "-9223372036854775808.0", "1e18", "123456789012345678901234567890123456789012345e-26", "0.001e3"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ev, err := event.Parse([]byte(s))
		if err != nil {
			return
		}
		v, _ := ev.Root()
		if v.Kind() != event.Number {
			return
		}
		if _, exponent, ok := strings.Cut(strings.ToLower(s), "e"); ok && len(strings.TrimSpace(exponent)) > 4 {
			return // too slow for big.Rat
		}
		want, ok := new(big.Rat).SetString(v.Text())
		if !ok {
			t.Fatalf("not a number for big.Rat: %s", s)
		}
		got, err := v.Int64()
		if exact := want.IsInt() && want.Num().IsInt64(); exact != (err == nil) || exact && got != want.Num().Int64() {
			t.Errorf("%s is %d, %v, want %s", s, got, err, want)
		}
	})
}

func TestFloat64(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		doc  string
		want float64
		ok   bool
	}{
		{"2.5", 2.5, true},
		{"-1e3", -1000, true},
		{"1e-999", 0, true},
		{"9007199254740993", 9007199254740992, true},
		{"1e999", 0, false},
		{`"2.5"`, 0, false},
		{"null", 0, false},
	} {
		got, err := rootOf(t, tc.doc).Float64()
		if got != tc.want || (err == nil) != tc.ok {
			t.Errorf("%s is %v, %v, want %v", tc.doc, got, err, tc.want)
		}
	}
	if _, err := rootOf(t, "1e999").Float64(); !errors.Is(err, event.ErrRange) {
		t.Errorf("error is %v, want ErrRange", err)
	}
}

func TestBool(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		doc      string
		want, ok bool
	}{{"true", true, true}, {"false", false, true}, {"null", false, false}, {"1", false, false}, {`"true"`, false, false}} {
		got, err := rootOf(t, tc.doc).Bool()
		if got != tc.want || (err == nil) != tc.ok {
			t.Errorf("%s is %v, %v", tc.doc, got, err)
		}
	}
}

func TestText(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ doc, want string }{
		{`""`, ""},
		{`"m-17"`, "m-17"},
		{`"a\"b\\c\/\b\f\n\r\t"`, "a\"b\\c/\b\f\n\r\t"},
		{`"\u00e9\u00E9\ud83d\ude00"`, "éé😀"},
		{`"\ud83d"`, "\uFFFD"},
		{`"\ud83d\u0041"`, "\uFFFDA"},
		{`"\ude00\ud83d\ude00"`, "\uFFFD😀"},
		{"\"a\xffb\"", "a\uFFFDb"},
		{"2.50", "2.50"},
		{"null", "null"},
		{`[1, "a"]`, `[1, "a"]`},
	} {
		v := rootOf(t, tc.doc)
		if got := v.Text(); got != tc.want {
			t.Errorf("%s is %q, want %q", tc.doc, got, tc.want)
		}
		if got := string(v.AppendText([]byte("x"))); got != "x"+tc.want {
			t.Errorf("%s is appended as %q, want %q", tc.doc, got, tc.want)
		}
	}
	if text := (event.Value{}).Text(); text != "" {
		t.Errorf("the zero value is %q", text)
	}
}
