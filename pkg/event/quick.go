package event

import (
	"bytes"
	"cmp"

	"github.com/expr-lang/expr/ast"
)

// Most filters compare a few members with constants, joined by and, or by or.
// These are decided here, as long as the event has what they look at in its
// plain form; whatever else there is (a missing member, another kind, a number
// that is no short integer, an escape) is left to the evaluation of the whole.

// quick is such a filter.
type quick struct {
	decisive bool // what decides the whole: false of and, true of or
	tests    []quickTest
}

// quickTest compares what stands at a path with a constant.
type quickTest struct {
	path   Path
	kind   Kind // Number or String
	number int64
	text   []byte
	want   [3]bool // for less, equal and greater
}

// newQuick makes a quick of a node, nil where it is not as simple as that.
func newQuick(n ast.Node) *quick {
	q := &quick{}
	if b, ok := n.(*ast.BinaryNode); ok && (b.Operator == "or" || b.Operator == "||") {
		q.decisive = true
	}
	if !q.add(n) {
		return nil
	}
	return q
}

func (q *quick) add(n ast.Node) bool {
	b, ok := n.(*ast.BinaryNode)
	if !ok {
		return false
	}
	switch b.Operator {
	case "and", "&&":
		return !q.decisive && q.add(b.Left) && q.add(b.Right)
	case "or", "||":
		return q.decisive && q.add(b.Left) && q.add(b.Right)
	}
	test, ok := comparisons[b.Operator]
	if !ok {
		return false
	}
	path, value, sign := b.Left, b.Right, 1
	if isConstant(path) {
		path, value, sign = b.Right, b.Left, -1
	}
	t := quickTest{want: [3]bool{test(-sign), test(0), test(sign)}}
	steps, inElement, err := chain(path)
	if err != nil || inElement || len(steps) == 0 {
		return false
	}
	t.path = pathOf(steps)
	switch value := value.(type) {
	case *ast.IntegerNode:
		t.kind, t.number = Number, int64(value.Value)
	case *ast.StringNode:
		t.kind, t.text = String, []byte(value.Value)
	default:
		return false
	}
	q.tests = append(q.tests, t)
	return true
}

func isConstant(n ast.Node) bool {
	switch n.(type) {
	case *ast.IntegerNode, *ast.StringNode:
		return true
	}
	return false
}

// match decides about an event; known is false where it cannot.
func (q *quick) match(e *Event) (wanted, known bool) {
	for i := range q.tests {
		t := &q.tests[i]
		v, ok := e.Lookup(t.path)
		if !ok || v.kind != t.kind {
			return false, false
		}
		var order int
		if t.kind == Number {
			n, plain := plainInt(v.raw)
			if !plain {
				return false, false
			}
			order = cmp.Compare(n, t.number)
		} else {
			content := v.content()
			if !isPlain(content) {
				return false, false
			}
			order = bytes.Compare(content, t.text)
		}
		if t.want[order+1] == q.decisive {
			return q.decisive, true
		}
	}
	return !q.decisive, true
}
