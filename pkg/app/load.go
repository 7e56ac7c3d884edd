package app

import (
	"fmt"
	"slices"
	"strings"

	"example.com/fanout/pkg/event"
	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/manifest"
)

// Load reads and checks a manifest against the handlers of a registry. The
// Manifest is nil exactly if the faults have an error among them.
func Load(path string, registry *handler.Registry) (*manifest.Manifest, manifest.Faults) {
	return manifest.Load(path, manifest.Options{Handlers: Handlers(registry), CheckExpr: compiles})
}

// LoadAdmin reads where a manifest lets its admin server listen, whatever faults
// it has elsewhere; false when that cannot be read.
func LoadAdmin(path string, registry *handler.Registry) (manifest.Admin, bool) {
	return manifest.LoadAdmin(path, manifest.Options{Handlers: Handlers(registry), CheckExpr: compiles})
}

// Handlers shows a registry to the manifest.
func Handlers(registry *handler.Registry) manifest.Handlers {
	return manifestHandlers{registry: registry}
}

func compiles(expression string) error {
	_, err := event.Compile(expression)
	return err
}

// Only keeps the named groups of a manifest; all of them when names is empty.
func Only(m *manifest.Manifest, names []string) (*manifest.Manifest, error) {
	if len(names) == 0 {
		return m, nil
	}
	var present, missing []string
	some := *m
	some.Groups, some.Elsewhere = nil, slices.Clip(m.Elsewhere)
	for _, g := range m.Groups {
		present = append(present, g.Name)
		if slices.Contains(names, g.Name) {
			some.Groups = append(some.Groups, g)
		} else {
			some.Elsewhere = append(some.Elsewhere, g)
		}
	}
	for _, name := range names {
		if !slices.Contains(present, name) {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("no group %s in the manifest, which has %s", strings.Join(missing, ", "), strings.Join(present, ", "))
	}
	return &some, nil
}
