package event

import (
	"fmt"
	"unicode/utf8"

	"github.com/expr-lang/expr/ast"
)

// compiler turns the syntax tree of one expression into evals.
type compiler struct {
	slots   []Path
	limits  Limits
	pattern int // instructions of regular expressions so far
}

// term is a compiled node: how to compute it and what it may be.
type term struct {
	eval  eval
	kinds kinds
}

func faultAt(n ast.Node, format string, args ...any) error {
	return &SyntaxError{Column: n.Location().From + 1, Message: fmt.Sprintf(format, args...)}
}

// at adds where in the expression an error arose.
func at(n ast.Node, err error) error {
	return fmt.Errorf("column %d: %w", n.Location().From+1, err)
}

func constant(o operand) term {
	return term{func(*frame) (operand, error) { return o, nil }, o.kind}
}

func (c *compiler) compile(n ast.Node) (term, error) {
	switch n := n.(type) {
	case *ast.BoolNode:
		return constant(truthOf(n.Value)), nil
	case *ast.IntegerNode:
		return constant(operand{kind: integer64, n: int64(n.Value)}), nil
	case *ast.FloatNode:
		return constant(operand{kind: decimal64, d: n.Value}), nil
	case *ast.StringNode:
		return constant(operand{kind: text, b: []byte(n.Value)}), nil
	case *ast.NilNode:
		return term{}, faultAt(n, "nil can only be compared by == and !=")
	case *ast.IdentifierNode, *ast.PointerNode, *ast.MemberNode, *ast.ChainNode:
		return c.path(n)
	case *ast.UnaryNode:
		return c.unary(n)
	case *ast.BinaryNode:
		return c.binary(n)
	case *ast.ConditionalNode:
		return c.conditional(n)
	case *ast.BuiltinNode:
		return c.function(n, n.Name, n.Arguments)
	case *ast.CallNode:
		if callee, ok := n.Callee.(*ast.IdentifierNode); ok {
			return c.function(n, callee.Value, n.Arguments)
		}
		return term{}, faultAt(n, "values have no functions of their own")
	case *ast.ArrayNode:
		return term{}, faultAt(n, "a list can only stand behind in")
	}
	return term{}, faultAt(n, "this is not supported here")
}

// compileAs compiles a node that must be able to be one of the kinds. The
// eval checks that it is, or is unknown.
func (c *compiler) compileAs(n ast.Node, want kinds, what string) (eval, error) {
	t, err := c.compile(n)
	if err != nil {
		return nil, err
	}
	if t.kinds&want == 0 {
		return nil, faultAt(n, "%s needs %s, this is %s", what, want, t.kinds)
	}
	if t.kinds&^want == 0 {
		return t.eval, nil
	}
	return func(f *frame) (operand, error) {
		o, err := t.eval(f)
		if err == nil && o.kind&^want != 0 {
			err = at(n, fmt.Errorf("%s needs %s, this is %s", what, want, o.kind))
		}
		return o, err
	}, nil
}

// both compiles two operands as compileAs does.
func (c *compiler) both(n *ast.BinaryNode, want kinds) (l, r eval, err error) {
	if l, err = c.compileAs(n.Left, want, n.Operator); err != nil {
		return nil, nil, err
	}
	r, err = c.compileAs(n.Right, want, n.Operator)
	return l, r, err
}

// path compiles a chain of members and indexes.
func (c *compiler) path(n ast.Node) (term, error) {
	steps, inElement, err := chain(n)
	if err != nil {
		return term{}, err
	}
	if inElement {
		return term{func(f *frame) (operand, error) {
			if err := f.spend(len(f.element.raw) / lookupSpeed); err != nil {
				return operand{}, at(n, err)
			}
			v, ok := f.element.find(steps)
			if !ok {
				return operand{}, nil
			}
			o, err := operandOf(v)
			if err != nil {
				err = at(n, err)
			}
			return o, err
		}, anything}, nil
	}
	if len(steps) == 0 {
		return term{}, faultAt(n, `$env needs a member: $env["name"]`)
	}
	return c.slot(n, pathOf(steps)), nil
}

// slot gives each path of the event one place in the frames.
func (c *compiler) slot(n ast.Node, p Path) term {
	slot := 0
	for slot < len(c.slots) && c.slots[slot].text != p.text {
		slot++
	}
	if slot == len(c.slots) {
		c.slots = append(c.slots, p)
	}
	return term{func(f *frame) (operand, error) {
		o, err := f.read(slot)
		if err != nil {
			err = at(n, err)
		}
		return o, err
	}, anything}
}

// chain reads the steps of a path, which begins at the event, or at the element
// that a predicate looks at.
func chain(n ast.Node) (steps []step, inElement bool, err error) {
	switch n := n.(type) {
	case *ast.ChainNode:
		return chain(n.Node)
	case *ast.IdentifierNode:
		if n.Value == "$env" {
			return nil, false, nil
		}
		return []step{memberStep(n.Value)}, false, nil
	case *ast.PointerNode:
		if n.Name != "" {
			return nil, false, faultAt(n, "#%s is not supported", n.Name)
		}
		return nil, true, nil
	case *ast.MemberNode:
		if steps, inElement, err = chain(n.Node); err != nil {
			return nil, false, err
		}
		switch p := n.Property.(type) {
		case *ast.StringNode:
			if !utf8.ValidString(p.Value) {
				return nil, false, faultAt(p, "a member name must be UTF-8")
			}
			return append(steps, memberStep(p.Value)), inElement, nil
		case *ast.IntegerNode:
			if p.Value >= 0 && p.Value <= maxIndex {
				return append(steps, step{index: p.Value}), inElement, nil
			}
		}
		return nil, false, faultAt(n.Property, "a member is a constant name or an index from 0")
	}
	return nil, false, faultAt(n, "only paths have members")
}

func (c *compiler) unary(n *ast.UnaryNode) (term, error) {
	switch n.Operator {
	case "not", "!":
		e, err := c.compileAs(n.Node, truth, n.Operator)
		return term{func(f *frame) (operand, error) {
			o, err := e(f)
			if err != nil || o.kind == unknown {
				return o, err
			}
			return truthOf(!o.isTrue()), nil
		}, truth}, err
	case "+", "-":
		e, err := c.compileAs(n.Node, number, n.Operator)
		if n.Operator == "+" {
			return term{e, number}, err
		}
		return term{func(f *frame) (operand, error) {
			o, err := e(f)
			if err != nil || o.kind == unknown {
				return o, err
			}
			if o, err = calculate('-', operand{kind: integer64}, o); err != nil {
				err = at(n, err)
			}
			return o, err
		}, number}, err
	}
	return term{}, faultAt(n, "the operator %s is not supported", n.Operator)
}

func (c *compiler) coalesce(n *ast.BinaryNode) (term, error) {
	l, err := c.compile(n.Left)
	if err != nil {
		return term{}, err
	}
	r, err := c.compile(n.Right)
	return term{func(f *frame) (operand, error) {
		o, err := l.eval(f)
		if err != nil || o.kind != unknown {
			return o, err
		}
		return r.eval(f)
	}, l.kinds | r.kinds}, err
}

func (c *compiler) conditional(n *ast.ConditionalNode) (term, error) {
	cond, err := c.compileAs(n.Cond, truth, "a condition")
	if err != nil {
		return term{}, err
	}
	yes, err := c.compile(n.Exp1)
	if err != nil {
		return term{}, err
	}
	no, err := c.compile(n.Exp2)
	return term{func(f *frame) (operand, error) {
		o, err := cond(f)
		switch {
		case err != nil || o.kind == unknown:
			return operand{}, err
		case o.isTrue():
			return yes.eval(f)
		}
		return no.eval(f)
	}, yes.kinds | no.kinds}, err
}
