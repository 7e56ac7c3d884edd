// Package event is the event inside an entry: how it is decoded, how a path
// finds a value in it, what that value is as an exact integer or as a time, and
// the `where` expressions that choose events.
//
//   - A payload is checked whole before anything is read from it, so that a
//     truncated document is never half used.
//   - Integers are exact; nothing here passes one through a float.
//   - JSON null is the same as missing to an expression, and a value of kind
//     [Null] to [Event.Lookup].
//   - Members that repeat in a JSON object: the last one wins, as in encoding/json.
//   - Errors say where and what was expected. Of the payload itself they
//     hold at most a few characters.
//
// Decoding JSON, looking up and reading integers allocate nothing when the
// [Event] is reused; see [Decoder.DecodeInto].
package event

// Event is a decoded payload. Its bytes are those of the entry that it was
// decoded from and must not be changed. Reading it from several goroutines is
// safe as long as none decodes into it.
type Event struct {
	raw    []byte
	opaque bool   // Raw: nothing is looked up
	index  index  // of the outermost object, unless the shape is known
	shape  *shape // nil: not known
	ends   ends   // of the scalars of a known shape
	buf    []byte // reused by Fields
}

// Reset forgets the payload, and keeps memory for the next one unless it is
// large.
func (e *Event) Reset() {
	if cap(e.buf) > maxKept {
		e.buf = nil
	}
	e.reset()
}

const maxKept = 4 << 10 // bytes

// Raw is the payload: the JSON document as it was published, for [Fields] an
// object made of them, for [Raw] the bytes.
func (e *Event) Raw() []byte { return e.raw }

// Lookup returns the value at a path, false when it is missing. The value of an
// explicit null is found and has the kind [Null].
func (e *Event) Lookup(p Path) (Value, bool) {
	if len(p.steps) == 0 || e.opaque || len(e.raw) == 0 {
		return Value{}, false
	}
	if e.shape != nil {
		return e.lookup(p)
	}
	if !e.index.complete {
		return valueAt(e.raw, 0).find(p.steps)
	}
	v, ok := e.index.find(e.raw, &p.steps[0])
	if !ok {
		return Value{}, false
	}
	return v.find(p.steps[1:])
}

// Root is the whole payload as a value, false for [Raw].
func (e *Event) Root() (Value, bool) {
	if e.opaque || len(e.raw) == 0 {
		return Value{}, false
	}
	return valueAt(e.raw, 0), true
}
