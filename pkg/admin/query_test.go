package admin_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"example.com/fanout/pkg/admin"
	"example.com/fanout/pkg/manifest"
	"example.com/fanout/pkg/telemetry"
)

// reloads is a process that counts its reloads that are not dry.
type reloads struct{ real atomic.Int32 }

func (r *reloads) Reload(_ context.Context, dryRun bool) (manifest.Plan, error) {
	if !dryRun {
		r.real.Add(1)
	}
	return manifest.Plan{}, nil
}

func (r *reloads) LastReload() *admin.LastReload { return nil }

func (r *reloads) Manifest() *manifest.Manifest { return &manifest.Manifest{} }

// A query that is not understood whole does nothing: a misspelt filter would let
// everything through.
func TestQueries(t *testing.T) {
	t.Parallel()
	process := &reloads{}
	stream := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "where ", r.URL.Query().Get("where")) })
	w := windowsOf{make(chan any, 100)}
	addr := serveWith(t, admin.Config{
		Controller: running("g"), Process: process, Operator: &fakeOperator{}, Feed: &telemetry.Feed{}, Windows: w, Live: lives{"g": stream}, Pprof: true,
	})
	for _, test := range []struct{ method, path, fault, hint string }{
		{"POST", "/v1/reload?dry_run=1;x", "semicolon", "POST /v1/reload takes ?dry_run="},
		{"POST", "/v1/reload?dryrun=1", `"dryrun"`, "?dry_run="},
		{"POST", "/v1/reload?dry_run", "dry_run is empty", "?dry_run="},
		{"POST", "/v1/reload?dry_run=", "dry_run is empty", "?dry_run="},
		{"POST", "/v1/reload?dry_run=1&dry_run=0", "dry_run 2 times", "?dry_run="},
		{"POST", "/v1/reload?dry_run=perhaps", "neither true nor false", "?dry_run="},
		{"GET", "/live/g?where=stake.value>=99;x", "semicolon", "GET /live/g takes ?where= mark= recent= after="},
		{"GET", "/live/g?where=stake.value%zz", "%zz", "?where="},
		{"GET", "/live/g?wher=a", `"wher"`, "?where="},
		{"GET", "/live/g?where=", "where is empty", "?where="},
		{"GET", "/v1/groups/g/windows?key=m;1", "semicolon", "GET /v1/groups/g/windows takes ?key= (several) since= until= after= limit="},
		{"GET", "/v1/groups/g/windows?key=50%", `"%"`, "?key="},
		{"GET", "/v1/groups/g/windows?keys=m-1", `"keys"`, "?key="},
		{"GET", "/v1/groups/g/windows?limit=1&limit=1", "limit 2 times", "?key="},
		{"GET", "/v1/groups/g/windows?since=-1d", "since", "?key="},
		{"GET", "/v1/groups/g/windows/keys?until=x", "until", "?by= since= until= limit="},
		{"GET", "/v1/groups/g/pending?idle=5s", `"idle"`, "?consumer="},
		{"GET", "/v1/explain/1-0?Stream=x", `"Stream"`, "?stream="},
		{"GET", "/v1/groups?group=g", `"group"`, "GET /v1/groups takes no query"},
		{"POST", "/v1/groups/g/pause?by=me", `"by"`, "takes no query"},
		{"GET", "/v1/events?recent=501", "from 0 to 500", "?group= recent="},
		{"GET", "/v1/watch?group=g", `"group"`, "?recent="},
	} {
		r := ask(t, addr, test.method, test.path)
		v := r.json(t)
		if fault, _ := v["error"].(string); r.status != http.StatusBadRequest || !strings.Contains(fault, test.fault) {
			t.Errorf("%s: %d %s, want %s", test.path, r.status, r.body, test.fault)
		}
		if hint, _ := v["hint"].(string); !strings.Contains(hint, test.hint) {
			t.Errorf("%s: hint %q, want %s", test.path, hint, test.hint)
		}
	}
	if n := process.real.Load(); n != 0 || len(w.asked) != 0 {
		t.Errorf("%d reloads, %d reads of windows", n, len(w.asked))
	}
	// A probe and a file are answered whatever is asked.
	for _, path := range []string{"/healthz?verbose", "/readyz?a;b", "/metrics?x=1", "/v1/reload?dry_run=1", "/live/g?where=a%3B&recent=5", "/debug/pprof/heap?debug=1&gc=1"} {
		method := http.MethodGet
		if strings.HasPrefix(path, "/v1/reload") {
			method = http.MethodPost
		}
		if r := ask(t, addr, method, path); r.status != http.StatusOK {
			t.Errorf("%s: %d %s", path, r.status, r.body)
		}
	}
}
