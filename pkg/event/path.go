package event

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Path is a parsed path: member names joined by dots, array elements counted
// from 0 in brackets, and any other member name quoted as in JSON.
//
//	market_id    odds.ticks    legs[0].price    ["a.b"].c    meta["user-agent"]
//
// Letters, digits, '_', '-', '$' and '@' need no quotes. The zero Path finds nothing.
type Path struct {
	text   string
	steps  []step
	places *places // none has steps without
}

// step is one member name or one array index.
type step struct {
	member bool
	index  int
	name   string
	odd    bool // a name that must be compared with unquoted text
}

// SyntaxError is a fault in a path or an expression.
type SyntaxError struct {
	Column  int // of the fault; characters are counted from 1
	Message string
}

func (e *SyntaxError) Error() string { return fmt.Sprintf("column %d: %s", e.Column, e.Message) }

const (
	maxPath  = 1024
	maxIndex = 1 << 30
)

// ParsePath parses a path. Its errors wrap a *[SyntaxError].
func ParsePath(s string) (Path, error) {
	p := pathParser{text: s}
	steps, bad := p.parse()
	if bad != "" {
		column := utf8.RuneCountInString(s[:p.pos]) + 1
		return Path{}, fmt.Errorf("parse path %s: %w", short(s), &SyntaxError{Column: column, Message: bad})
	}
	return Path{text: s, steps: steps, places: new(places)}, nil
}

func (p Path) String() string { return p.text }

// IsZero reports whether p is the zero Path.
func (p Path) IsZero() bool { return len(p.steps) == 0 }

// MarshalText gives the path as it was written.
func (p Path) MarshalText() ([]byte, error) { return []byte(p.text), nil }

// UnmarshalText is [ParsePath].
func (p *Path) UnmarshalText(text []byte) error {
	parsed, err := ParsePath(string(text))
	if err != nil {
		return err
	}
	*p = parsed
	return nil
}

// pathOf writes steps as a path.
func pathOf(steps []step) Path {
	var b []byte
	for i := range steps {
		s := &steps[i]
		switch {
		case !s.member:
			b = append(b, '[')
			b = strconv.AppendInt(b, int64(s.index), 10)
			b = append(b, ']')
		case s.name != "" && strings.IndexFunc(s.name, needsQuotes) < 0:
			if i > 0 {
				b = append(b, '.')
			}
			b = append(b, s.name...)
		default:
			b = append(b, '[')
			b, _ = appendQuoted(b, []byte(s.name))
			b = append(b, ']')
		}
	}
	return Path{text: string(b), steps: steps, places: new(places)}
}

func needsQuotes(r rune) bool {
	return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("_-$@", r)
}

type pathParser struct {
	text string
	pos  int
}

// parse returns the steps, or what is wrong at pos.
func (p *pathParser) parse() (steps []step, bad string) {
	switch {
	case p.text == "":
		return nil, "the path is empty"
	case len(p.text) > maxPath:
		return nil, fmt.Sprintf("the path is longer than %d bytes", maxPath)
	}
	for i, r := range p.text {
		if r == utf8.RuneError && !strings.HasPrefix(p.text[i:], "\uFFFD") {
			p.pos = i
			return nil, "not UTF-8"
		}
	}
	for p.pos < len(p.text) {
		var s step
		switch {
		case p.text[p.pos] == '[':
			s, bad = p.bracket()
		case len(steps) == 0:
			s, bad = p.name()
		case p.text[p.pos] == '.':
			p.pos++
			s, bad = p.name()
		default:
			bad = "'.', '[' or the end is expected"
		}
		if bad != "" {
			return nil, bad
		}
		steps = append(steps, s)
	}
	return steps, ""
}

func (p *pathParser) name() (step, string) {
	rest := p.text[p.pos:]
	end := strings.IndexFunc(rest, needsQuotes)
	if end < 0 {
		end = len(rest)
	}
	if end == 0 {
		return step{}, `a member name is expected (["…"] for one with other characters)`
	}
	p.pos += end
	return memberStep(rest[:end]), ""
}

func (p *pathParser) bracket() (step, string) {
	p.pos++
	rest := p.text[p.pos:]
	if strings.HasPrefix(rest, `"`) {
		end, want := scanString([]byte(rest), 1)
		if want != "" {
			p.pos += end
			return step{}, want + " is expected"
		}
		if !strings.HasPrefix(rest[end:], "]") {
			p.pos += end
			return step{}, "']' is expected"
		}
		p.pos += end + 1
		return memberStep(string(appendUnquoted(nil, []byte(rest[1:end-1])))), ""
	}
	end := skipDigits([]byte(rest), 0)
	if end == 0 {
		return step{}, "an index or a name in double quotes is expected"
	}
	n, err := strconv.Atoi(rest[:end])
	if err != nil || n > maxIndex {
		return step{}, fmt.Sprintf("the index is greater than %d", maxIndex)
	}
	p.pos += end
	if !strings.HasPrefix(rest[end:], "]") {
		return step{}, "']' is expected"
	}
	p.pos++
	return step{index: n}, ""
}

// memberStep marks the two kinds of names that may differ from the JSON text
// although both have the same bytes, or be equal although the JSON text is not
// longer: a backslash there begins an escape, and a byte there that is not
// UTF-8 reads as U+FFFD.
func memberStep(name string) step {
	return step{member: true, name: name, odd: strings.ContainsAny(name, "\\\uFFFD")}
}

// names reports whether raw, the JSON text of a member name without its quotes,
// is the name of s. An escape is always longer than what it stands for, so most
// names are told apart by their length.
func (s *step) names(raw []byte) bool {
	if s.odd {
		return string(appendUnquoted(nil, raw)) == s.name
	}
	if len(raw) <= len(s.name) {
		return string(raw) == s.name
	}
	return bytes.IndexByte(raw, '\\') >= 0 && string(appendUnquoted(nil, raw)) == s.name
}
