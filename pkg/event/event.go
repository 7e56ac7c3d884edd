// Package event is the event inside an entry.
package event

import (
	"time"

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
	Format Format
}

// Decode checks the whole payload and returns the event. The event refers to
// the entry's bytes. Every error means that the entry can never be decoded.
func (d Decoder) Decode(e stream.Entry) (*Event, error) { panic("stub") }

// Event is a decoded payload.
type Event struct{ raw []byte }

// Raw is the payload: the JSON document as it was published, for Fields an
// object made of them, for Raw the bytes.
func (e *Event) Raw() []byte { return e.raw }

// Lookup returns the value at a path, false when it is missing.
func (e *Event) Lookup(p Path) (Value, bool) { panic("stub") }

// Path is a parsed path such as odds.ticks or legs[0].price.
type Path struct{ text string }

// ParsePath parses a path.
func ParsePath(s string) (Path, error) { panic("stub") }

func (p Path) String() string { return p.text }

// Kind is the JSON type of a Value.
type Kind uint8

// The kinds.
const (
	Null Kind = iota
	Bool
	Number
	String
	Object
	Array
)

// Value is one JSON value; it refers to the event's bytes.
type Value struct {
	kind Kind
	raw  []byte
}

// Kind is the JSON type.
func (v Value) Kind() Kind { return v.kind }

// Raw is the JSON text of the value.
func (v Value) Raw() []byte { return v.raw }

// Text is a string's content without quotes and escapes, and the JSON text of everything else.
func (v Value) Text() string { panic("stub") }

// Int64 is the exact integer; 2500, 2.5e3 and "2500" (a string of an integer)? no: numbers only.
func (v Value) Int64() (int64, error) { panic("stub") }

// Bool is the truth value.
func (v Value) Bool() (bool, error) { panic("stub") }

// TimeUnit says how to read a number as a time: auto, s, ms, us, ns.
type TimeUnit string

// Time reads a number since 1970 in the unit, or an RFC 3339 string.
func (v Value) Time(unit TimeUnit) (time.Time, error) { panic("stub") }

// Expr is a compiled `where` expression, safe for concurrent use.
type Expr struct{}

// Compile compiles an expression.
func Compile(src string) (*Expr, error) { panic("stub") }

// Match says whether the event is wanted. A missing path means no; a type error is an error.
func (x *Expr) Match(e *Event) (bool, error) { panic("stub") }
