package event_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"example.com/fanout/pkg/event"
)

func TestLookup(t *testing.T) {
	t.Parallel()
	wide := `{"a":1` + strings.Repeat(`,"pad":[{"a":0}]`, 20) + `,"z":{"y":[10,20]},"a":2}`
	for _, tc := range []struct{ doc, path, want string }{
		{trade, "trade_id", "812"},
		{trade, "market_id", "m-17"},
		{trade, "odds.ticks", "245"},
		{trade, "odds", `{"ticks": 245}`},
		{trade, "odds.tick", "missing"},
		{trade, "odds.ticks.x", "missing"},
		{trade, "odds[0]", "missing"},
		{trade, "[0]", "missing"},
		{`{"legs":[{"price":1.5},{"price":2}]}`, "legs[1].price", "2"},
		{`{"legs":[{"price":1.5},{"price":2}]}`, "legs[2].price", "missing"},
		{`{"legs":[]}`, "legs[0]", "missing"},
		{`[ [ 1 , 2 ] , [ 3 ] ]`, "[1][0]", "3"},
		{`{"a.b":1,"a":{"b":2}}`, `["a.b"]`, "1"},
		{`{"a.b":1,"a":{"b":2}}`, `a.b`, "2"},
		{`{"a":{"b c":{"é":5}}}`, `a["b c"].é`, "5"},
		{`{"":1}`, `[""]`, "1"},
		{`{"n":null}`, "n", "null"},
		{`{"s":"\u00e9\n\"\ud83d\ude00"}`, "s", "é\n\"😀"},
		{`{"tr\u0061de":1}`, "trade", "1"},
		{`{"a\\b":1,"a\b":2}`, `["a\\b"]`, "1"},
		{`{"a\\b":1,"a\b":2}`, `["a\b"]`, "2"},
		{"{\"\xff\":1}", `["` + "\uFFFD" + `"]`, "1"},
		{`{"a":1,"a":2}`, "a", "2"},
		{`{"a":{"b":1},"a":{"c":2}}`, "a.b", "missing"},
		{`{"a":1,"\u0061":3}`, "a", "3"},
		{`{"o":{"a":1,"a":2}}`, "o.a", "2"},
		{wide, "a", "2"},
		{wide, "z.y[1]", "20"},
		{wide, "b", "missing"},
		{`{"a":"x}]\",{[","b":1}`, "b", "1"},
		{`{"o":{"a":"x}]\",{[","b":1}}`, "o.b", "1"},
		{`{"o":{"a":[{"c":"]"}],"b":-1.5e3 }}`, "o.b", "-1.5e3"},
	} {
		got := "missing"
		if v, ok := mustParse(t, tc.doc).Lookup(mustPath(t, tc.path)); ok {
			got = v.Text()
		}
		if got != tc.want {
			t.Errorf("%s in %.60s is %q, want %q", tc.path, tc.doc, got, tc.want)
		}
	}
}

// FuzzLookup compares every value of a document with what encoding/json makes of it.
func FuzzLookup(f *testing.F) {
	for _, d := range documents {
		f.Add([]byte(d))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		ev, err := event.Parse(doc)
		if err != nil || len(doc) > 4<<10 {
			return
		}
		decoder := json.NewDecoder(bytes.NewReader(doc))
		decoder.UseNumber()
		var want any
		if err := decoder.Decode(&want); err != nil {
			t.Fatal(err)
		}
		root, ok := ev.Root()
		if !ok {
			t.Fatal("no root")
		}
		sameValue(t, ev, "", root, want)
	})
}

func sameValue(t *testing.T, ev *event.Event, path string, got event.Value, want any) {
	t.Helper()
	child := func(step string, want any) {
		t.Helper()
		path := path + step
		if len(path) > 1024 {
			return
		}
		v, ok := ev.Lookup(mustPath(t, path))
		if !ok {
			t.Errorf("%s is missing", path)
			return
		}
		sameValue(t, ev, path, v, want)
	}
	same := false
	switch want := want.(type) {
	case nil:
		same = got.Kind() == event.Null
	case bool:
		b, err := got.Bool()
		same = err == nil && b == want
	case json.Number:
		same = got.Kind() == event.Number && got.Text() == want.String()
	case string:
		same = got.Kind() == event.String && got.Text() == want && string(got.AppendText(nil)) == want
	case []any:
		same = got.Kind() == event.Array
		for i, w := range want {
			child(fmt.Sprintf("[%d]", i), w)
		}
		if _, ok := ev.Lookup(mustPath(t, fmt.Sprintf("%s[%d]", path, len(want)))); ok && len(path) < 1000 {
			t.Errorf("%s is longer than %d", path, len(want))
		}
	case map[string]any:
		same = got.Kind() == event.Object
		for name, w := range want {
			quoted, err := json.Marshal(name)
			if err != nil {
				t.Fatal(err)
			}
			child("["+string(quoted)+"]", w)
		}
	}
	if !same {
		t.Errorf("%s is %s %q, want %v", path, got.Kind(), got.Raw(), want)
	}
}

// The members of an object are indexed up to a number, and walked beyond it.
func TestLookupInWideObjects(t *testing.T) {
	t.Parallel()
	for members := 1; members < 40; members++ {
		var doc strings.Builder
		for i := range members {
			fmt.Fprintf(&doc, `%c"m%d":%d`, "{,"[min(i, 1)], i, i)
		}
		ev := mustParse(t, doc.String()+"}")
		for i := range members + 1 {
			v, ok := ev.Lookup(mustPath(t, fmt.Sprintf("m%d", i)))
			if ok != (i < members) || ok && v.Text() != fmt.Sprint(i) {
				t.Errorf("m%d of %d members is %q, %v", i, members, v.Text(), ok)
			}
		}
	}
}
