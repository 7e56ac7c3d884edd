package admin_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"example.com/fanout/pkg/admin"
	"example.com/fanout/pkg/telemetry"
)

const secret = telemetry.Secret("0123456789-the-token")

// Whoever does not show the token gets a verdict from the probes, and nothing
// else.
func TestToken(t *testing.T) {
	t.Parallel()
	f := running("analytics")
	f.groups[0].Problems = []string{"sink unavailable"}
	f.health = admin.Health{Reasons: []string{"the loop of analytics-0 does not turn"}}
	addr := serveWith(t, admin.Config{Controller: f, Token: secret, Pprof: true, Feed: &telemetry.Feed{}})

	wrong := map[string][]string{
		"none":            nil,
		"empty":           {"Authorization", ""},
		"another":         {"Authorization", "Bearer 0123456789-the-tokem"},
		"a part":          {"Authorization", "Bearer 0123456789-the-toke"},
		"more":            {"Authorization", "Bearer 0123456789-the-token2"},
		"other case":      {"Authorization", "Bearer 0123456789-THE-TOKEN"},
		"no scheme":       {"Authorization", "0123456789-the-token"},
		"another scheme":  {"Authorization", "Basic 0123456789-the-token"},
		"in the query":    nil,
		"in a cookie":     {"Cookie", "token=0123456789-the-token"},
		"in other header": {"X-Token", "0123456789-the-token"},
	}
	for name, header := range wrong {
		query := ""
		if name == "in the query" {
			query = "?token=0123456789-the-token&access_token=0123456789-the-token"
		}
		for _, path := range []string{"/v1/groups", "/v1/groups/analytics", "/v1/events", "/metrics", "/debug/pprof", "/debug/pprof/heap", "/nowhere"} {
			got := ask(t, addr, "GET", path+query, header...)
			if got.status != 401 || got.header.Get("WWW-Authenticate") == "" || strings.Contains(got.body, "analytics") || got.json(t)["hint"] == "" {
				t.Errorf("%s: GET %s answers %d %s", name, path, got.status, got.body)
			}
		}
		if got := ask(t, addr, "POST", "/v1/groups/analytics/restart"+query, header...); got.status != 401 {
			t.Errorf("%s: a restart answers %d", name, got.status)
		}
		for path, want := range map[string]string{"/healthz": "not alive\n", "/readyz": "not ready\n"} {
			got := ask(t, addr, "GET", path+query, append([]string{"Accept", "application/json"}, header...)...)
			if got.status != 503 || got.body != want {
				t.Errorf("%s: GET %s answers %d %q", name, path, got.status, got.body)
			}
		}
	}
	if got := f.restarts(); got != "" {
		t.Errorf("strangers have restarted %s", got)
	}

	for _, header := range []string{"Bearer 0123456789-the-token", "bearer  0123456789-the-token "} {
		for path, want := range map[string]int{"/v1/groups": 200, "/metrics": 200, "/debug/pprof/goroutine": 200, "/readyz": 503, "/nowhere": 404} {
			if got := ask(t, addr, "GET", path, "Authorization", header); got.status != want {
				t.Errorf("with the token GET %s answers %d %s, want %d", path, got.status, got.body, want)
			}
		}
	}
	if got := ask(t, addr, "GET", "/readyz", "Authorization", "Bearer 0123456789-the-token"); !strings.Contains(got.body, "sink unavailable") {
		t.Errorf("with the token the probe tells %q", got.body)
	}
	client := admin.NewClient(addr)
	if _, err := client.Groups(t.Context()); err == nil || !strings.Contains(err.Error(), "FANOUT_TOKEN") {
		t.Errorf("a client without the token: %v", err)
	}
	if err := client.WithToken(secret).Restart(t.Context(), "analytics"); err != nil {
		t.Errorf("a client with the token: %v", err)
	}
}

func TestOpenMetrics(t *testing.T) {
	t.Parallel()
	addr := serveWith(t, admin.Config{Controller: running("g"), Token: secret, MetricsOpen: true})
	if got := ask(t, addr, "GET", "/metrics"); got.status != 200 {
		t.Errorf("/metrics answers %d", got.status)
	}
	if got := ask(t, addr, "GET", "/v1/groups"); got.status != 401 {
		t.Errorf("/v1/groups answers %d", got.status)
	}
}

// The token in a file may change while the server runs. While there is none,
// nobody gets in.
func TestTokenFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "token")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var log bytes.Buffer
	addr := serveWith(t, admin.Config{
		Controller: running("g"), TokenFile: path, Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	for _, tt := range []struct {
		text, token string
		want        int
	}{
		{"", "", 401},
		{" \n", "", 401},
		{"short", "short", 401},
		{"first-token-in-file\n", "first-token-in-file", 200},
		{"second-token-in-file", "first-token-in-file", 401},
		{"second-token-in-file", "second-token-in-file", 200},
		{strings.Repeat("x", 5000), strings.Repeat("x", 4096), 401},
	} {
		write(tt.text)
		if got := ask(t, addr, "GET", "/v1/groups", "Authorization", "Bearer "+tt.token); got.status != tt.want {
			t.Errorf("with %.20q in the file and %.20q shown the answer is %d, want %d", tt.text, tt.token, got.status, tt.want)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if got := ask(t, addr, "GET", "/v1/groups", "Authorization", "Bearer second-token-in-file"); got.status != 401 {
		t.Errorf("without a file the answer is %d", got.status)
	}
	if text := log.String(); !strings.Contains(text, "admin token cannot be read") || strings.Contains(text, "token-in-file") {
		t.Errorf("the log is\n%s", text)
	}
}

func TestReadOnly(t *testing.T) {
	t.Parallel()
	f := running("g")
	addr := serveWith(t, admin.Config{Controller: f, ReadOnly: true})
	for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "BREW"} {
		got := ask(t, addr, method, "/v1/groups/g/restart")
		if got.status != 403 || !strings.Contains(got.body, "admin.read_only") {
			t.Errorf("%s answers %d %s", method, got.status, got.body)
		}
	}
	for _, method := range []string{"GET", "HEAD"} {
		if got := ask(t, addr, method, "/v1/groups/g"); got.status != 200 {
			t.Errorf("%s answers %d", method, got.status)
		}
	}
	if f.restarts() != "" {
		t.Error("the group was restarted")
	}
}

func TestHostNames(t *testing.T) {
	t.Parallel()
	addr := serveWith(t, admin.Config{Controller: running("g"), Hosts: []string{"fanout.example"}})
	for host, want := range map[string]int{
		"fanout.example": 200, "FANOUT.example.:7600": 200, "localhost": 200,
		"x.fanout.example": 403, "fanout.example.evil": 403, "evil.example": 403,
	} {
		if got := ask(t, addr, "GET", "/v1/groups", "Host", host); got.status != want {
			t.Errorf("Host %s answers %d, want %d", host, got.status, want)
		}
	}
}

// Profiles are there only where they are switched on.
func TestPprof(t *testing.T) {
	t.Parallel()
	if got := ask(t, serve(t, running("g")), "GET", "/debug/pprof/heap"); got.status != 404 {
		t.Errorf("without pprof: %d", got.status)
	}
	addr := serveWith(t, admin.Config{Controller: running("g"), Pprof: true})
	for path, want := range map[string]int{"/debug/pprof": 200, "/debug/pprof/heap": 200, "/debug/pprof/cmdline": 200, "/debug/pprof/nonsense": 404} {
		if got := ask(t, addr, "GET", path); got.status != want {
			t.Errorf("%s answers %d, want %d", path, got.status, want)
		}
	}
	for path, hint := range map[string]string{
		"/debug/pprof/nonsense":             "heap",
		"/debug/pprof/profile?seconds=x":    "from 0 to 300",
		"/debug/pprof/profile?seconds=NaN":  "from 0 to 300",
		"/debug/pprof/trace?seconds=1e9":    "from 0 to 300",
		"/debug/pprof/goroutine?seconds=-1": "from 0 to 300",
	} {
		got := ask(t, addr, "GET", path)
		if answer := got.json(t); got.status/100 != 4 || !strings.Contains(fmt.Sprint(answer["hint"]), hint) {
			t.Errorf("%s answers %d %s", path, got.status, got.body)
		}
	}
}
