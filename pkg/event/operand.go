package event

import (
	"bytes"
	"cmp"
	"errors"
	"math"
	"math/bits"
	"strings"
)

// kinds is the kind of an operand, or a set of those that it may have.
type kinds uint8

const (
	truth kinds = 1 << iota
	integer64
	decimal64
	text
	list
	object

	unknown  kinds = 0 // missing, or computed from something that is
	number         = integer64 | decimal64
	anything       = truth | number | text | list | object
)

func (k kinds) String() string {
	switch k {
	case unknown:
		return "unknown"
	case anything:
		return "any value"
	}
	var names []string
	for _, n := range []struct {
		kinds kinds
		name  string
	}{{truth, "true or false"}, {number, "a number"}, {text, "a string"}, {list, "an array"}, {object, "an object"}} {
		if k&n.kinds != 0 {
			names = append(names, n.name)
		}
	}
	return strings.Join(names, " or ")
}

// class puts integers and decimals together.
func (k kinds) class() kinds {
	if k&number != 0 {
		k |= number
	}
	return k
}

// operand is one value while an expression is computed.
type operand struct {
	kind kinds // one, or unknown
	n    int64 // truth (0 or 1), integer64
	d    float64
	b    []byte // text: what it says; list, object: the JSON text
}

func (o operand) isTrue() bool { return o.kind == truth && o.n != 0 }

func truthOf(v bool) operand {
	if v {
		return operand{kind: truth, n: 1}
	}
	return operand{kind: truth}
}

func operandOf(v Value) (operand, error) {
	switch v.kind {
	case Bool:
		return truthOf(v.raw[0] == 't'), nil
	case Number:
		return numberOperand(v)
	case String:
		return operand{kind: text, b: v.text()}, nil
	case Array:
		return operand{kind: list, b: v.raw}, nil
	case Object:
		return operand{kind: object, b: v.raw}, nil
	}
	return operand{}, nil
}

func numberOperand(v Value) (operand, error) {
	if n, state := integer(v.raw); state == whole {
		return operand{kind: integer64, n: n}, nil
	}
	d, err := v.Float64()
	return operand{kind: decimal64, d: d}, err
}

func (o operand) float() float64 {
	if o.kind == integer64 {
		return float64(o.n)
	}
	return o.d
}

// compare orders two operands of one class: numbers or texts. Truths are only
// ever equal or not.
func compare(l, r operand) int {
	switch {
	case l.kind == text:
		return bytes.Compare(l.b, r.b)
	case l.kind == decimal64 && r.kind == decimal64:
		return cmp.Compare(l.d, r.d)
	case l.kind == decimal64:
		return -compareMixed(r.n, l.d)
	case r.kind == decimal64:
		return compareMixed(l.n, r.d)
	}
	return cmp.Compare(l.n, r.n)
}

// compareMixed compares exactly, without making a float of n.
func compareMixed(n int64, d float64) int {
	switch {
	case d >= 1<<63:
		return -1
	case d < -1<<63:
		return 1
	}
	floor := math.Floor(d)
	if c := cmp.Compare(n, int64(floor)); c != 0 {
		return c
	}
	return cmp.Compare(floor, d)
}

var (
	errOverflow = errors.New("the result does not fit in 64 bits")
	errZero     = errors.New("division by zero")
	errInfinite = errors.New("the result does not fit in a float")
)

// calculate applies an arithmetic operator to two numbers.
func calculate(op byte, l, r operand) (operand, error) {
	if l.kind == integer64 && r.kind == integer64 && op != '/' {
		n, err := calculateExactly(op, l.n, r.n)
		return operand{kind: integer64, n: n}, err
	}
	a, b := l.float(), r.float()
	var d float64
	switch op {
	case '+':
		d = a + b
	case '-':
		d = a - b
	case '*':
		d = a * b
	case '/':
		if b == 0 {
			return operand{}, errZero
		}
		d = a / b
	case '%':
		return operand{}, errors.New("% needs integers")
	}
	if math.IsInf(d, 0) || math.IsNaN(d) {
		return operand{}, errInfinite
	}
	return operand{kind: decimal64, d: d}, nil
}

func calculateExactly(op byte, a, b int64) (int64, error) {
	switch op {
	case '+':
		if n := a + b; (n > a) == (b > 0) {
			return n, nil
		}
	case '-':
		if n := a - b; (n < a) == (b > 0) {
			return n, nil
		}
	case '*':
		high, low := bits.Mul64(magnitude(a), magnitude(b))
		negative := (a < 0) != (b < 0)
		switch {
		case high == 0 && low <= math.MaxInt64:
			return a * b, nil
		case high == 0 && low == 1<<63 && negative:
			return math.MinInt64, nil
		}
	case '%':
		if b == 0 {
			return 0, errZero
		}
		return a % b, nil
	}
	return 0, errOverflow
}

func magnitude(n int64) uint64 {
	if n < 0 {
		return -uint64(n)
	}
	return uint64(n)
}
