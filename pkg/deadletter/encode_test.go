package deadletter_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"example.com/fanout/pkg/deadletter"
	"example.com/fanout/pkg/stream"
)

func letter(fields ...stream.Field) *deadletter.Letter {
	id := stream.ID{Ms: 1763856000123, Seq: 7}
	return &deadletter.Letter{
		Entry:        stream.Entry{ID: id, Fields: fields},
		Stream:       "events_stream",
		ID:           id,
		Epoch:        "e1",
		Group:        "analytics",
		Consumer:     "host-0",
		Handler:      "window",
		Stage:        deadletter.Handle,
		Class:        deadletter.ClassError,
		Error:        "parse odds.ticks: \"x\"",
		Attempts:     5,
		Deliveries:   2,
		FirstFailure: time.Date(2025, 11, 23, 0, 0, 0, 1000, time.UTC),
		LastFailure:  time.Date(2025, 11, 23, 0, 0, 9, 0, time.UTC),
		Replays:      1,
	}
}

func field(name, value string) stream.Field {
	return stream.Field{Name: []byte(name), Value: []byte(value)}
}

func many(n int) []stream.Field {
	fields := make([]stream.Field, n)
	for i := range fields {
		fields[i] = field(fmt.Sprint("n", i), strings.Repeat("v", i%300))
	}
	return fields
}

// bytesEqual spares cmp the search for the difference of 10 MiB.
var bytesEqual = cmp.FilterValues(func(a, b []byte) bool { return len(a)+len(b) > 0 }, cmp.Comparer(bytes.Equal))

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	tests := map[string][]stream.Field{
		"one field":         {field("event", `{"a":1}`)},
		"no field":          {},
		"repeated names":    {field("a", "1"), field("b", "2"), field("a", "3")},
		"binary":            {field("\x00\r\n\xff", "\x00\r\n\xfe")},
		"empty":             {field("", "")},
		"own names":         {field("letter", "x"), field("packed", "y")},
		"10 MiB":            {field("event", strings.Repeat("x", 10<<20))},
		"as many as fit":    many(deadletter.MaxFields),
		"too many":          many(deadletter.MaxFields + 1),
		"far too many":      many(20000),
		"packed as a field": {field("packed", "\x01a\x01b")},
	}
	for name, fields := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := letter(fields...)
			encoded, err := want.Fields()
			if err != nil {
				t.Fatal(err)
			}
			if len(encoded) > deadletter.MaxFields+1 {
				t.Fatalf("%d fields, at most %d can be written", len(encoded), deadletter.MaxFields+1)
			}
			got, err := deadletter.Parse(stream.Entry{ID: stream.ID{Ms: 9}, Fields: encoded})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), bytesEqual); diff != "" {
				t.Fatalf("letter changed (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFieldsStayAsPublished(t *testing.T) {
	t.Parallel()
	fields, err := letter(field("b", "1"), field("a", "2")).Fields()
	if err != nil {
		t.Fatal(err)
	}
	if string(fields[0].Name) != "letter" || string(fields[1].Name) != "b" || string(fields[2].Name) != "a" {
		t.Fatalf("fields %q", fields)
	}
}

func TestParseRefusesForeignEntries(t *testing.T) {
	t.Parallel()
	const good = `{"stream":"s","group":"g","id":"1-2"}`
	tests := map[string][]stream.Field{
		"no fields":           nil,
		"other first field":   {field("event", "{}"), field("letter", good)},
		"not JSON":            {field("letter", "hello")},
		"JSON null":           {field("letter", "null")},
		"not an object":       {field("letter", "[]")},
		"trailing data":       {field("letter", good+"{}")},
		"no stream":           {field("letter", `{"group":"g","id":"1-2"}`)},
		"no group":            {field("letter", `{"stream":"s","id":"1-2"}`)},
		"no ID":               {field("letter", `{"stream":"s","group":"g"}`)},
		"bad ID":              {field("letter", `{"stream":"s","group":"g","id":"x"}`)},
		"packed is missing":   {field("letter", `{"stream":"s","group":"g","id":"1-2","packed":true}`)},
		"packed is torn":      {field("letter", `{"stream":"s","group":"g","id":"1-2","packed":true}`), field("packed", "\x05ab")},
		"packed lacks values": {field("letter", `{"stream":"s","group":"g","id":"1-2","packed":true}`), field("packed", "\x01a")},
		"packed is hostile":   {field("letter", `{"stream":"s","group":"g","id":"1-2","packed":true}`), field("packed", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")},
	}
	for name, fields := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, err := deadletter.Parse(stream.Entry{ID: stream.ID{Ms: 3}, Fields: fields})
			if !errors.Is(err, deadletter.ErrNotLetter) || l != nil {
				t.Fatalf("got %v, %v, want ErrNotLetter", l, err)
			}
			if !strings.Contains(err.Error(), "3-0") {
				t.Fatalf("%q does not name the entry", err)
			}
		})
	}
}

// hostileHeads are first fields that make, or nearly make, a letter.
var hostileHeads = []string{
	`{"stream":"s","group":"g","id":"1-2"}`,
	`{"stream":"s","group":"g","id":"1-2","packed":true}`,
	`{"stream":"s","group":"g","id":"18446744073709551615-18446744073709551615","packed":false,"replays":-9223372036854775808}`,
	`{"stream":"\ud800","group":"\u0000\u001b[2J","id":"1","stage":"none","first_failure":"9999-12-31T23:59:59.999999999+23:59"}`,
	`{"STREAM":"s","Group":"g","ID":"1-1","Entry":{"ID":"7-7"},"Letter":null,"deliveries":9223372036854775807}`,
	`{"stream":"s","group":"g","id":"0-0"}`, `{"stream":"s","group":"g","id":{}}`, `{}{}`, `null`, `[`, ``,
}

func FuzzParse(f *testing.F) {
	for _, head := range hostileHeads {
		f.Add([]byte("letter"), []byte(head), []byte("packed"), []byte("\x01a\x01b"))
	}
	f.Add([]byte("letter"), []byte(hostileHeads[1]), []byte("packed"), []byte("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"))
	f.Add([]byte("event"), []byte(hostileHeads[0]), []byte("letter"), []byte(hostileHeads[0]))
	f.Fuzz(func(t *testing.T, n1, v1, n2, v2 []byte) {
		e := stream.Entry{ID: stream.ID{Ms: 9}, Fields: []stream.Field{{Name: n1, Value: v1}, {Name: n2, Value: v2}}}
		l, err := deadletter.Parse(e)
		if err != nil {
			if l != nil || !errors.Is(err, deadletter.ErrNotLetter) {
				t.Fatalf("letter %+v beside the error %v", l, err)
			}
			return
		}
		fields, err := l.Fields()
		if err != nil {
			return // a year that JSON cannot hold
		}
		again, err := deadletter.Parse(stream.Entry{Fields: fields})
		if diff := cmp.Diff(l, again, cmpopts.EquateEmpty(), bytesEqual); err != nil || diff != "" {
			t.Fatalf("another letter after another round: %v\n%s", err, diff)
		}
	})
}

// FuzzParseReplay: what is read as a replay comes back from a replay of its own.
func FuzzParseReplay(f *testing.F) {
	for _, head := range hostileHeads {
		f.Add([]byte("of"), []byte("5-0"), []byte("letter"), []byte(head), []byte("a"), []byte("b"))
	}
	f.Add([]byte("of"), []byte("5-"), []byte("letter"), []byte(hostileHeads[0]), []byte("a"), []byte("b"))
	f.Add([]byte("letter"), []byte("5-0"), []byte("of"), []byte(hostileHeads[0]), []byte("a"), []byte("b"))
	f.Add([]byte("of"), []byte("5-0"), []byte("letter"), []byte(hostileHeads[1]), []byte("packed"), []byte("\x01a\x01b"))
	f.Fuzz(func(t *testing.T, n1, v1, n2, v2, n3, v3 []byte) {
		e := stream.Entry{ID: stream.ID{Ms: 9}, Fields: []stream.Field{{Name: n1, Value: v1}, {Name: n2, Value: v2}, {Name: n3, Value: v3}}}
		of, l, err := deadletter.ParseReplay(e)
		if err != nil {
			if l != nil || !errors.Is(err, deadletter.ErrNotLetter) {
				t.Fatalf("letter %+v beside the error %v", l, err)
			}
			return
		}
		if want, err := stream.ParseID(v1); err != nil || of != want {
			t.Fatalf("of %s, want %q", of, v1)
		}
		fields, err := l.Fields()
		if err != nil {
			return // a year that JSON cannot hold
		}
		head, err := deadletter.ParseHead(stream.Entry{Fields: fields[:1]})
		if err != nil {
			t.Fatal(err)
		}
		object, err := head.Replay()
		if err != nil {
			t.Fatal(err)
		}
		fields[0].Value = object
		e.Fields = append([]stream.Field{{Name: []byte(deadletter.OfField), Value: of.Append(nil)}}, fields...)
		againOf, again, err := deadletter.ParseReplay(e)
		l.Replays++
		if diff := cmp.Diff(l, again, cmpopts.EquateEmpty(), bytesEqual); err != nil || diff != "" || againOf != of {
			t.Fatalf("another letter, of %s, after another round: %v\n%s", againOf, err, diff)
		}
	})
}
