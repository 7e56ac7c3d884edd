package handler

import (
	"fmt"
	"maps"
	"slices"
)

// Registry holds the handler types that a manifest may name. It is a value
// that main makes and hands on; it is not safe for changes while in use.
type Registry struct {
	factories map[string]Factory
}

// Register adds a handler type. It panics on a name that is taken or empty and
// on a Factory without Config: both are mistakes of the program, not of its
// input.
func (r *Registry) Register(name string, f Factory) {
	if name == "" || f.Config == nil {
		panic("handler: Register needs a name and a Config")
	}
	if _, taken := r.factories[name]; taken {
		panic(fmt.Sprintf("handler: %q is registered twice", name))
	}
	if r.factories == nil {
		r.factories = map[string]Factory{}
	}
	r.factories[name] = f
}

// Lookup returns the handler type of that name.
func (r *Registry) Lookup(name string) (Factory, bool) {
	f, ok := r.factories[name]
	return f, ok
}

// Names returns all names in order.
func (r *Registry) Names() []string {
	return slices.Sorted(maps.Keys(r.factories))
}
