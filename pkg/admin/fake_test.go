package admin_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/fanout/pkg/admin"
	"example.com/fanout/pkg/telemetry"
)

// fake is a Controller whose answers a test sets before it serves.
type fake struct {
	groups     []admin.GroupStatus
	health     admin.Health
	restartErr error

	mu        sync.Mutex
	restarted []string
}

func (f *fake) Groups() []admin.GroupStatus { return f.groups }
func (f *fake) Health() admin.Health        { return f.health }

func (f *fake) Restart(_ context.Context, group string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !slices.ContainsFunc(f.groups, func(g admin.GroupStatus) bool { return g.Name == group }) {
		return fmt.Errorf("restart: %w", admin.ErrUnknownGroup)
	}
	if f.restartErr != nil {
		return f.restartErr
	}
	f.restarted = append(f.restarted, group)
	return nil
}

func (f *fake) restarts() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return strings.Join(f.restarted, " ")
}

// running is a controller of groups that run.
func running(names ...string) *fake {
	f := &fake{health: admin.Health{Alive: true}}
	for _, name := range names {
		f.groups = append(f.groups, admin.GroupStatus{Name: name, State: telemetry.StateRunning})
	}
	return f
}

// serve runs a server with that controller and returns its address.
func serve(t *testing.T, c admin.Controller) string {
	t.Helper()
	return serveWith(t, admin.Config{Controller: c})
}

// serveWith runs a server and returns its address.
func serveWith(t *testing.T, cfg admin.Config) string {
	t.Helper()
	l, err := admin.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serveOn(t, cfg, l)
}

// serveOn runs a server with metrics and returns its address on this machine.
func serveOn(t *testing.T, cfg admin.Config, l net.Listener) string {
	t.Helper()
	cfg.Metrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "fanout_up 1\n") })
	server := admin.New(cfg)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx, l) }()
	t.Cleanup(func() {
		stop()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("Serve: %v", err)
			}
		case <-time.After(10 * time.Second):
			t.Error("Serve does not end")
		}
	})
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return net.JoinHostPort("127.0.0.1", port)
}

// reply is what a server answered.
type reply struct {
	status int
	header http.Header
	body   string
}

// json decodes the body; a body that is not JSON fails the test.
func (r reply) json(t *testing.T) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal([]byte(r.body), &v); err != nil {
		t.Fatalf("answer is not JSON: %v: %s", err, r.body)
	}
	if ct := r.header.Get("Content-Type"); ct != "application/json" {
		t.Errorf("Content-Type of JSON is %q", ct)
	}
	return v
}

// ask sends one request; header holds pairs, of which Host is the request's.
func ask(t *testing.T, addr, method, path string, header ...string) reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+addr+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
			continue
		}
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{resp.StatusCode, resp.Header, string(body)}
}
