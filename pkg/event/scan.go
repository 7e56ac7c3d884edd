package event

import (
	"encoding/binary"
	"math/bits"
)

// maxDepth is how deep arrays and objects may be nested, as in encoding/json.
const maxDepth = 10_000

// scan checks that b is exactly one JSON document, with white space around it,
// and accepts what encoding/json.Valid accepts. It notes the members of an
// outermost object in ix, relative to start. It does not recurse.
func scan(b []byte, ix *index) (start, end int, bad *documentError) {
	var (
		open  nesting
		m     member
		noted int
	)
	i := skipSpace(b, 0)
	start = i
	for {
		// One value in each turn, inside an object behind its name.
		if open.depth > 0 && open.object() {
			if i == len(b) || b[i] != '"' {
				return 0, 0, expected(b, i, "a member name")
			}
			name := i
			var want string
			if i, want = scanString(b, i+1); want != "" {
				return 0, 0, expected(b, i, want)
			}
			if open.depth == 1 {
				m.name, m.nameEnd = uint16(name-start), uint16(i-start)
			}
			i = skipSpace(b, i)
			if i == len(b) || b[i] != ':' {
				return 0, 0, expected(b, i, "':'")
			}
			i = skipSpace(b, i+1)
			if open.depth == 1 {
				m.value = uint16(i - start)
			}
		}
		if i == len(b) {
			return 0, 0, expected(b, i, "a value")
		}
		var want string
		switch c := b[i]; c {
		case '"':
			i, want = scanString(b, i+1)
		case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
			i, want = scanNumber(b, i)
		case '{', '[':
			if open.depth == maxDepth {
				return 0, 0, expected(b, i, "no deeper nesting")
			}
			open.push(c == '{')
			i = skipSpace(b, i+1)
			if i == len(b) || b[i] != c+2 { // '{' and '}', '[' and ']' are two apart
				continue
			}
			open.pop()
			i++
		case 't':
			i, want = scanWord(b, i, "true")
		case 'f':
			i, want = scanWord(b, i, "false")
		case 'n':
			i, want = scanWord(b, i, "null")
		default:
			want = "a value"
		}
		if want != "" {
			return 0, 0, expected(b, i, want)
		}

		// What closes behind the value, until the next one.
		for {
			if open.depth == 0 {
				end = i
				if i = skipSpace(b, i); i != len(b) {
					return 0, 0, expected(b, i, "the end")
				}
				if b[start] == '{' {
					ix.finish(end-start, noted)
				}
				return start, end, nil
			}
			object := open.object()
			if open.depth == 1 && object {
				m.end = uint16(i - start)
				ix.add(m)
				noted++
			}
			i = skipSpace(b, i)
			if i < len(b) && b[i] == ',' {
				i = skipSpace(b, i+1)
				break
			}
			if object {
				if i == len(b) || b[i] != '}' {
					return 0, 0, expected(b, i, "',' or '}'")
				}
			} else if i == len(b) || b[i] != ']' {
				return 0, 0, expected(b, i, "',' or ']'")
			}
			open.pop()
			i++
		}
	}
}

func expected(b []byte, i int, what string) *documentError {
	return &documentError{offset: i, want: what, end: i >= len(b)}
}

// nesting is the stack of open arrays and objects, one bit each. Only
// documents deeper than 64 allocate.
type nesting struct {
	depth int
	bits  uint64 // the innermost 64 or less, the lowest bit is the innermost
	outer []uint64
}

func (n *nesting) object() bool { return n.bits&1 != 0 }

func (n *nesting) push(object bool) {
	if n.depth > 0 && n.depth%64 == 0 {
		n.outer = append(n.outer, n.bits)
	}
	n.bits <<= 1
	if object {
		n.bits |= 1
	}
	n.depth++
}

func (n *nesting) pop() {
	n.depth--
	n.bits >>= 1
	if n.depth > 0 && n.depth%64 == 0 {
		last := len(n.outer) - 1
		n.bits, n.outer = n.outer[last], n.outer[:last]
	}
}

// skipSpace returns the first place at or after i that is not white space.
func skipSpace(b []byte, i int) int {
	for i < len(b) && b[i] <= ' ' && (b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t') {
		i++
	}
	return i
}

// The bytes of a word, for looking at eight at once.
const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// quoteOrEscape has the high bit set of bytes that are '"' or '\\'. Bits above
// the lowest one that is set may be wrong, as a borrow runs upwards.
func quoteOrEscape(w uint64) uint64 {
	quote := w ^ ones*'"'
	escape := w ^ ones*'\\'
	return ((quote-ones)&^quote | (escape-ones)&^escape) & highs
}

// control is quoteOrEscape for bytes below 0x20.
func control(w uint64) uint64 { return (w - ones*0x20) &^ w & highs }

// scanString checks a string from behind its opening quote and returns the place
// behind the closing one, or the place of a fault and what is expected there.
func scanString(b []byte, i int) (int, string) {
	for {
		for len(b)-i >= 8 {
			w := binary.LittleEndian.Uint64(b[i:])
			if hit := quoteOrEscape(w) | control(w); hit != 0 {
				i += bits.TrailingZeros64(hit) / 8
				break
			}
			i += 8
		}
		for i < len(b) && b[i] != '"' && b[i] != '\\' && b[i] >= 0x20 {
			i++
		}
		switch {
		case i >= len(b):
			return len(b), "the end of a string"
		case b[i] == '"':
			return i + 1, ""
		case b[i] < 0x20:
			return i, "an escape in place of a control character"
		}
		i++
		if i == len(b) {
			return i, "an escape"
		}
		switch b[i] {
		case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			i++
		case 'u':
			i++
			for range 4 {
				if i == len(b) || !isHex(b[i]) {
					return i, "a hexadecimal digit"
				}
				i++
			}
		default:
			return i, "an escape"
		}
	}
}

func isHex(c byte) bool {
	return isDigit(c) || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func isDigit(c byte) bool { return c-'0' <= 9 }

// scanNumber checks a number that begins at i with a digit or a minus.
func scanNumber(b []byte, i int) (int, string) {
	if b[i] == '-' {
		i++
	}
	if i == len(b) || !isDigit(b[i]) {
		return i, "a digit"
	}
	if b[i] == '0' {
		i++
	} else {
		i = skipDigits(b, i)
	}
	if i < len(b) && b[i] == '.' {
		i++
		if i == len(b) || !isDigit(b[i]) {
			return i, "a digit"
		}
		i = skipDigits(b, i)
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		if i == len(b) || !isDigit(b[i]) {
			return i, "a digit"
		}
		i = skipDigits(b, i)
	}
	return i, ""
}

func skipDigits(b []byte, i int) int {
	for i < len(b) && isDigit(b[i]) {
		i++
	}
	return i
}

func scanWord(b []byte, i int, word string) (int, string) {
	for j := range len(word) {
		if i+j == len(b) || b[i+j] != word[j] {
			return i + j, word
		}
	}
	return i + len(word), ""
}
