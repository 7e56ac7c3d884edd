package event

import (
	"fmt"

	"github.com/expr-lang/expr/ast"
)

// in compiles membership in a list, in a range, or in an array of the event.
// Looking for something in what holds nothing of its class is a mistake and no
// plain false, unless it holds nothing at all.
func (c *compiler) in(n *ast.BinaryNode) (term, error) {
	const scalar = truth | number | text
	if r, ok := n.Right.(*ast.BinaryNode); ok && r.Operator == ".." {
		left, err := c.compileAs(n.Left, number, "a range")
		if err != nil {
			return term{}, err
		}
		return c.inRange(left, r)
	}
	left, err := c.compileAs(n.Left, scalar, n.Operator)
	if err != nil {
		return term{}, err
	}
	if r, ok := n.Right.(*ast.ArrayNode); ok {
		return c.inList(n, left, r.Nodes)
	}
	array, err := c.compileAs(n.Right, list, n.Operator)
	return term{func(f *frame) (operand, error) {
		o, err := left(f)
		if err != nil {
			return operand{}, err
		}
		a, err := array(f)
		if err != nil || o.kind == unknown || a.kind == unknown {
			return operand{}, err
		}
		found := search{of: o}
		items := Value{Array, a.b}.elements()
		for {
			v, ok, err := f.next(&items)
			if err != nil {
				return operand{}, at(n, err)
			}
			if !ok {
				return found.result(n)
			}
			item, err := operandOf(v)
			if err != nil {
				return operand{}, at(n, err)
			}
			if found.is(item) {
				return truthOf(true), nil
			}
		}
	}, truth}, err
}

func (c *compiler) inList(n *ast.BinaryNode, left eval, nodes []ast.Node) (term, error) {
	items := make([]eval, len(nodes))
	for i, node := range nodes {
		var err error
		if items[i], err = c.compileAs(node, truth|number|text, "in"); err != nil {
			return term{}, err
		}
	}
	return term{func(f *frame) (operand, error) {
		o, err := left(f)
		if err != nil || o.kind == unknown {
			return operand{}, err
		}
		found := search{of: o}
		for _, item := range items {
			v, err := item(f)
			if err != nil {
				return operand{}, err
			}
			if found.is(v) {
				return truthOf(true), nil
			}
		}
		return found.result(n)
	}, truth}, nil
}

// inRange compiles low..high, both ends included.
func (c *compiler) inRange(left eval, r *ast.BinaryNode) (term, error) {
	low, high, err := c.both(r, number)
	return term{func(f *frame) (operand, error) {
		o, err := left(f)
		if err != nil {
			return operand{}, err
		}
		l, err := low(f)
		if err != nil {
			return operand{}, err
		}
		h, err := high(f)
		if err != nil || o.kind == unknown || l.kind == unknown || h.kind == unknown {
			return operand{}, err
		}
		return truthOf(compare(l, o) <= 0 && compare(o, h) <= 0), nil
	}, truth}, err
}

// search is the state of looking for an operand.
type search struct {
	of      operand
	same    bool // one of its class was there
	other   kinds
	unknown bool
}

func (s *search) is(item operand) bool {
	switch {
	case item.kind == unknown:
		s.unknown = true
	case item.kind.class() != s.of.kind.class():
		s.other |= item.kind
	default:
		s.same = true
		return compare(s.of, item) == 0
	}
	return false
}

// result is that of a search that has found nothing.
func (s *search) result(n ast.Node) (operand, error) {
	switch {
	case s.unknown:
		return operand{}, nil
	case s.other != 0 && !s.same:
		return operand{}, at(n, fmt.Errorf("in looks for %s and finds only %s", s.of.kind, s.other))
	}
	return truthOf(false), nil
}
