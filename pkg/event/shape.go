package event

import (
	"bytes"
	"math"
	"sync"
	"sync/atomic"
)

// Most documents of a stream have the shape of one that came shortly before: the
// same names, punctuation and white space, and between them other scalars. Such a
// document is checked by comparing what stands between the scalars, and by
// scanning these alone: with every scalar of a valid document replaced by a valid
// one it is still valid. Where a path leads is found out once for a shape.

const (
	maxScalars = 23      // of a shape
	maxShape   = 4 << 10 // bytes of a document that becomes one
	keptShapes = 4       // by Shapes, and by a Path
	fewMisses  = 64      // in a row, until only one document in so many is compared
	learnEvery = 256 - 1 // misses, once the first ones have been learned from
)

// Shapes remembers the shapes of the documents that came last, for
// [Decoder.DecodeInto]: it makes decoding faster and changes nothing else. The
// zero value remembers none. It is not safe for concurrent use; events that were
// decoded with it are.
type Shapes struct {
	known  []*shape // the one that fitted last comes first
	misses int      // documents that were learned from, or could have been
	row    int      // documents in a row that fitted none
}

// shape is one document of its kind. It never changes.
type shape struct {
	slot    int // of a Path's places
	doc     []byte
	scalars []span // in order: numbers, strings that are no names, true, false, null
}

type span struct{ start, end uint16 }

// ends is where the scalars of a document end, after a zero.
type ends [maxScalars + 1]uint16

// shared are the shapes of the process by what stands between their scalars, so
// that a Path meets one shape and not one for each Shapes.
var shared = struct {
	mu    sync.Mutex
	made  int
	shape map[string]*shape
}{shape: map[string]*shape{}}

const maxShared = 256

// recognise decodes doc if it has a known shape.
func (s *Shapes) recognise(e *Event, doc []byte) bool {
	if s.row >= fewMisses && s.row%fewMisses != 0 {
		return false
	}
	start := skipSpace(doc, 0)
	if len(doc)-start > math.MaxUint16 {
		return false
	}
	for i, k := range s.known {
		end, ok := k.fits(doc[start:], &e.ends)
		if !ok {
			continue
		}
		end += start
		if skipSpace(doc, end) != len(doc) {
			return false
		}
		if i > 0 {
			copy(s.known[1:i+1], s.known[:i])
			s.known[0] = k
		}
		s.row = 0
		e.raw, e.shape = doc[start:end:end], k
		return true
	}
	return false
}

// fits reports whether a document of this shape stands at the beginning of b, and
// where that ends.
func (s *shape) fits(b []byte, at *ends) (end int, ok bool) {
	i, from := 0, 0
	for k := range s.scalars {
		between := s.doc[from:s.scalars[k].start]
		if len(b)-i <= len(between) || string(b[i:i+len(between)]) != string(between) {
			return 0, false
		}
		i += len(between)
		want := ""
		switch c := b[i]; {
		case c-'1' < 9: // most numbers are plain
			for i++; i < len(b) && isDigit(b[i]); i++ {
			}
			if i < len(b) && (b[i] == '.' || b[i]|0x20 == 'e') {
				i, want = scanNumber(b, int(at[k])+len(between))
			}
		case c == '"':
			i, want = scanString(b, i+1)
		case c == '-', c == '0':
			i, want = scanNumber(b, i)
		case c == 't':
			i, want = scanWord(b, i, "true")
		case c == 'f':
			i, want = scanWord(b, i, "false")
		case c == 'n':
			i, want = scanWord(b, i, "null")
		default:
			return 0, false
		}
		if want != "" {
			return 0, false
		}
		at[k+1] = uint16(i)
		from = int(s.scalars[k].end)
	}
	last := s.doc[from:]
	if len(b)-i < len(last) || string(b[i:i+len(last)]) != string(last) {
		return 0, false
	}
	return i + len(last), true
}

// learn remembers the shape of a valid document that fitted none: of the first
// ones, then of ever fewer.
func (s *Shapes) learn(raw []byte) {
	s.row++
	s.misses++
	if len(raw) > maxShape || s.misses&(s.misses-1) != 0 && s.misses&learnEvery != 0 {
		return
	}
	k := shapeOf(raw)
	if k == nil {
		return
	}
	if len(s.known) < keptShapes {
		s.known = append(s.known, nil)
	}
	copy(s.known[1:], s.known)
	s.known[0] = k
}

// shapeOf is the shape of a valid document without white space around it; nil when
// that has too many scalars.
func shapeOf(raw []byte) *shape {
	scalars, ok := scalarsOf(raw)
	if !ok {
		return nil
	}
	var between []byte
	from := 0
	for _, sc := range scalars {
		between = append(append(between, raw[from:sc.start]...), 0) // which stands in no document
		from = int(sc.end)
	}
	between = append(between, raw[from:]...)
	shared.mu.Lock()
	defer shared.mu.Unlock()
	s := shared.shape[string(between)]
	if s == nil {
		if len(shared.shape) == maxShared {
			clear(shared.shape) // those that are in use stay with their users
		}
		shared.made++
		s = &shape{slot: shared.made % keptShapes, doc: bytes.Clone(raw), scalars: scalars}
		shared.shape[string(between)] = s
	}
	return s
}

func scalarsOf(raw []byte) (scalars []span, ok bool) {
	for i := 0; i < len(raw); {
		start := i
		switch c := raw[i]; {
		case c == '"':
			i = skipString(raw, i+1)
			if colon := skipSpace(raw, i); colon < len(raw) && raw[colon] == ':' {
				continue // a name
			}
		case kindOf[c] == Number, c == 't', c == 'f', c == 'n':
			i = skipValue(raw, i)
		default:
			i++
			continue
		}
		if len(scalars) == maxScalars {
			return nil, false
		}
		scalars = append(scalars, span{uint16(start), uint16(i)})
	}
	return scalars, true
}

// place is where a path leads in all documents of a shape.
type place struct {
	shape    *shape
	found    bool
	from, to mark
}

// mark is a place in all documents of a shape: so many bytes after the end of so
// many scalars.
type mark struct{ scalars, bytes uint16 }

func (m mark) in(at *ends) int { return int(at[m.scalars]) + int(m.bytes) }

// mark makes a mark of a place in the shape's own document.
func (s *shape) mark(place int) mark {
	m := mark{bytes: uint16(place)}
	for _, sc := range s.scalars {
		if int(sc.end) > place {
			break
		}
		m.scalars++
		m.bytes = uint16(place) - sc.end
	}
	return m
}

// places remembers where a path leads in the shapes that it met last.
type places [keptShapes]atomic.Pointer[place]

// lookup finds the value at a path that has steps, in an event of a known shape.
func (e *Event) lookup(p Path) (Value, bool) {
	slot := &p.places[e.shape.slot]
	at := slot.Load()
	if at == nil || at.shape != e.shape {
		at = &place{shape: e.shape}
		var start, end int
		if start, end, at.found = findIn(e.shape.doc, p.steps); at.found {
			at.from, at.to = e.shape.mark(start), e.shape.mark(end)
		}
		slot.Store(at)
	}
	if !at.found {
		return Value{}, false
	}
	start, end := at.from.in(&e.ends), at.to.in(&e.ends)
	return valueOf(e.raw[start:end:end]), true
}
