package event_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"example.com/fanout/pkg/event"
)

var shapePaths = []string{
	"trade_id", "market_id", "odds", "odds.ticks", "stake.value", "timestamp", "a", "a.b", "a.b[1].c", "b", `[""]`, "[0]", "[1].a", "s", "l[2]", "o.k", "x",
}

// agree decodes doc with and without what is known, and compares everything that
// can be seen of the two events.
func agree(t *testing.T, doc []byte, known *event.Shapes) {
	t.Helper()
	d := event.Decoder{Field: "event"}
	var got, want event.Event
	gotErr := d.DecodeInto(&got, entry("event", string(doc)), known)
	wantErr := d.DecodeInto(&want, entry("event", string(doc)), nil)
	if fmt.Sprint(gotErr) != fmt.Sprint(wantErr) {
		t.Fatalf("%q: error is %v, without shapes %v", doc, gotErr, wantErr)
	}
	if valid := json.Valid(doc); valid != (gotErr == nil) {
		t.Fatalf("%q: encoding/json says valid: %v, error is %v", doc, valid, gotErr)
	}
	if string(got.Raw()) != string(want.Raw()) {
		t.Fatalf("%q: raw is %q, without shapes %q", doc, got.Raw(), want.Raw())
	}
	for _, text := range shapePaths {
		p := sharedPath(t, text)
		a, okA := got.Lookup(p)
		b, okB := want.Lookup(p)
		if okA != okB || a.Kind() != b.Kind() || string(a.Raw()) != string(b.Raw()) {
			t.Fatalf("%s in %q is %v %q, without shapes %v %q", text, doc, okA, a.Raw(), okB, b.Raw())
		}
	}
}

// sharedPath returns the same Path each time: it remembers shapes.
func sharedPath(t *testing.T, text string) event.Path {
	pathsMu.Lock()
	defer pathsMu.Unlock()
	p, ok := paths[text]
	if !ok {
		p = mustPath(t, text)
		paths[text] = p
	}
	return p
}

var (
	pathsMu sync.Mutex
	paths   = map[string]event.Path{}
)

// With shapes nothing is decoded otherwise than without, whatever came before: in
// shapes that alternate, that are too many to remember, or too large.
func TestShapes(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	scalar := func() string {
		return pick("0", "-0", "7", "81", "-3", "1.5", "1e3", "-1.5E-7", "9223372036854775808", `"m-1"`, `""`, `"a\"b\\"`, `"\u00e9 and longer than eight"`, `"é"`, "true", "false", "null")
	}
	templates := []string{
		`{"trade_id": #, "market_id": #, "odds": {"ticks": #}, "stake": {"value": #}, "timestamp": #}`,
		` {"trade_id":#,"odds":{"ticks":#},"odds":{"tick":#}} `,
		`{"a":{"b":[#, {"c": #}, []]}, "b": {}, "": #}`,
		`[#, {"a": #}]`, `#`, ` # `, `{"s":#,"l":[#,#,#],"o":{"k":[]}}`, `{"a\u0062":#,"b":#}`, `{}`, `[]`,
		`{"x":[` + strings.Repeat("#,", 22) + `#]}`, `{"x":[` + strings.Repeat("#,", 23) + `#]}`,
		`{"x":"` + strings.Repeat("x", 5000) + `","a":#}`,
	}
	var known event.Shapes
	for range 20_000 {
		doc := pick(templates...)
		for strings.Contains(doc, "#") {
			doc = strings.Replace(doc, "#", scalar(), 1)
		}
		switch r.IntN(10) {
		case 0: // one byte is another
			b := []byte(doc)
			b[r.IntN(len(b))] = pick("{", "}", "[", "]", ":", ",", `"`, "1", " ", "x", "\\", "\x00", "\xff", ".", "e", "-")[0]
			doc = string(b)
		case 1: // cut
			doc = doc[:r.IntN(len(doc))]
		case 2: // a form of its own
			doc = fmt.Sprintf(`{"n%d":%s,"a":%s}`, r.IntN(1000), scalar(), doc)
		}
		agree(t, []byte(doc), &known)
	}
}

// Every byte of a document of a known shape may be wrong, and it may end at every
// place.
func TestDamagedShapes(t *testing.T) {
	t.Parallel()
	for _, doc := range []string{
		trade,
		`{"id":-1.5e+3,"s":"a\n\ud83d\ude00 long enough","l":[true,false,null,{}],"o":{"k":[]}} `,
		`"a"`, `10`,
	} {
		damage := func(damaged []byte) {
			var known event.Shapes
			agree(t, []byte(doc), &known)
			agree(t, damaged, &known)
		}
		for i := range doc {
			damage([]byte(doc[:i]))
			damage([]byte(doc[:i] + "7" + doc[i:]))
			for c := range 256 {
				damaged := []byte(doc)
				damaged[i] = byte(c)
				damage(damaged)
			}
		}
	}
}

// A Path is read by many goroutines at once, and so is an event of a known shape.
func TestShapesAtOnce(t *testing.T) {
	t.Parallel()
	var group sync.WaitGroup
	for g := range 4 {
		group.Go(func() {
			var known event.Shapes
			for i := range 2000 {
				agree(t, fmt.Appendf(nil, `{"g%d":%d,"a":{"b":[%d,{"c":"x%d"}]},"b":%d}`, (g+i/100)%6, i, i, i, -i), &known)
			}
		})
	}
	group.Wait()
}

func FuzzShapes(f *testing.F) {
	for _, d := range documents {
		f.Add([]byte(d), []byte(trade))
		f.Add([]byte(trade), []byte(d))
	}
	f.Add([]byte(`{"a":1,"b":"x"}`), []byte(`{"a":1.5,"b":"x\n"} `))
	f.Fuzz(func(t *testing.T, first, second []byte) {
		var known event.Shapes
		for _, doc := range [][]byte{first, second, first} {
			agree(t, doc, &known)
		}
	})
}
