package window

import (
	"cmp"
	"errors"
	"fmt"
	"math/big"
	"math/bits"
	"slices"
	"strings"

	"example.com/fanout/pkg/event"
	"example.com/fanout/pkg/sink/internal/sqlstore"
	"example.com/fanout/pkg/stream"
)

// function is what a measure does with the values of its window.
type function uint8

const (
	count function = iota
	sum
	least
	greatest
	first
	last
	wavg
)

// functions are their names and the numbers of their arguments.
var functions = []struct {
	name string
	args int
}{count: {"count", 0}, sum: {"sum", 1}, least: {"min", 1}, greatest: {"max", 1}, first: {"first", 1}, last: {"last", 1}, wavg: {"wavg", 2}}

// parseExpr reads an expression such as sum(stake.value).
func parseExpr(expr string) (function, []event.Path, error) {
	name, rest, open := strings.Cut(strings.TrimSpace(expr), "(")
	inner, closed := strings.CutSuffix(rest, ")")
	name = strings.TrimSpace(name)
	f := slices.IndexFunc(functions, func(f struct {
		name string
		args int
	}) bool {
		return f.name == name
	})
	if f < 0 || !open || !closed {
		return 0, nil, fmt.Errorf("%.40q is not a measure; use count(), sum(PATH), min(PATH), max(PATH), first(PATH), last(PATH) or wavg(PATH, WEIGHT)", expr)
	}
	var paths []event.Path
	for _, arg := range splitArgs(inner) {
		path, err := event.ParsePath(arg)
		if err != nil {
			return 0, nil, err
		}
		paths = append(paths, path)
	}
	if want := functions[f].args; len(paths) != want {
		return 0, nil, fmt.Errorf("%s takes %d paths, not %d", name, want, len(paths))
	}
	return function(f), paths, nil
}

// splitArgs cuts at the commas that are not inside a quoted name.
func splitArgs(s string) []string {
	if strings.TrimSpace(s) == "" {
		return nil
	}
	var args []string
	begin, quoted := 0, false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			quoted = !quoted
		case quoted && s[i] == '\\':
			i++ // what follows is part of the name
		case !quoted && s[i] == ',':
			args = append(args, strings.TrimSpace(s[begin:i]))
			begin = i + 1
		}
	}
	return append(args, strings.TrimSpace(s[begin:]))
}

// columns are the columns that a measure of that name is kept in. The first
// one holds the result.
func (f function) columns(name string) []sqlstore.Column {
	switch f {
	case first, last:
		return []sqlstore.Column{{Name: name, Decl: "INTEGER"}, {Name: name + "_at", Decl: "INTEGER"}, {Name: name + "_id", Decl: "TEXT"}}
	case wavg:
		return []sqlstore.Column{{Name: name, Decl: "REAL"}, {Name: name + "_num", Decl: "INTEGER"}, {Name: name + "_den", Decl: "INTEGER"}}
	}
	return []sqlstore.Column{{Name: name, Decl: "INTEGER"}}
}

// measure is a measure ready for use. value and weight are indexes of the
// plan's paths.
type measure struct {
	name          string
	f             function
	value, weight int
}

// expr is the measure's expression in its shortest form.
func (m measure) expr(paths []event.Path) string {
	args := []int{m.value, m.weight}[:functions[m.f].args]
	texts := make([]string, len(args))
	for i, at := range args {
		texts[i] = paths[at].String()
	}
	return functions[m.f].name + "(" + strings.Join(texts, ",") + ")"
}

// value is what an event has at a path; !ok is null or missing.
type value struct {
	n  int64
	ok bool
}

// cell is the state of one measure in one window. The zero cell has seen no
// value.
type cell struct {
	set bool
	n   int64     // the result; of wavg the sum of value x weight
	m   int64     // first, last: time of the event in ns; wavg: the sum of weights
	id  stream.ID // first, last: of the entry
}

var errOverflow = errors.New("result does not fit into 64 bits")

// add takes the event into the cell, which it leaves as it is on an error.
// Events may come in any order; the result is the same. An event without the
// value that the measure needs changes nothing.
func (m measure) add(c cell, o *observation, values []value) (cell, error) {
	if m.f == count {
		return m.plus(c, 1, 0)
	}
	v := values[m.value]
	if !v.ok {
		return c, nil
	}
	switch m.f {
	case sum:
		return m.plus(c, v.n, 0)
	case wavg:
		w := values[m.weight]
		if !w.ok {
			return c, nil
		}
		product, ok := multiply(v.n, w.n)
		if !ok {
			return c, m.overflow()
		}
		return m.plus(c, product, w.n)
	}
	if !c.set || m.wins(v.n, o, c) {
		return cell{set: true, n: v.n, m: o.at, id: o.id}, nil
	}
	return c, nil
}

// wins reports whether the event's value takes the place of the cell's. With
// the time and the ID equal (which only another epoch of the stream can bring
// about) the value decides, so that the order of arrival does not.
func (m measure) wins(n int64, o *observation, c cell) bool {
	switch m.f {
	case least:
		return n < c.n
	case greatest:
		return n > c.n
	}
	order := cmp.Or(cmp.Compare(o.at, c.m), o.id.Compare(c.id), cmp.Compare(n, c.n))
	if m.f == first {
		return order < 0
	}
	return order > 0
}

func (m measure) plus(c cell, a, b int64) (cell, error) {
	n, ok1 := plus(c.n, a)
	k, ok2 := plus(c.m, b)
	if !ok1 || !ok2 {
		return c, m.overflow()
	}
	return cell{set: true, n: n, m: k}, nil
}

func (m measure) overflow() error { return fmt.Errorf("measure %s: %w", m.name, errOverflow) }

func plus(a, b int64) (int64, bool) {
	c := a + b
	return c, (a^c)&(b^c) >= 0 // wrong only when both signs differ from the sum's
}

func multiply(a, b int64) (int64, bool) {
	hi, lo := bits.Mul64(magnitude(a), magnitude(b))
	if negative := (a < 0) != (b < 0); negative {
		return -int64(lo), hi == 0 && lo <= 1<<63
	}
	return int64(lo), hi == 0 && lo < 1<<63
}

// magnitude is |n|, also of the smallest number.
func magnitude(n int64) uint64 {
	if n < 0 {
		return -uint64(n)
	}
	return uint64(n)
}

// appendTo appends the values of the measure's columns.
func (m measure) appendTo(args []any, c cell) []any {
	switch {
	case !c.set:
		for range m.f.columns(m.name) {
			args = append(args, nil)
		}
		return args
	case m.f == first || m.f == last:
		return append(args, c.n, c.m, c.id.String())
	case m.f == wavg:
		return append(args, average(c), c.n, c.m)
	}
	return append(args, c.n)
}

// average is the float that is nearest to the quotient, nil when the weights
// sum up to nothing.
func average(c cell) any {
	const exact = 1 << 53 // integers up to here are floats too
	switch {
	case c.m == 0:
		return nil
	case magnitude(c.n) <= exact && magnitude(c.m) <= exact:
		return float64(c.n) / float64(c.m) // rounds once
	}
	nearest, _ := new(big.Rat).SetFrac64(c.n, c.m).Float64()
	return nearest
}

// preview is what the event adds.
func (m measure) preview(values []value) any {
	if m.f == count {
		return 1
	}
	v := values[m.value]
	if !v.ok || m.f == wavg && !values[m.weight].ok {
		return nil
	}
	if m.f == wavg {
		return struct {
			Value  int64 `json:"value"`
			Weight int64 `json:"weight"`
		}{v.n, values[m.weight].n}
	}
	return v.n
}
