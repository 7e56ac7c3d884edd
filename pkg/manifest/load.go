package manifest

import (
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"

	"gopkg.in/yaml.v3"
)

// Options are what a manifest is read with.
type Options struct {
	// Handlers are the handler types; with nil every handler is unknown.
	Handlers Handlers

	// CheckExpr compiles a where expression; with nil none is compiled.
	CheckExpr func(string) error

	// Getenv looks up a variable of ${…}; nil is os.LookupEnv.
	Getenv func(string) (string, bool)

	// ReadFile reads a file of ${file:…}; nil reads at most 1 MiB from the
	// file system.
	ReadFile func(string) ([]byte, error)
}

// Load reads and checks the manifest at path. See [Parse].
func Load(path string, opts Options) (*Manifest, Faults) {
	data, err := readFile(path)
	if err != nil {
		return nil, Faults{{File: path, Message: fmt.Sprintf("read manifest: %v", cause(err))}}
	}
	return Parse(path, data, opts)
}

// Parse checks a manifest; name stands for it in the faults. It finds every
// fault, not the first one. The Manifest is nil exactly if [Faults.Err] is not.
//
// Parse is safe for hostile input: it bounds time and memory, reads nothing
// but variables and the files of ${file:…}, and shows no secret in a fault.
func Parse(name string, data []byte, opts Options) (*Manifest, Faults) {
	m, found := parse(name, data, opts)
	if found.Err() != nil {
		return nil, found
	}
	for i := range m.Groups {
		m.Groups[i].Hash = hash(&m.Groups[i])
	}
	return m, found
}

// LoadAdmin reads the section admin of the manifest at path, whatever faults the
// manifest has elsewhere: a process that was started before they were made is
// still to be found. It reports false when that section cannot be read.
func LoadAdmin(path string, opts Options) (Admin, bool) {
	data, err := readFile(path)
	if err != nil {
		return Admin{}, false
	}
	m, found := parse(path, data, opts)
	if m == nil || slices.ContainsFunc(found.Errors(), func(f Fault) bool { return f.Path == "" || within(f.Path, "admin") }) {
		return Admin{}, false
	}
	return m.Admin, true
}

// parse reads as much of a manifest as can be read, nil for nothing.
func parse(name string, data []byte, opts Options) (m *Manifest, found Faults) {
	if opts.Getenv == nil {
		opts.Getenv = os.LookupEnv
	}
	if opts.ReadFile == nil {
		opts.ReadFile = readFile
	}
	if opts.CheckExpr == nil {
		opts.CheckExpr = func(string) error { return nil }
	}
	faults := &faultList{file: name}
	if doc := parseYAML(data, faults); doc != nil {
		m = load(doc, opts, faults)
	}
	return m, faults.done()
}

// load fills a manifest from a document and checks it.
func load(doc *yaml.Node, opts Options, faults *faultList) *Manifest {
	b := builder{faults: faults, expand: &expander{getenv: opts.Getenv, readFile: opts.ReadFile}}
	root := b.build(doc, "", 0)
	c := &checker{decoder: decoder{faults: faults, marks: map[string]mark{}}, opts: opts}

	m := new(Manifest)
	preset(reflect.ValueOf(m).Elem())
	if root.kind != mapping {
		if !root.bad {
			faults.errorf(root.mark, "", "want a mapping with the keys version and groups, got %s", root.kind)
		}
		return m
	}
	c.structure(root, reflect.ValueOf(m).Elem(), "", "defaults", "groups")

	var base Group
	preset(reflect.ValueOf(&base).Elem())
	if _, p := root.without("defaults"); p != nil {
		c.groupDefaults(p.value, &base)
	}
	_, groups := root.without("groups")
	switch {
	case groups == nil:
		faults.errorf(root.mark, "groups", "is missing")
	case groups.value.bad:
	case groups.value.kind == nothing, groups.value.kind == mapping && len(groups.value.pairs) == 0:
		if !faults.touches("groups") {
			faults.errorf(groups.mark, "groups", "needs at least one group")
		}
	case groups.value.kind != mapping:
		faults.errorf(groups.value.mark, "groups", "want a mapping of names to groups, got %s", groups.value.kind)
	default:
		for _, p := range groups.value.pairs {
			m.Groups = append(m.Groups, c.group(p, base))
		}
	}
	c.manifest(m)
	return m
}

// groupDefaults fills what all groups begin with.
func (c *checker) groupDefaults(n *node, base *Group) {
	if n.bad {
		return
	}
	n, handler := n.without("handler")
	if handler != nil {
		c.faults.errorf(handler.mark, "defaults.handler", "has no default for all groups; each group has its own")
	}
	c.defaults = true
	c.structure(n, reflect.ValueOf(base).Elem(), "defaults")
	c.defaults = false
}

// group fills one group, beginning with the defaults.
func (c *checker) group(p pair, base Group) Group {
	g := base
	g.Name, g.Line = p.key, p.mark.line
	path := join("groups", p.key)
	c.marks[path] = p.mark
	c.groupName(p, path)
	if p.value.bad {
		return g
	}
	c.structure(p.value, reflect.ValueOf(&g).Elem(), path, "handler")
	if g.Group == "" && c.unset(path+".group") {
		g.Group = g.Name
	}
	if p.value.kind == mapping || p.value.kind == nothing {
		_, handler := p.value.without("handler")
		c.handler(handler, &g, path)
	}
	c.checkGroup(&g, path)
	return g
}

// handler fills the handler of a group and lets it check itself.
func (c *checker) handler(p *pair, g *Group, group string) {
	path := group + ".handler"
	if p == nil {
		c.faults.errorf(c.marks[group], path, "is missing%s", c.handlerNames())
		return
	}
	switch n := p.value; {
	case n.bad:
	case n.kind == scalar && n.file:
		c.faults.errorf(n.mark, path, "the type of a handler cannot come from a file")
	case n.kind == scalar:
		c.config(pair{key: n.text, mark: n.mark, value: &node{mark: n.mark}}, g, group)
	case n.kind == list:
		c.faults.errorf(n.mark, path, "want one type with its keys, got a list")
	case len(n.pairs) == 0:
		c.faults.errorf(p.mark, path, "names no type%s", c.handlerNames())
	default:
		if len(n.pairs) > 1 {
			c.fault(group, []string{"handler"}, "want exactly one type, got %d: %s", len(n.pairs), keys(n.pairs))
		}
		for _, typed := range n.pairs {
			c.config(typed, g, group)
		}
	}
}

// config fills the config of one handler type.
func (c *checker) config(p pair, g *Group, group string) {
	path := group + ".handler"
	config, ok := HandlerConfig{}, false
	if c.opts.Handlers != nil {
		config, ok = c.opts.Handlers.New(p.key)
	}
	if !ok {
		c.unknownHandler(p, path)
		return
	}
	path = join(path, p.key)
	v := reflect.ValueOf(config.Config)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
		panic(fmt.Sprintf("manifest: config of handler %q is a %T, not a pointer to a struct", p.key, config.Config))
	}
	c.marks[path] = p.mark
	preset(v.Elem())
	if !p.value.bad {
		c.structure(p.value, v.Elem(), path)
	}
	if config.Check != nil {
		c.findings(config.Check(), path)
	}
	if config.Prefers != nil {
		c.prefer(config.Prefers, g, group)
	}
	g.Handler = Handler{Type: p.key, Config: config.Config}
}

// prefer takes over the handler's wishes where the group itself says nothing.
func (c *checker) prefer(prefers func() (batchSize, concurrency int), g *Group, path string) {
	size, concurrency := prefers()
	if size > 0 && c.unset(path+".batch.size") {
		g.Batch.Size = size
	}
	if concurrency > 0 && c.unset(path+".concurrency") {
		g.Concurrency = concurrency
	}
}

// unset reports whether the file does not have the key.
func (c *checker) unset(path string) bool {
	_, set := c.marks[path]
	return !set
}

// readFile reads a file of at most 1 MiB; of a larger one it gives a byte more.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, int64(maxFile)+1))
}
