package event

import (
	"cmp"
	"errors"
	"fmt"
	"sync"
	"unicode/utf8"

	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"
)

// Expr is a compiled `where` expression, safe for concurrent use.
//
// The syntax is that of expr-lang: paths (stake.value, legs[0].price,
// $env["market-id"]), numbers, "strings", true, false, and
//
//	and or not && || !           c ? a : b
//	== != < <= > >=              also chained: 200 <= odds.ticks < 300
//	in, not in                   a list ["m-1", "m-2"], a range 1..5, an array of the event
//	contains startsWith endsWith
//	matches                      a constant regular expression (RE2)
//	+ - * / %                    / gives a decimal
//	a ?? b                       b when a is missing
//	x == nil, x != nil, has(x)   presence; has("a.b") takes any path
//	any all none one count       over an array: any(legs, .price > 300)
//	len lower upper trim abs int float string
//
// A path that is missing, or null, makes what is computed from it unknown, as
// NULL does in SQL: `vip != true` and `not (vip == true)` are unknown without vip,
// `vip == true or stake.value >= 5` is true when its right side is. An event
// matches only when the whole is true. An element for which a condition is
// unknown does not count for one and count.
//
// Kinds are never converted silently: comparing a string with a number is an
// error. Integers are exact up to 64 bits, and an overflow is an error; other
// numbers are float64. Members that are named like a word of the language, or
// with other characters than letters, digits and '_', are written $env["in"].
type Expr struct {
	source string
	limits Limits // Work of 0: none
	quick  *quick // nil: it is not as simple as that
	eval   eval
	slots  []Path
	frames sync.Pool // of *frame
}

const (
	// maxSource bounds the length of an expression, and so the depth of all
	// recursion over it.
	maxSource = 8 << 10

	// maxWork bounds what one match goes through in arrays, which is more than
	// the event holds only for conditions within conditions: the bytes of each
	// element and elementWork. It is spent in about half a second.
	maxWork     = 64 << 20
	elementWork = 8
)

// Compile compiles an expression. Its errors wrap a *[SyntaxError]. What can
// be known without an event to be wrong is an error here: unknown functions,
// operands of kinds that do not go together, a result that is not true or false.
func Compile(src string) (*Expr, error) {
	x, err := compile(src, Limits{})
	if err != nil {
		return nil, fmt.Errorf("compile expression: %w", err)
	}
	return x, nil
}

func compile(src string, l Limits) (*Expr, error) {
	if most := cmp.Or(l.Source, maxSource); len(src) > most {
		return nil, &SyntaxError{Column: 1, Message: fmt.Sprintf("the expression is longer than %d bytes", most)}
	}
	if !utf8.ValidString(src) {
		return nil, &SyntaxError{Column: 1, Message: "the expression is not UTF-8"}
	}
	tree, err := parser.Parse(src)
	if err != nil {
		var at *file.Error
		if errors.As(err, &at) {
			return nil, &SyntaxError{Column: at.From + 1, Message: at.Message}
		}
		return nil, err
	}
	c := compiler{limits: l}
	t, err := c.compile(tree.Node)
	if err != nil {
		return nil, err
	}
	if t.kinds&truth == 0 {
		return nil, faultAt(tree.Node, "the expression is %s, it must be true or false", t.kinds)
	}
	x := &Expr{source: src, limits: l, quick: newQuick(tree.Node), eval: t.eval, slots: c.slots}
	if l.Work > 0 && len(c.slots) > maxQuick {
		x.quick = nil
	}
	x.frames.New = func() any { return &frame{slots: make([]slot, len(c.slots))} }
	return x, nil
}

// String is the expression as it was written.
func (x *Expr) String() string { return x.source }

// Paths returns the paths that the expression reads of the event, each once,
// in order of their first appearance.
func (x *Expr) Paths() []string {
	paths := make([]string, len(x.slots))
	for i, p := range x.slots {
		paths[i] = p.text
	}
	return paths
}

// Match says whether the event is wanted. An error is one of the event, for
// good: kinds that do not go together, an overflow, a division by zero.
func (x *Expr) Match(e *Event) (bool, error) {
	if x.quick != nil {
		if wanted, known := x.quick.match(e); known {
			return wanted, nil
		}
	}
	return x.matchWhole(e)
}

// matchWhole evaluates the whole expression.
func (x *Expr) matchWhole(e *Event) (bool, error) {
	f := x.frames.Get().(*frame)
	f.event, f.paths, f.work = e, x.slots, maxWork
	if x.limits.Work > 0 {
		f.limited, f.work = true, x.limits.Work+maxPasses*len(e.raw)
	}
	result, err := x.eval(f)
	f.reset()
	x.frames.Put(f)
	switch {
	case err != nil:
		return false, fmt.Errorf("evaluate expression: %w", err)
	case result.kind == unknown:
		return false, nil
	case result.kind != truth:
		return false, fmt.Errorf("evaluate expression: it is %s, not true or false", result.kind)
	}
	return result.isTrue(), nil
}

// eval computes one node of an expression.
type eval func(f *frame) (operand, error)

// frame is the state of one Match; it belongs to its goroutine.
type frame struct {
	event   *Event
	paths   []Path
	slots   []slot // what has been read of paths so far
	element Value  // that a predicate looks at
	work    int    // what is left of maxWork, or of the limit
	limited bool   // the work of paths and texts counts too
}

type slot struct {
	read  bool
	value operand
	err   error
}

// reset lets go of the event's bytes.
func (f *frame) reset() {
	f.event, f.element = nil, Value{}
	clear(f.slots)
}

// read returns the value of a path, looking it up at most once.
func (f *frame) read(i int) (operand, error) {
	s := &f.slots[i]
	if !s.read {
		s.read = true
		if err := f.spend(len(f.event.raw) / lookupSpeed); err != nil {
			return operand{}, err
		}
		if v, ok := f.event.Lookup(f.paths[i]); ok {
			s.value, s.err = operandOf(v)
		}
	}
	return s.value, s.err
}

var errWork = errors.New("it goes through too many elements of arrays")

// next moves a cursor on.
func (f *frame) next(c *cursor) (Value, bool, error) {
	v, ok := c.next()
	if f.work -= len(v.raw) + elementWork; f.work < 0 {
		if f.limited {
			return Value{}, false, errSlow
		}
		return Value{}, false, errWork
	}
	return v, ok, nil
}
