package app_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/fanout/pkg/app"
	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/manifest"
	"example.com/fanout/pkg/sink/builtin"
	"example.com/fanout/pkg/telemetry"
	"example.com/fanout/test/redistest"
)

// logBook is a log that a test reads while it is written.
type logBook struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// rig is an app over the handlers of a test.
type rig struct {
	t        *testing.T
	registry *handler.Registry
	dir      string
	log      logBook
	app      *app.App
	ended    chan error
	stop     context.CancelFunc

	mu   sync.Mutex
	text string // of the manifest
}

func newRig(t *testing.T) *rig {
	t.Helper()
	return &rig{t: t, registry: builtin.Registry(), dir: t.TempDir()}
}

// manifest sets what is loaded next. Its head is the same in all tests.
func (r *rig) manifest(url, groups string) *rig {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.text = fmt.Sprintf(`version: 1
redis: {url: "%s"}
admin: {listen: "off"}
state: %s
defaults:
  claim: {min_idle: 60s, interval: 200ms}
  drain_timeout: 200ms
groups:
%s`, url, r.state(), groups)
	return r
}

func (r *rig) state() string { return filepath.Join(r.dir, "data", "state.json") }

func (r *rig) load() (*manifest.Manifest, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m, faults := manifest.Parse("groups.yaml", []byte(r.text), manifest.Options{Handlers: app.Handlers(r.registry)})
	return m, faults.Err()
}

// start serves the app. It is stopped at the end of the test at the latest.
func (r *rig) start(change ...func(*app.Config)) *rig {
	r.t.Helper()
	m, err := r.load()
	if err != nil {
		r.t.Fatal(err)
	}
	logger, err := telemetry.NewLogger(&r.log, "debug", "text", false)
	if err != nil {
		r.t.Fatal(err)
	}
	cfg := app.Config{Manifest: m, Load: r.load, Instance: "test", Version: "v0", Logger: logger}
	for _, c := range change {
		c(&cfg)
	}
	if r.app, err = app.New(cfg); err != nil {
		r.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(r.t.Context())
	r.stop, r.ended = stop, make(chan error, 1)
	a, ended := r.app, r.ended
	go func() {
		ended <- a.Serve(ctx)
		close(ended)
	}()
	r.t.Cleanup(func() {
		stop()
		<-ended
		if r.t.Failed() {
			r.t.Logf("log:\n%s", r.log.String())
		}
	})
	return r
}

// end waits for the end and returns what Serve has.
func (r *rig) end() error {
	r.t.Helper()
	select {
	case err := <-r.ended:
		return err
	case <-time.After(20 * time.Second):
		r.t.Fatal("the app does not end")
		return nil
	}
}

func (r *rig) eventually(what string, done func() bool) {
	r.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			r.t.Fatalf("no %s within 20s", what)
		}
	}
}

// logs waits for a line of the log.
func (r *rig) logs(part string) {
	r.t.Helper()
	r.eventually(fmt.Sprintf("line %q", part), func() bool { return strings.Contains(r.log.String(), part) })
}

// running are the groups that run.
func (r *rig) running() string {
	var names []string
	for _, s := range r.app.Status() {
		if s.State == telemetry.StateRunning {
			names = append(names, s.Manifest.Name)
		}
	}
	return strings.Join(names, " ")
}

func (r *rig) runs(names string) {
	r.t.Helper()
	r.eventually("running "+names, func() bool { return r.running() == names })
}

// add appends an entry that every group can decode.
func add(t *testing.T, s *redistest.Server, n int) {
	t.Helper()
	pipe := s.Client().Pipeline()
	for range n {
		pipe.Do(t.Context(), "XADD", "events_stream", "*", "event", `{"a":1}`)
	}
	if _, err := pipe.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
}

const quiet = "  %s:\n    handler: {log: {level: none}}\n"

func groups(names ...string) string {
	var b strings.Builder
	for _, name := range names {
		fmt.Fprintf(&b, quiet, name)
	}
	return b.String()
}

func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// scripted is a handler that does what a test says.
type scripted struct {
	handle func(context.Context, *handler.Batch) error
}

func (s *scripted) Check() []handler.Finding                 { return nil }
func (s *scripted) New(handler.Env) (handler.Handler, error) { return s, nil }
func (s *scripted) Close() error                             { return nil }
func (s *scripted) Handle(ctx context.Context, b *handler.Batch) error {
	if s.handle == nil {
		return nil
	}
	return s.handle(ctx, b)
}
