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
	Secret   string // of the inbox

	redis *miniredis.Miniredis
}

// NewDemo redirects a manifest in place. dir must exist; inbox is the URL of a
// receiver that verifies with Secret. It refuses handlers that write outward
// and cannot be redirected. The caller closes the Demo.
func NewDemo(m *manifest.Manifest, dir, inbox string) (*Demo, error) {
	key := make([]byte, 24)
	if _, err := rand.Read(key); err != nil {
		return nil, fmt.Errorf("make a webhook secret: %w", err)
	}
	d := &Demo{Manifest: m, Secret: "whsec_" + base64.StdEncoding.EncodeToString(key)}
	var refused []string
	for _, g := range m.Groups {
		if !g.Enabled {
			continue
		}
		switch config := g.Handler.Config.(type) {
		case handler.Redirecter:
			config.Redirect(dir, inbox, d.Secret)
		case handler.Local:
		default:
			refused = append(refused, fmt.Sprintf("groups.%s: handler %s", g.Name, g.Handler.Type))
		}
	}
	if len(refused) > 0 {
		return nil, fmt.Errorf("the demo cannot redirect what these would write or send: %s; disable them or use fanout run",
			strings.Join(refused, ", "))
	}
	log.SetOutput(io.Discard) // miniredis' only voice
	server, err := miniredis.Run()
	if err != nil {
		return nil, fmt.Errorf("start the in-process redis: %w", err)
	}
	d.redis = server
	m.Redis = manifest.Redis{URL: telemetry.Secret("redis://" + server.Addr() + "/0")}
	m.State = filepath.Join(dir, "state.json")
	return d, nil
}

// Close ends the in-process Redis.
func (d *Demo) Close() error {
	d.redis.Close()
	return nil
}
