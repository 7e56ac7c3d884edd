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

func FuzzParse(f *testing.F) {
	f.Add([]byte("letter"), []byte(`{"stream":"s","group":"g","id":"1-2","packed":true}`), []byte("packed"), []byte("\x01a\x01b"))
	f.Add([]byte("letter"), []byte(`{"stream":"s","group":"g","id":"1-2"}`), []byte("a"), []byte("b"))
	f.Fuzz(func(t *testing.T, n1, v1, n2, v2 []byte) {
		e := stream.Entry{Fields: []stream.Field{{Name: n1, Value: v1}, {Name: n2, Value: v2}}}
		l, err := deadletter.Parse(e)
		if err != nil {
			return
		}
		again, err := l.Fields()
		if err != nil {
			return // a year that JSON cannot hold
		}
		l2, err := deadletter.Parse(stream.Entry{Fields: again})
		if err != nil {
			t.Fatalf("letter %+v does not parse again: %v", l, err)
		}
		if len(l2.Entry.Fields) != len(l.Entry.Fields) {
			t.Fatalf("%d fields, %d after another round", len(l.Entry.Fields), len(l2.Entry.Fields))
		}
		for i := range l.Entry.Fields {
			if !bytes.Equal(l.Entry.Fields[i].Value, l2.Entry.Fields[i].Value) {
				t.Fatalf("field %d changed", i)
			}
		}
	})
}
