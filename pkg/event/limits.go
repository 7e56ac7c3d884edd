package event

import (
	"errors"
	"fmt"
	"regexp/syntax"
)

// Limits bound an expression of somebody who is not to take the time of this
// process. A bound of 0 is that of [Compile].
type Limits struct {
	Source  int // bytes of the expression
	Pattern int // instructions, about, of its regular expressions together
	Work    int // of one match, beside going through the event a few times; 128 Ki are about a millisecond
}

// CompileWithin is [Compile] for an expression that must keep within limits. A
// match that would take more work is an error.
func CompileWithin(src string, l Limits) (*Expr, error) {
	x, err := compile(src, l)
	if err != nil {
		return nil, fmt.Errorf("compile expression: %w", err)
	}
	return x, nil
}

const (
	// maxPasses is how often a limited match may go through the event itself,
	// whatever its size: each of its elements counts elementWork more.
	maxPasses = 5

	// maxQuick is how many paths a limited expression may look up without
	// counting them.
	maxQuick = 8

	// What the work of a byte is divided by, as measured.
	lookupSpeed  = 4
	compareSpeed = 16
	patternSpeed = 4 // of an instruction and byte
)

var errSlow = errors.New("it takes too long for this event")

// spend counts work of a limited match.
func (f *frame) spend(work int) error {
	if !f.limited {
		return nil
	}
	if f.work -= work; f.work < 0 {
		return errSlow
	}
	return nil
}

// patternSize is about how many instructions a regular expression is compiled
// to. It is known before: repetitions are written out only then. Large classes of
// characters count for the memory that they take.
func patternSize(re *syntax.Regexp) int {
	size := 1
	switch re.Op {
	case syntax.OpLiteral:
		size = len(re.Rune)
	case syntax.OpCharClass:
		size += len(re.Rune) / 8
	case syntax.OpCapture:
		size++
	}
	for _, sub := range re.Sub {
		of := patternSize(sub)
		if re.Op == syntax.OpRepeat {
			of *= max(re.Min+1, re.Max)
		}
		size += of
	}
	return size
}
