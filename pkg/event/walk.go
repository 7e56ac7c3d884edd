package event

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// Everything here walks bytes that scan has accepted.

// index holds where the members of the outermost object are. A larger object
// is walked instead.
type index struct {
	members  [12]member
	n        uint8
	complete bool // members holds them all
}

// member is the place of one member, as offsets into the event's bytes.
type member struct {
	name, nameEnd uint16 // with the quotes
	value, end    uint16
}

func (ix *index) add(m member) {
	if int(ix.n) < len(ix.members) {
		ix.members[ix.n] = m
		ix.n++
	}
}

// finish says how large the document is and how many members it has.
func (ix *index) finish(size, members int) {
	ix.complete = members <= len(ix.members) && uint64(size) <= math.MaxUint16
}

// find returns the last member of that name.
func (ix *index) find(b []byte, s *step) (Value, bool) {
	if !s.member {
		return Value{}, false
	}
	for i := int(ix.n) - 1; i >= 0; i-- {
		m := &ix.members[i]
		if s.names(b[m.name+1 : m.nameEnd-1]) {
			return valueOf(b[m.value:m.end:m.end]), true
		}
	}
	return Value{}, false
}

// find follows the steps from v on.
func (v Value) find(steps []step) (Value, bool) {
	start, end, ok := findIn(v.raw, steps)
	if !ok {
		return Value{}, false
	}
	return valueOf(v.raw[start:end:end]), true
}

// findIn follows the steps from the value that b is, to where they lead in b.
func findIn(b []byte, steps []step) (start, end int, ok bool) {
	end = len(b)
	for i := range steps {
		s := &steps[i]
		var from, to int
		ok := false
		switch kind := kindOf[b[start]]; {
		case s.member && kind == Object:
			from, to, ok = memberIn(b[start:end], s)
		case !s.member && kind == Array:
			from, to, ok = elementIn(b[start:end], s.index)
		}
		if !ok {
			return 0, 0, false
		}
		start, end = start+from, start+to
	}
	return start, end, true
}

// memberIn finds the value of the last member of that name of an object.
func memberIn(b []byte, s *step) (from, to int, ok bool) {
	i := skipSpace(b, 1)
	for b[i] != '}' {
		name := i + 1
		i = skipString(b, name)
		hit := s.names(b[name : i-1])
		i = skipSpace(b, i)
		i = skipSpace(b, i+1) // behind the colon
		start := i
		i = skipValue(b, i)
		if hit {
			from, to, ok = start, i, true
		}
		i = skipSpace(b, i)
		if b[i] == ',' {
			i = skipSpace(b, i+1)
		}
	}
	return from, to, ok
}

// elementIn finds the n-th element of an array.
func elementIn(b []byte, n int) (from, to int, ok bool) {
	c := cursor{b, skipSpace(b, 1)}
	for from, to, ok = c.advance(); ok; from, to, ok = c.advance() {
		if n == 0 {
			return from, to, true
		}
		n--
	}
	return 0, 0, false
}

// cursor goes through the elements of an array.
type cursor struct {
	b []byte
	i int // of the next element or the closing bracket
}

func (v Value) elements() cursor { return cursor{v.raw, skipSpace(v.raw, 1)} }

func (c *cursor) next() (Value, bool) {
	start, end, ok := c.advance()
	if !ok {
		return Value{}, false
	}
	return valueOf(c.b[start:end:end]), true
}

// advance goes behind the next element and tells where it stands.
func (c *cursor) advance() (start, end int, ok bool) {
	b, start := c.b, c.i
	if b[start] == ']' {
		return 0, 0, false
	}
	end = skipValue(b, start)
	c.i = skipSpace(b, end)
	if b[c.i] == ',' {
		c.i = skipSpace(b, c.i+1)
	}
	return start, end, true
}

// skipValue returns the place behind the value that begins at i.
func skipValue(b []byte, i int) int {
	switch b[i] {
	case '"':
		return skipString(b, i+1)
	case '{', '[':
		depth := 0
		for {
			switch b[i] {
			case '"':
				i = skipString(b, i+1)
				continue
			case '{', '[':
				depth++
			case '}', ']':
				depth--
				if depth == 0 {
					return i + 1
				}
			}
			i++
		}
	}
	for i < len(b) && !endsScalar[b[i]] {
		i++
	}
	return i
}

var endsScalar = [256]bool{',': true, '}': true, ']': true, ' ': true, '\t': true, '\n': true, '\r': true}

// skipString returns the place behind the closing quote of the string whose
// content begins at i.
func skipString(b []byte, i int) int {
	for {
		for len(b)-i >= 8 {
			hit := quoteOrEscape(binary.LittleEndian.Uint64(b[i:]))
			if hit != 0 {
				i += bits.TrailingZeros64(hit) / 8
				break
			}
			i += 8
		}
		for b[i] != '"' && b[i] != '\\' {
			i++
		}
		if b[i] == '"' {
			return i + 1
		}
		i += 2
	}
}
