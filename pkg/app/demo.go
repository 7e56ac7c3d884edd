package app

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"log"
	"path/filepath"
	"strings"

	"github.com/alicebob/miniredis/v2"

	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/manifest"
	"example.com/fanout/pkg/telemetry"
)

// Demo is a manifest that has been turned away from the world: Redis runs in
// the process and keeps nothing, every store is a SQLite file in a directory,
// every URL is the demo's own inbox.
type Demo struct {
	Manifest *manifest.Manifest

	redis *miniredis.Miniredis
}

// DemoTarget is where a demo's handlers are redirected to.
type DemoTarget struct {
	Dir    string // for the stores; it must exist
	Inbox  string // URL of a receiver that verifies with Secret
	Secret string
}

// NewDemoTarget makes a secret for the inbox.
func NewDemoTarget(dir, inbox string) (DemoTarget, error) {
	key := make([]byte, 24)
	if _, err := rand.Read(key); err != nil {
		return DemoTarget{}, fmt.Errorf("make a webhook secret: %w", err)
	}
	return DemoTarget{dir, inbox, "whsec_" + base64.StdEncoding.EncodeToString(key)}, nil
}

func (t DemoTarget) redirect(config handler.Config) {
	if r, ok := config.(handler.Redirecter); ok {
		r.Redirect(t.Dir, t.Inbox, t.Secret)
	}
}

// LoadDemo is [Load] with every handler redirected before it is checked: a
// store that cannot be used here is no fault when it is not used.
func LoadDemo(path string, registry *handler.Registry, target DemoTarget) (*manifest.Manifest, manifest.Faults) {
	return manifest.Load(path, manifest.Options{
		Handlers:  manifestHandlers{registry: registry, redirect: target.redirect},
		CheckExpr: compiles,
	})
}

// NewDemo starts the in-process Redis for a manifest of [LoadDemo] and points
// the manifest at it. It refuses handlers that write outward and cannot be
// redirected. The caller closes the Demo.
func NewDemo(m *manifest.Manifest, target DemoTarget) (*Demo, error) {
	d := &Demo{Manifest: m}
	var refused []string
	for _, g := range m.Groups {
		if !g.Enabled {
			continue
		}
		switch g.Handler.Config.(type) {
		case handler.Redirecter, handler.Local:
		default:
			refused = append(refused, fmt.Sprintf("groups.%s: handler %s", g.Name, g.Handler.Type))
		}
	}
	if len(refused) > 0 {
		return nil, fmt.Errorf("the demo cannot redirect what these would write or send: %s; set enabled: false for them, or use fanout run",
			strings.Join(refused, ", "))
	}
	log.SetOutput(io.Discard) // the voice of the in-process Redis
	server, err := miniredis.Run()
	if err != nil {
		return nil, fmt.Errorf("start the in-process redis: %w", err)
	}
	d.redis = server
	m.Redis = manifest.Redis{URL: telemetry.Secret("redis://" + server.Addr() + "/0")}
	m.State = filepath.Join(target.Dir, "state.json")
	return d, nil
}

// Close ends the in-process Redis.
func (d *Demo) Close() error {
	d.redis.Close()
	return nil
}
