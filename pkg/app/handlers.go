package app

import (
	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/manifest"
)

// manifestHandlers shows a registry to the manifest, which knows nothing of
// handlers but how their part of the file is filled.
type manifestHandlers struct {
	registry *handler.Registry
	redirect func(handler.Config) // before it is checked; nil: not at all
}

func (m manifestHandlers) Names() []string { return m.registry.Names() }

func (m manifestHandlers) New(name string) (manifest.HandlerConfig, bool) {
	factory, ok := m.registry.Lookup(name)
	if !ok {
		return manifest.HandlerConfig{}, false
	}
	config := factory.Config()
	hc := manifest.HandlerConfig{Config: config, Doc: factory.Doc, Check: func() []manifest.Finding {
		if m.redirect != nil {
			m.redirect(config)
		}
		var findings []manifest.Finding
		for _, f := range config.Check() {
			findings = append(findings, manifest.Finding(f))
		}
		return findings
	}}
	if p, ok := config.(handler.Preferrer); ok {
		hc.Prefers = func() (batchSize, concurrency int) {
			wishes := p.Prefers()
			return wishes.BatchSize, wishes.Concurrency
		}
	}
	return hc, true
}
