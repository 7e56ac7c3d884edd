package event_test

import (
	"encoding/json"
	"strings"
	"testing"

	"example.com/fanout/pkg/event"
)

// documents are valid and invalid JSON of every form that the grammar knows.
var documents = []string{
	"", " ", "\t\r\n ", "null", "true", "false", "nul", "nulll", "tru", "True", "truefalse", "n", "t", "f", "fals",
	"0", "-0", "-", "+1", "01", "-01", "1.", ".5", "0.5", "1.5e", "1e5", "1E+5", "1e-5", "1e+", "1.e5", "0e0", "0x1", "1 2", "1,",
	"9223372036854775808", "-9223372036854775809", "1e999", "NaN", "Infinity", "-Infinity", "--1", "1-", "0-1", "00", "1_000",
	`""`, `"a"`, `"`, `"a`, `"\"`, `"\\"`, `"\/\b\f\n\r\t\""`, `"\x"`, `"\u12"`, `"\u12g4"`, `"\u1234"`, `"\U1234"`, `"\ud83d\ude00"`,
	`"\ud83d"`, `"\ude00\ud83d"`, `"\ud83d\u0041"`, `"\ud83dx"`, "\"\x00\"", "\"\x1f\"", "\"\x20\"", "\"\x7f\"", "\"\n\"", "\"\xff\"", "\"\xc3\"", "\"é𝄞\"",
	"\"12345678\"", "\"1234567\"", "\"123456789\"", "\"1234567\x01\"", "\"1234567\\\"8\"", "\"12345678\\", "'a'",
	"[]", "[ ]", "[", "]", "[1", "[1,", "[1,]", "[,1]", "[1 2]", "[1,2]", " [ 1 , 2 ] ", "[[]]", "[[],[]]", "[1}", "[]]", "[{}]", "[}",
	"{}", "{ }", "{", "}", `{"a"}`, `{"a":}`, `{"a":1}`, `{"a":1,}`, `{,}`, `{"a":1 "b":2}`, `{a:1}`, `{"a":1,"a":2}`, `{1:2}`, `{"a":1]`, `{"a"::1}`,
	` { "a" : [ 1 , { "b" : null } ] , "c" : "d" } `, `{"a":1}{"b":2}`, `{"a":1}x`, "{\"a\":1}\x00", "\ufeff{}", `{"a":1}//`, "{\"a\":\v1}", "{\u00a0}",
	`{"\u0061":1,"a":2}`, `{"\ud800":1}`, "{\"\xff\":1}", `{"":{"":{"":[]}}}`, `{"a.b":1,"a":{"b":2},"a\\":3,"\"":4}`, `{"k":[0,[1,[2]]],"k2":{"k":"v"}}`,
	strings.Repeat("[", 63) + strings.Repeat("]", 63), strings.Repeat("[", 64) + strings.Repeat("]", 64),
	strings.Repeat("[", 65) + strings.Repeat("]", 65), strings.Repeat(`{"a":[`, 100) + strings.Repeat("]}", 100),
	strings.Repeat(`{"a":[`, 100) + strings.Repeat("]]", 100), strings.Repeat("[", 130) + strings.Repeat("]", 66) + "}",
	trade, trade[:len(trade)-1], trade + "}", `{"a":1` + strings.Repeat(`,"b":2`, 30) + `,"a":3}`,
}

func FuzzValid(f *testing.F) {
	for _, d := range documents {
		f.Add([]byte(d))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		_, err := event.Parse(doc)
		if valid := json.Valid(doc); valid != (err == nil) {
			t.Errorf("%q: encoding/json says valid: %v, Parse says: %v", doc, valid, err)
		}
	})
}

// Every prefix of a document is cut in the middle, and every byte of it may be
// wrong.
func TestDamagedDocuments(t *testing.T) {
	t.Parallel()
	agree := func(doc []byte) {
		t.Helper()
		_, err := event.Parse(doc)
		if valid := json.Valid(doc); valid != (err == nil) {
			t.Errorf("%q: encoding/json says valid: %v, Parse says: %v", doc, valid, err)
		}
	}
	doc := []byte(`{"id":-1.5e+3,"s":"a\n\ud83d\ude00 long enough","l":[true,false,null,{}],"o":{"k":[]}}`)
	for i := range doc {
		agree(doc[:i])
		for c := range 256 {
			damaged := []byte(string(doc))
			damaged[i] = byte(c)
			agree(damaged)
		}
	}
}

func TestNesting(t *testing.T) {
	t.Parallel()
	const most = 10_000
	nested := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	mixed := strings.Repeat(`{"a":[`, most/2) + "1" + strings.Repeat("]}", most/2)
	for _, tc := range []struct {
		name  string
		doc   string
		valid bool
	}{
		{"as deep as allowed", nested(most), true},
		{"one deeper", nested(most + 1), false},
		{"objects and arrays", mixed, true},
		{"wrong at the end", mixed[:len(mixed)-1] + "]", false},
		{"a million", nested(1_000_000), false},
		{"a million left open", strings.Repeat("[", 1_000_000), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, err := event.Parse([]byte(tc.doc))
			if (err == nil) != tc.valid || json.Valid([]byte(tc.doc)) != tc.valid {
				t.Errorf("error is %v, want valid: %v", err, tc.valid)
			}
		})
	}
}

func TestInvalidDocuments(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ doc, want string }{
		{"", "it ends at byte 0 where a value is expected"},
		{`{"a":1,}`, "at byte 7: a member name is expected"},
		{`{"a" 1}`, "at byte 5: ':' is expected"},
		{`{"a":1 "b"`, "at byte 7: ',' or '}' is expected"},
		{`{"a":1`, "it ends at byte 6 where ',' or '}' is expected"},
		{`[1 2]`, "at byte 3: ',' or ']' is expected"},
		{`[1,]`, "at byte 3: a value is expected"},
		{`nul`, "it ends at byte 3 where null is expected"},
		{`[fals]`, "at byte 5: false is expected"},
		{`{"a":1} x`, "at byte 8: the end is expected"},
		{`"abcdefghi` + "\x01" + `"`, "at byte 10: an escape in place of a control character is expected"},
		{`"\q"`, "at byte 2: an escape is expected"},
		{`"\u00q"`, "at byte 5: a hexadecimal digit is expected"},
		{`-x`, "at byte 1: a digit is expected"},
		{`1.`, "it ends at byte 2 where a digit is expected"},
		{`1e+`, "it ends at byte 3 where a digit is expected"},
		{strings.Repeat("[", 10_001), "at byte 10000: no deeper nesting is expected"},
	} {
		_, err := event.Parse([]byte(tc.doc))
		if err == nil || !strings.HasSuffix(err.Error(), tc.want) {
			t.Errorf("%.20q: error is %v, want %q", tc.doc, err, tc.want)
		}
	}
}
