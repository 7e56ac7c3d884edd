package event

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/expr-lang/expr/ast"
)

// function compiles a call. Functions of something unknown are unknown.
func (c *compiler) function(n ast.Node, name string, args []ast.Node) (term, error) {
	switch name {
	case "has":
		return c.has(n, args)
	case "any", "all", "none", "one", "count":
		return c.quantifier(n, name, args)
	}
	fn, ok := functions[name]
	if !ok {
		return term{}, faultAt(n, "there is no function %s", short(name))
	}
	if len(args) != 1 {
		return term{}, faultAt(n, "%s takes one argument", name)
	}
	arg, err := c.compileAs(args[0], fn.takes, name)
	return term{func(f *frame) (operand, error) {
		o, err := arg(f)
		if err != nil || o.kind == unknown {
			return operand{}, err
		}
		if o.kind == text {
			err = f.spend(len(o.b))
		}
		if err == nil {
			o, err = fn.apply(f, o)
		}
		if err != nil {
			err = at(n, err)
		}
		return o, err
	}, fn.gives}, err
}

var functions = map[string]struct {
	takes, gives kinds
	apply        func(f *frame, o operand) (operand, error)
}{
	"len":    {text | list, integer64, length},
	"lower":  {text, text, ofText(bytes.ToLower)},
	"upper":  {text, text, ofText(bytes.ToUpper)},
	"trim":   {text, text, ofText(bytes.TrimSpace)},
	"abs":    {number, number, absolute},
	"int":    {number | text, integer64, toInt},
	"float":  {number | text, decimal64, toFloat},
	"string": {truth | number | text, text, toText},
}

func ofText(fn func([]byte) []byte) func(*frame, operand) (operand, error) {
	return func(_ *frame, o operand) (operand, error) { return operand{kind: text, b: fn(o.b)}, nil }
}

// length counts characters or elements.
func length(f *frame, o operand) (operand, error) {
	if o.kind == text {
		return operand{kind: integer64, n: int64(utf8.RuneCount(o.b))}, nil
	}
	n := int64(0)
	items := Value{Array, o.b}.elements()
	for {
		_, ok, err := f.next(&items)
		if err != nil || !ok {
			return operand{kind: integer64, n: n}, err
		}
		n++
	}
}

func absolute(_ *frame, o operand) (operand, error) {
	if o.kind == integer64 && o.n < 0 {
		return calculate('-', operand{kind: integer64}, o)
	}
	o.d = math.Abs(o.d)
	return o, nil
}

// toInt cuts the fraction off.
func toInt(_ *frame, o operand) (operand, error) {
	o, err := toNumber(o)
	if err != nil || o.kind == integer64 {
		return o, err
	}
	if d := math.Trunc(o.d); d >= -1<<63 && d < 1<<63 {
		return operand{kind: integer64, n: int64(d)}, nil
	}
	return operand{}, errOverflow
}

func toFloat(_ *frame, o operand) (operand, error) {
	o, err := toNumber(o)
	return operand{kind: decimal64, d: o.float()}, err
}

func toNumber(o operand) (operand, error) {
	switch {
	case o.kind != text:
		return o, nil
	case !isNumber(o.b):
		return operand{}, fmt.Errorf("a string of %d bytes is not a number", len(o.b))
	}
	return numberOperand(Value{Number, o.b})
}

func toText(_ *frame, o operand) (operand, error) {
	switch o.kind {
	case truth:
		o.b = strconv.AppendBool(nil, o.isTrue())
	case integer64:
		o.b = strconv.AppendInt(nil, o.n, 10)
	case decimal64:
		o.b = strconv.AppendFloat(nil, o.d, 'g', -1, 64)
	}
	return operand{kind: text, b: o.b}, nil
}

// has is true when a path, or what a string says as a path, is present.
func (c *compiler) has(n ast.Node, args []ast.Node) (term, error) {
	if len(args) != 1 {
		return term{}, faultAt(n, "has takes one path")
	}
	var t term
	if literal, ok := args[0].(*ast.StringNode); ok {
		p, err := ParsePath(literal.Value)
		if err != nil {
			return term{}, faultAt(literal, "%v", err)
		}
		t = c.slot(n, pathOf(p.steps))
	} else {
		var err error
		if t, err = c.path(args[0]); err != nil {
			return term{}, err
		}
	}
	return term{func(f *frame) (operand, error) {
		o, err := t.eval(f)
		return truthOf(o.kind != unknown), err
	}, truth}, nil
}

// quantifier compiles any, all, none, one and count over an array.
func (c *compiler) quantifier(n ast.Node, name string, args []ast.Node) (term, error) {
	if len(args) != 2 {
		return term{}, faultAt(n, "%s takes an array and a condition", name)
	}
	array, err := c.compileAs(args[0], list, name)
	if err != nil {
		return term{}, err
	}
	predicate, ok := args[1].(*ast.PredicateNode)
	if !ok {
		return term{}, faultAt(n, "%s takes an array and a condition", name)
	}
	holds, err := c.compileAs(predicate.Node, truth, name)
	if err != nil {
		return term{}, err
	}
	gives := truth
	if name == "count" {
		gives = integer64
	}
	return term{func(f *frame) (operand, error) {
		a, err := array(f)
		if err != nil || a.kind == unknown {
			return operand{}, err
		}
		outer := f.element
		t, err := tallyOf(f, a, name, holds)
		f.element = outer
		if err != nil {
			return operand{}, err
		}
		return t.result(name), nil
	}, gives}, nil
}

// tally counts the elements by what a condition says of them.
type tally struct{ yes, no, unknown int64 }

// tallyOf stops early where the result cannot change any more.
func tallyOf(f *frame, array operand, name string, holds eval) (t tally, err error) {
	items := Value{Array, array.b}.elements()
	for {
		v, ok, err := f.next(&items)
		if err != nil || !ok {
			return t, err
		}
		f.element = v
		o, err := holds(f)
		switch {
		case err != nil:
			return t, err
		case o.kind == unknown:
			t.unknown++
		case o.isTrue():
			t.yes++
			if name == "any" || name == "none" {
				return t, nil
			}
		default:
			t.no++
			if name == "all" {
				return t, nil
			}
		}
	}
}

func (t tally) result(name string) operand {
	switch name {
	case "count":
		return operand{kind: integer64, n: t.yes}
	case "one":
		return truthOf(t.yes == 1)
	case "all":
		if t.no == 0 && t.unknown > 0 {
			return operand{}
		}
		return truthOf(t.no == 0)
	}
	if t.yes == 0 && t.unknown > 0 {
		return operand{}
	}
	return truthOf((t.yes > 0) == (name == "any"))
}
