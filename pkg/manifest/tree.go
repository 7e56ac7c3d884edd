package manifest

import (
	"fmt"
	"strings"

	"gopkg.in/yaml.v3"
)

const (
	maxNodes = 200_000 // values in a file, with all aliases resolved
	maxDepth = 32      // of nesting
)

type kind uint8

const (
	nothing kind = iota // an empty value, null or ~
	scalar
	list
	mapping
)

func (k kind) String() string {
	return [...]string{"nothing", "a single value", "a list", "a mapping"}[k]
}

// node is a value of the file as the decoder sees it: aliases resolved, every
// key once, variables filled in. Scalars are text, whatever YAML takes them
// for: no timestamps, no octal numbers, no "no" that means false.
type node struct {
	kind  kind
	mark  mark
	text  string // of a scalar
	file  bool   // the text came from a file: it must not be shown
	bad   bool   // a fault was reported for it already
	pairs []pair
	items []*node
}

// pair is one key of a mapping.
type pair struct {
	key   string
	mark  mark
	odd   string // what YAML takes the unquoted key for, if that is not text
	value *node
}

// mark is where a fault about the value points: at the value itself when it
// stands beside its key, else at the key.
func (p pair) at() mark {
	if p.value.kind == scalar && p.value.mark.line == p.mark.line {
		return p.value.mark
	}
	return p.mark
}

// without gives the mapping less one key, and that key's pair.
func (n *node) without(key string) (*node, *pair) {
	for i := range n.pairs {
		if n.pairs[i].key == key {
			rest := *n
			rest.pairs = append(append([]pair(nil), n.pairs[:i]...), n.pairs[i+1:]...)
			return &rest, &n.pairs[i]
		}
	}
	return n, nil
}

// builder makes the tree of nodes.
type builder struct {
	faults *faultList
	expand *expander
	nodes  int
	open   map[*yaml.Node]bool // aliases that are being resolved
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func (b *builder) build(y *yaml.Node, path string, depth int) *node {
	n := &node{mark: mark{y.Line, y.Column}}
	fail := func(format string, args ...any) *node {
		b.faults.errorf(n.mark, path, format, args...)
		n.bad = true
		return n
	}
	b.nodes++
	switch {
	case b.nodes > maxNodes+1:
		n.bad = true // has been said
		return n
	case b.nodes > maxNodes:
		return fail("the file holds more than %d values, aliases counted as often as they stand", maxNodes)
	case depth > maxDepth:
		return fail("is nested deeper than %d", maxDepth)
	case y.Style&yaml.TaggedStyle != 0:
		return fail("YAML tags are not supported: leave out %q", clip(y.Tag, 64))
	}
	switch y.Kind {
	case yaml.AliasNode:
		if b.open[y.Alias] {
			return fail("the alias *%s stands inside its own anchor", y.Value)
		}
		if b.open == nil {
			b.open = map[*yaml.Node]bool{}
		}
		b.open[y.Alias] = true
		n = b.build(y.Alias, path, depth)
		delete(b.open, y.Alias)
	case yaml.ScalarNode:
		return b.scalar(n, y, path)
	case yaml.SequenceNode:
		n.kind = list
		for i, item := range y.Content {
			n.items = append(n.items, b.build(item, fmt.Sprintf("%s[%d]", path, i), depth+1))
		}
	case yaml.MappingNode:
		n.kind = mapping
		seen := map[string]mark{}
		for i := 0; i+1 < len(y.Content); i += 2 {
			b.pair(n, y.Content[i], y.Content[i+1], path, depth, seen)
		}
	}
	return n
}

func (b *builder) scalar(n *node, y *yaml.Node, path string) *node {
	if y.Tag == "!!null" {
		return n
	}
	n.kind = scalar
	text, file, err := b.expand.expand(y.Value)
	n.text, n.file = text, file
	if file {
		b.faults.secrets = append(b.faults.secrets, text)
	}
	if err != nil {
		b.faults.errorf(n.mark, path, "%v", err)
		n.bad = true
	}
	return n
}

func (b *builder) pair(n *node, key, value *yaml.Node, path string, depth int, seen map[string]mark) {
	at := mark{key.Line, key.Column}
	switch {
	case key.Kind != yaml.ScalarNode:
		b.faults.errorf(at, path, "a key must be a plain text")
		return
	case key.Tag == "!!merge":
		b.faults.errorf(at, path, `merge keys are not supported; put what groups share under "defaults"`)
		return
	case key.Style&yaml.TaggedStyle != 0:
		b.faults.errorf(at, path, "YAML tags are not supported: leave out %q", clip(key.Tag, 64))
		return
	case key.Tag == "!!null" || key.Value == "":
		b.faults.errorf(at, path, "a key is empty")
		return
	case strings.Contains(key.Value, "${"):
		b.faults.errorf(at, path, "variables are filled in values only, not in keys")
		return
	}
	path = join(path, key.Value)
	if first, twice := seen[key.Value]; twice {
		b.faults.errorf(at, path, "duplicate key (the first is in line %d)", first.line)
		return
	}
	seen[key.Value] = at
	n.pairs = append(n.pairs, pair{
		key: key.Value, mark: at, odd: oddKey(key),
		value: b.build(value, path, depth+1),
	})
}

// oddKey tells what an unquoted key is to YAML readers that guess types; the
// older ones read yes, no, on and off as booleans.
func oddKey(key *yaml.Node) string {
	if key.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 {
		return ""
	}
	switch strings.ToLower(key.Value) {
	case "y", "n", "yes", "no", "on", "off":
		return "a boolean to some YAML readers"
	}
	switch key.Tag {
	case "!!bool":
		return "a boolean"
	case "!!int", "!!float":
		return "a number"
	case "!!timestamp":
		return "a date"
	}
	return ""
}
