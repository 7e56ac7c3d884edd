package event_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"example.com/fanout/pkg/event"
	"example.com/fanout/pkg/stream"
)

func mustPath(t testing.TB, text string) event.Path {
	t.Helper()
	p, err := event.ParsePath(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func mustParse(t testing.TB, doc string) *event.Event {
	t.Helper()
	ev, err := event.Parse([]byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	return ev
}

func TestDecode(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name    string
		decoder event.Decoder
		entry   stream.Entry
		raw     string
		text    string // of the value at path a
	}{
		{"json", event.Decoder{Field: "event"}, entry("x", "1", "event", `{"a": "b"}`), `{"a": "b"}`, "b"},
		{"json by name", event.Decoder{Field: "event", Format: event.JSON}, entry("event", `{"a":1}`), `{"a":1}`, "1"},
		{"space around", event.Decoder{Field: "event"}, entry("event", " \n{\"a\":1}\t "), `{"a":1}`, "1"},
		{"fields", event.Decoder{Format: event.Fields}, entry("a", "1", "b", "x"), `{"a":"1","b":"x"}`, "1"},
		{"fields escaped", event.Decoder{Format: event.Fields}, entry("q\"\n", "\\", "a", "é\x00\x7f"), `{"q\"\u000a":"\\","a":"é\u0000` + "\x7f" + `"}`, "é\x00\x7f"},
		{"fields empty name", event.Decoder{Format: event.Fields}, entry("", "1", "a", ""), `{"":"1","a":""}`, ""},
		{"raw", event.Decoder{Field: "event", Format: event.Raw}, entry("event", "\xff{\"a\":1}"), "\xff{\"a\":1}", "missing"},
		{"raw that is JSON", event.Decoder{Field: "event", Format: event.Raw}, entry("event", `{"a":1}`), `{"a":1}`, "missing"},
		{"number at the top", event.Decoder{Field: "event"}, entry("event", "12"), "12", "missing"},
		{"string at the top", event.Decoder{Field: "event"}, entry("event", `"a"`), `"a"`, "missing"},
		{"null at the top", event.Decoder{Field: "event"}, entry("event", `null`), `null`, "missing"},
		{"array at the top", event.Decoder{Field: "event"}, entry("event", `[{"a":1}]`), `[{"a":1}]`, "missing"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			ev, err := tc.decoder.Decode(tc.entry)
			if err != nil {
				t.Fatal(err)
			}
			if string(ev.Raw()) != tc.raw {
				t.Errorf("raw is %q, want %q", ev.Raw(), tc.raw)
			}
			text := "missing"
			if v, ok := ev.Lookup(mustPath(t, "a")); ok {
				text = v.Text()
			}
			if text != tc.text {
				t.Errorf("a is %q, want %q", text, tc.text)
			}
		})
	}
}

func TestDecodeErrors(t *testing.T) {
	t.Parallel()
	many := entry()
	for i := range 40 {
		many.Fields = append(many.Fields, entry(fmt.Sprintf("f%d", i), "v").Fields...)
	}
	twice := many.Clone()
	twice.Fields = append(twice.Fields, entry("f7", "again").Fields...)
	for _, tc := range []struct {
		name    string
		decoder event.Decoder
		entry   stream.Entry
		want    string
	}{
		{"missing", event.Decoder{Field: "event"}, entry("evnet", "{}", "x", "secret"), `decode entry: field "event" is missing, the entry has "evnet", "x"`},
		{"no fields", event.Decoder{Field: "event"}, entry(), `decode entry: field "event" is missing, the entry has no fields`},
		{"long name", event.Decoder{Field: "event"}, entry(strings.Repeat("n", 50), ""), `field "event" is missing, the entry has "` + strings.Repeat("n", 32) + `"…`},
		{"many", event.Decoder{Field: "event"}, many, `the entry has "f0", "f1", "f2", "f3", "f4", "f5", "f6", "f7" and 32 more`},
		{"repeated", event.Decoder{Field: "event"}, entry("event", "{}", "event", "{}"), `decode entry: field "event" occurs more than once`},
		{"raw missing", event.Decoder{Field: "event", Format: event.Raw}, entry("a", ""), `field "event" is missing`},
		{"raw repeated", event.Decoder{Field: "event", Format: event.Raw}, entry("event", "", "event", ""), `occurs more than once`},
		{"fields repeated", event.Decoder{Format: event.Fields}, entry("a", "1", "b", "2", "a", "1"), `decode entry: field "a" occurs more than once`},
		{"many fields repeated", event.Decoder{Format: event.Fields}, twice, `decode entry: field "f7" occurs more than once`},
		{"binary value", event.Decoder{Format: event.Fields}, entry("a", "ok\xff"), `decode field "a": not UTF-8 at byte 2`},
		{"binary name", event.Decoder{Format: event.Fields}, entry("b", "", "\xffa", ""), `decode entry: name of field 2: not UTF-8 at byte 0`},
		{"truncated", event.Decoder{Field: "event"}, entry("event", `{"secret": "abc`), `decode field "event": invalid JSON: it ends at byte 15 where the end of a string is expected`},
		{"unknown format", event.Decoder{Field: "event", Format: "xml"}, entry("event", ""), `unknown format "xml"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			ev, err := tc.decoder.Decode(tc.entry)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("error is %v, want %q", err, tc.want)
			}
			if strings.Contains(err.Error(), "abc") {
				t.Error("the error shows the payload")
			}
			if ev != nil {
				t.Error("an event beside an error")
			}
		})
	}
}

// An event that is decoded into again holds nothing of what it held.
func TestDecodeIntoReuses(t *testing.T) {
	t.Parallel()
	var ev event.Event
	json := event.Decoder{Field: "event"}
	fields := event.Decoder{Format: event.Fields}
	raw := event.Decoder{Field: "event", Format: event.Raw}
	wide := `{"a":1` + strings.Repeat(`,"w":0`, 40) + `}`
	for _, step := range []struct {
		decoder event.Decoder
		entry   stream.Entry
		a       string // "" missing
	}{
		{json, entry("event", `{"a":1}`), "1"},
		{raw, entry("event", `{"a":1}`), ""},
		{json, entry("event", wide), "1"},
		{json, entry("event", `{"b":1}`), ""},
		{fields, entry("a", "2", "b", "3"), "2"},
		{json, entry("event", `{"a":`), ""},
		{fields, entry("b", "3"), ""},
		{json, entry("event", `[]`), ""},
		{json, entry("event", `{"a":3}`), "3"},
		{fields, entry("a", "\xff"), ""},
	} {
		err := step.decoder.DecodeInto(&ev, step.entry, nil)
		v, ok := ev.Lookup(mustPath(t, "a"))
		if ok != (step.a != "") || ok && v.Text() != step.a {
			t.Errorf("%s: a is %q, want %q", step.entry.Fields[0].Value, v.Text(), step.a)
		}
		if err != nil && len(ev.Raw()) != 0 {
			t.Errorf("after the error %v the event holds %q", err, ev.Raw())
		}
	}
}

func TestZeroEvent(t *testing.T) {
	t.Parallel()
	var ev event.Event
	if _, ok := ev.Lookup(mustPath(t, "a")); ok {
		t.Error("found something in nothing")
	}
	if _, ok := ev.Root(); ok {
		t.Error("nothing has a root")
	}
	if _, ok := mustParse(t, `{"a":1}`).Lookup(event.Path{}); ok {
		t.Error("the zero path found something")
	}
}

// Not parallel: it counts the allocations of the process.
func TestHotPathDoesNotAllocate(t *testing.T) {
	x, err := event.Compile(`stake.value >= 1000 and market_id in ["m-1", "m-17"] and absent != 1`)
	if err != nil {
		t.Fatal(err)
	}
	id, stake, market := mustPath(t, "trade_id"), mustPath(t, "stake.value"), mustPath(t, "market_id")
	at := mustPath(t, "timestamp")
	d := event.Decoder{Field: "event"}
	e := entry("event", trade)
	fields := event.Decoder{Format: event.Fields}
	flat := entry("trade_id", "812", "market_id", "m-17")
	var ev, fl event.Event
	text := make([]byte, 0, 64)
	work := map[string]func(){
		"decode": func() {
			if d.DecodeInto(&ev, e, nil) != nil {
				t.Error("not decoded")
			}
		},
		"decode fields": func() {
			if fields.DecodeInto(&fl, flat, nil) != nil {
				t.Error("not decoded")
			}
		},
		"integers": func() {
			for _, p := range []event.Path{id, stake} {
				v, _ := ev.Lookup(p)
				if n, err := v.Int64(); err != nil || n == 0 {
					t.Error("no integer")
				}
			}
		},
		"text": func() {
			v, _ := ev.Lookup(market)
			if text = v.AppendText(text[:0]); string(text) != "m-17" {
				t.Error("no text")
			}
		},
		"time": func() {
			v, _ := ev.Lookup(at)
			if ts, err := v.Time(event.Auto); err != nil || ts.UnixMilli() != 1763856000123 {
				t.Error("no time")
			}
		},
		"match": func() {
			if _, err := x.Match(&ev); err != nil {
				t.Error(err)
			}
		},
	}
	for _, name := range []string{"decode", "decode fields", "integers", "text", "time", "match"} {
		if n := testing.AllocsPerRun(200, work[name]); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// FuzzDecode compares every form of an entry with what encoding/json makes of it.
func FuzzDecode(f *testing.F) {
	f.Add("event", []byte("event"), []byte(`{"a":1}`), []byte("b"), []byte("2"))
	f.Add("event", []byte("event"), []byte(` {"a":1`), []byte("event"), []byte("2"))
	f.Add("", []byte(""), []byte("null"), []byte("\x00"), []byte("\xff"))
	f.Add("\xff", []byte("\xff"), []byte("\"\xff\""), []byte("é\u2028"), []byte("\\\"\x1f\x7f"))
	f.Add("a", []byte("a"), []byte("\xed\xa0\x80"), []byte("A"), []byte("\xf4\x90\x80\x80"))
	f.Fuzz(func(t *testing.T, field string, n1, v1, n2, v2 []byte) {
		e := stream.Entry{Fields: []stream.Field{{Name: n1, Value: v1}, {Name: n2, Value: v2}}}
		var payload []byte
		var found int
		for _, f := range e.Fields {
			if string(f.Name) == field {
				payload, found = f.Value, found+1
			}
		}
		for format, want := range map[event.Format]bool{
			event.JSON:   found == 1 && json.Valid(payload),
			event.Raw:    found == 1,
			event.Fields: !bytes.Equal(n1, n2) && utf8.Valid(n1) && utf8.Valid(v1) && utf8.Valid(n2) && utf8.Valid(v2),
		} {
			ev, err := event.Decoder{Field: field, Format: format}.Decode(e)
			if (err == nil) != want {
				t.Fatalf("%s: error %v, want that it decodes: %v", format, err, want)
			}
			switch {
			case err != nil:
			case format == event.Raw && !bytes.Equal(ev.Raw(), payload):
				t.Fatalf("raw: %q of %q", ev.Raw(), payload)
			case format == event.JSON && string(ev.Raw()) != strings.Trim(string(payload), " \t\r\n"):
				t.Fatalf("json: %q of %q", ev.Raw(), payload)
			case format == event.Fields:
				var members map[string]string
				if err := json.Unmarshal(ev.Raw(), &members); err != nil || len(members) != 2 ||
					members[string(n1)] != string(v1) || members[string(n2)] != string(v2) {
					t.Fatalf("fields: %q, %v", ev.Raw(), err)
				}
			}
		}
	})
}
