package admin

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"example.com/fanout/pkg/manifest"
)

// Process is what concerns all groups. Its methods are called from many
// goroutines at once.
type Process interface {
	// Reload reads the manifest again and waits until the groups are those of
	// it; with dryRun it changes nothing. Faults of the manifest are
	// [manifest.Faults].
	Reload(ctx context.Context, dryRun bool) (manifest.Plan, error)

	// LastReload tells what became of the latest reload, by whoever; nil: there
	// was none since the start.
	LastReload() *LastReload

	// Manifest is what runs, with defaults.
	Manifest() *manifest.Manifest
}

// LastReload is what became of the latest reload.
type LastReload struct {
	At    time.Time `json:"at"`
	Done  bool      `json:"done"`  // false: it was refused, and nothing has changed
	Error string    `json:"error"` // why it was refused, a line for each fault
}

// Reloaded is the answer of /v1/reload.
type Reloaded struct {
	DryRun bool          `json:"dry_run"`
	Plan   manifest.Plan `json:"plan"`
}

// longAnswer is how long a request may take that waits for groups to drain, or
// for many dead letters.
const longAnswer = 2 * time.Hour

// takesLong lets a request outlast the server's usual bound.
func takesLong(w http.ResponseWriter) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(longAnswer)) // without it the bound stays
}

func (s *Server) reload(w http.ResponseWriter, r *http.Request, asked *query) {
	dryRun := asked.flag("dry_run")
	if asked.refused(w) {
		return
	}
	takesLong(w)
	// A client that goes away does not leave a reload half done.
	plan, err := s.cfg.Process.Reload(context.WithoutCancel(r.Context()), dryRun)
	if err == nil {
		answer(w, http.StatusOK, Reloaded{dryRun, plan})
		return
	}
	p := problem{Error: err.Error(), Hint: "nothing has changed; correct it and reload again"}
	var faults manifest.Faults
	if errors.As(err, &faults) {
		p.Error, p.Faults = "the manifest has faults", faults
		p.Hint = "nothing has changed; fanout check shows the faults, correct them and reload again"
	}
	fail(w, http.StatusUnprocessableEntity, p)
}

func (s *Server) config(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, json.RawMessage(manifest.Effective(s.cfg.Process.Manifest())))
}
