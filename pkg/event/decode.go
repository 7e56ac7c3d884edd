package event

import (
	"bytes"
	"fmt"
	"strings"

	"example.com/fanout/pkg/stream"
)

// Format says how an entry becomes an event.
type Format string

// The formats.
const (
	JSON   Format = "json"   // one field holds a JSON document
	Fields Format = "fields" // the entry's own fields are the members; values are strings
	Raw    Format = "raw"    // one field holds bytes that are not looked into
)

// Decoder turns entries into events. It is safe for concurrent use.
type Decoder struct {
	Field  string // the field that holds the payload; not used by Fields
	Format Format // "" is JSON
}

// Decode checks the whole payload and returns the event. The event refers to
// the entry's bytes. Every error means that the entry can never be decoded:
//
//   - JSON: the field is missing or occurs twice, or its value is not exactly
//     one valid document (as encoding/json judges it, nested 10,000 deep at most).
//   - Fields: a name occurs twice, or a name or value is not valid UTF-8.
//   - Raw: the field is missing or occurs twice.
func (d Decoder) Decode(e stream.Entry) (*Event, error) {
	ev := new(Event)
	if err := d.DecodeInto(ev, e, nil); err != nil {
		return nil, err
	}
	return ev, nil
}

// DecodeInto is [Decoder.Decode] into an Event of the caller, which may have
// been used before: values that were found in it must not be used any more.
// After an error ev holds nothing. known may be nil; the same one for entry after
// entry makes it faster.
func (d Decoder) DecodeInto(ev *Event, e stream.Entry, known *Shapes) error {
	ev.reset()
	switch d.Format {
	case Fields:
		return ev.decodeFields(e.Fields)
	case Raw:
		payload, err := d.payload(e)
		if err != nil {
			return err
		}
		ev.raw, ev.opaque = payload, true
		return nil
	case JSON, "":
		payload, err := d.payload(e)
		if err != nil {
			return err
		}
		if err := ev.decodeJSON(payload, known); err != nil {
			return fmt.Errorf("decode field %s: %w", short(d.Field), err)
		}
		return nil
	}
	return fmt.Errorf("decode entry: unknown format %s", short(string(d.Format)))
}

func (e *Event) reset() {
	e.raw, e.opaque, e.shape = nil, false, nil
	e.index.n, e.index.complete = 0, false
	e.buf = e.buf[:0]
}

// decodeJSON trims the white space around the document, so that raw begins
// with its value.
func (e *Event) decodeJSON(doc []byte, known *Shapes) error {
	if known != nil && known.recognise(e, doc) {
		return nil
	}
	start, end, bad := scan(doc, &e.index)
	if bad != nil {
		e.reset()
		return bad
	}
	e.raw = doc[start:end:end]
	if known != nil {
		known.learn(e.raw)
	}
	return nil
}

func (d Decoder) payload(e stream.Entry) ([]byte, error) {
	var value []byte
	found := false
	for i := range e.Fields {
		if string(e.Fields[i].Name) != d.Field {
			continue
		}
		if found {
			return nil, fmt.Errorf("decode entry: field %s occurs more than once", short(d.Field))
		}
		value, found = e.Fields[i].Value, true
	}
	if !found {
		return nil, fmt.Errorf("decode entry: field %s is missing, %s", short(d.Field), present(e.Fields))
	}
	return value, nil
}

// decodeFields writes the object {"name":"value",…} and its index.
func (e *Event) decodeFields(fields []stream.Field) error {
	if name, ok := repeated(fields); ok {
		return fmt.Errorf("decode entry: field %s occurs more than once", short(string(name)))
	}
	b := append(e.buf[:0], '{')
	for i, f := range fields {
		if i > 0 {
			b = append(b, ',')
		}
		var m member
		var bad int
		m.name = uint16(len(b))
		if b, bad = appendQuoted(b, f.Name); bad >= 0 {
			return fmt.Errorf("decode entry: name of field %d: not UTF-8 at byte %d", i+1, bad)
		}
		m.nameEnd = uint16(len(b))
		b = append(b, ':')
		m.value = uint16(len(b))
		if b, bad = appendQuoted(b, f.Value); bad >= 0 {
			return fmt.Errorf("decode field %s: not UTF-8 at byte %d", short(string(f.Name)), bad)
		}
		m.end = uint16(len(b))
		e.index.add(m)
	}
	b = append(b, '}')
	e.buf, e.raw = b, b
	e.index.finish(len(b), len(fields))
	return nil
}

// fewFields is up to where comparing every pair is cheaper than a set.
const fewFields = 32

// repeated finds a name that occurs more than once.
func repeated(fields []stream.Field) ([]byte, bool) {
	if len(fields) <= fewFields {
		for i := range fields {
			for j := range i {
				if bytes.Equal(fields[i].Name, fields[j].Name) {
					return fields[i].Name, true
				}
			}
		}
		return nil, false
	}
	seen := make(map[string]struct{}, len(fields))
	for i := range fields {
		if _, ok := seen[string(fields[i].Name)]; ok {
			return fields[i].Name, true
		}
		seen[string(fields[i].Name)] = struct{}{}
	}
	return nil, false
}

// present lists the names of an entry for an error, not all of too many.
func present(fields []stream.Field) string {
	if len(fields) == 0 {
		return "the entry has no fields"
	}
	const most = 8
	var s strings.Builder
	s.WriteString("the entry has ")
	for i, f := range fields[:min(len(fields), most)] {
		if i > 0 {
			s.WriteString(", ")
		}
		s.WriteString(short(string(f.Name)))
	}
	if len(fields) > most {
		fmt.Fprintf(&s, " and %d more", len(fields)-most)
	}
	return s.String()
}

// short quotes a name for an error and cuts what is long.
func short(s string) string {
	const most = 32
	if len(s) > most {
		return fmt.Sprintf("%q…", s[:most])
	}
	return fmt.Sprintf("%q", s)
}

// documentError is a place in a payload that is not what it must be.
type documentError struct {
	offset int
	want   string
	end    bool // the payload ends there
}

func (f *documentError) Error() string {
	if f.end {
		return fmt.Sprintf("invalid JSON: it ends at byte %d where %s is expected", f.offset, f.want)
	}
	return fmt.Sprintf("invalid JSON at byte %d: %s is expected", f.offset, f.want)
}
