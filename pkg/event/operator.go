package event

import (
	"bytes"
	"fmt"
	"regexp"
	"regexp/syntax"

	"github.com/expr-lang/expr/ast"
)

func (c *compiler) binary(n *ast.BinaryNode) (term, error) {
	switch n.Operator {
	case "and", "&&":
		return c.logical(n, false)
	case "or", "||":
		return c.logical(n, true)
	case "==", "!=":
		return c.equality(n)
	case "<", "<=", ">", ">=":
		return c.comparison(n, number|text)
	case "in":
		return c.in(n)
	case "contains", "startsWith", "endsWith":
		return c.textual(n)
	case "matches":
		return c.matches(n)
	case "+", "-", "*", "/", "%":
		return c.arithmetic(n)
	case "??":
		return c.coalesce(n)
	}
	return term{}, faultAt(n, "the operator %s is not supported", n.Operator)
}

// logical compiles and, which false decides, and or, which true decides.
func (c *compiler) logical(n *ast.BinaryNode, decisive bool) (term, error) {
	l, r, err := c.both(n, truth)
	return term{func(f *frame) (operand, error) {
		a, err := l(f)
		if err != nil || a.kind == truth && a.isTrue() == decisive {
			return a, err
		}
		b, err := r(f)
		if err != nil || b.kind == unknown || b.isTrue() == decisive {
			return b, err
		}
		return a, nil // b decides nothing: it is as a is, known or not
	}, truth}, err
}

func (c *compiler) equality(n *ast.BinaryNode) (term, error) {
	equal := n.Operator == "=="
	_, leftNil := n.Left.(*ast.NilNode)
	_, rightNil := n.Right.(*ast.NilNode)
	switch {
	case leftNil && rightNil:
		return term{}, faultAt(n, "nil is compared with nil")
	case leftNil:
		return c.presence(n.Right, !equal)
	case rightNil:
		return c.presence(n.Left, !equal)
	}
	return c.comparison(n, truth|number|text)
}

// presence is whether a node is known, or whether it is not.
func (c *compiler) presence(n ast.Node, want bool) (term, error) {
	t, err := c.compile(n)
	return term{func(f *frame) (operand, error) {
		o, err := t.eval(f)
		return truthOf((o.kind != unknown) == want), err
	}, truth}, err
}

func (c *compiler) comparison(n *ast.BinaryNode, of kinds) (term, error) {
	lt, err := c.compile(n.Left)
	if err != nil {
		return term{}, err
	}
	rt, err := c.compile(n.Right)
	if err != nil {
		return term{}, err
	}
	if lt.kinds.class()&rt.kinds.class()&of == 0 {
		return term{}, faultAt(n, "%s cannot compare %s with %s", n.Operator, lt.kinds, rt.kinds)
	}
	l, r, test := lt.eval, rt.eval, comparisons[n.Operator]
	return term{func(f *frame) (operand, error) {
		a, err := l(f)
		if err != nil {
			return operand{}, err
		}
		b, err := r(f)
		switch {
		case err != nil:
			return operand{}, err
		case a.kind == unknown || b.kind == unknown:
			return operand{}, nil
		case a.kind.class()&b.kind.class()&of == 0:
			return operand{}, at(n, fmt.Errorf("%s cannot compare %s with %s", n.Operator, a.kind, b.kind))
		}
		if err := f.spend(min(len(a.b), len(b.b)) / compareSpeed); err != nil {
			return operand{}, at(n, err)
		}
		return truthOf(test(compare(a, b))), nil
	}, truth}, nil
}

var comparisons = map[string]func(order int) bool{
	"==": func(order int) bool { return order == 0 },
	"!=": func(order int) bool { return order != 0 },
	"<":  func(order int) bool { return order < 0 },
	"<=": func(order int) bool { return order <= 0 },
	">":  func(order int) bool { return order > 0 },
	">=": func(order int) bool { return order >= 0 },
}

func (c *compiler) textual(n *ast.BinaryNode) (term, error) {
	l, r, err := c.both(n, text)
	test := textTests[n.Operator]
	return term{func(f *frame) (operand, error) {
		a, err := l(f)
		if err != nil {
			return operand{}, err
		}
		b, err := r(f)
		if err != nil || a.kind == unknown || b.kind == unknown {
			return operand{}, err
		}
		if err := f.spend((len(a.b) + len(b.b)) / lookupSpeed); err != nil {
			return operand{}, at(n, err)
		}
		return truthOf(test(a.b, b.b)), nil
	}, truth}, err
}

var textTests = map[string]func(s, part []byte) bool{
	"contains":   bytes.Contains,
	"startsWith": bytes.HasPrefix,
	"endsWith":   bytes.HasSuffix,
}

func (c *compiler) matches(n *ast.BinaryNode) (term, error) {
	l, err := c.compileAs(n.Left, text, n.Operator)
	if err != nil {
		return term{}, err
	}
	pattern, ok := n.Right.(*ast.StringNode)
	if !ok {
		return term{}, faultAt(n.Right, "matches needs a constant regular expression in quotes")
	}
	parsed, err := syntax.Parse(pattern.Value, syntax.Perl)
	if err != nil {
		return term{}, faultAt(pattern, "%v", err)
	}
	size := patternSize(parsed)
	if c.pattern += size; c.limits.Pattern > 0 && c.pattern > c.limits.Pattern {
		return term{}, faultAt(pattern, "the regular expressions are too large: they come to %d instructions, at most %d are taken here", c.pattern, c.limits.Pattern)
	}
	re, err := regexp.Compile(pattern.Value)
	if err != nil {
		return term{}, faultAt(pattern, "%v", err)
	}
	return term{func(f *frame) (operand, error) {
		o, err := l(f)
		if err != nil || o.kind == unknown {
			return operand{}, err
		}
		if err := f.spend(len(o.b) * size / patternSpeed); err != nil {
			return operand{}, at(n, err)
		}
		return truthOf(re.Match(o.b)), nil
	}, truth}, nil
}

func (c *compiler) arithmetic(n *ast.BinaryNode) (term, error) {
	l, r, err := c.both(n, number)
	return term{func(f *frame) (operand, error) {
		a, err := l(f)
		if err != nil {
			return operand{}, err
		}
		b, err := r(f)
		if err != nil || a.kind == unknown || b.kind == unknown {
			return operand{}, err
		}
		o, err := calculate(n.Operator[0], a, b)
		if err != nil {
			err = at(n, err)
		}
		return o, err
	}, number}, err
}
