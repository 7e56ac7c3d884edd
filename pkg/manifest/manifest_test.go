package manifest_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/fanout/pkg/manifest"
	"example.com/fanout/pkg/stream"
	"example.com/fanout/pkg/telemetry"
)

// parse reads a manifest that must be good.
func parse(t *testing.T, text string) *manifest.Manifest {
	t.Helper()
	m, faults := manifest.Parse("groups.yaml", []byte(text), options(testEnv, testFiles))
	if err := faults.Err(); err != nil {
		t.Fatalf("parse:\n%v", err)
	}
	return m
}

func TestShippedGroups(t *testing.T) {
	t.Parallel()
	m, faults := parseFile(t, "../../groups.yaml")
	if err := faults.Err(); err != nil {
		t.Fatal(err)
	}
	bare := parse(t, `{version: 1, groups: {analytics: {handler: log}}}`).Groups[0]
	analytics := m.Groups[0]
	analytics.RestartSignal, analytics.Handler, analytics.Hash, analytics.Line = 0, bare.Handler, bare.Hash, bare.Line
	if diff := cmp.Diff(bare, analytics); diff != "" {
		t.Errorf("the shipped defaults are not the built-in ones (-built-in +shipped):\n%s", diff)
	}
	want := manifest.Group{
		Name: "analytics", Line: 1, Group: "analytics", Enabled: true, Stream: "events_stream",
		Payload: manifest.Payload{Field: "event", Format: "json"}, Consumers: 2, Concurrency: 1,
		Batch: manifest.Batch{Size: 256, Bytes: 4 << 20}, Timeout: 30 * time.Second,
		MaxInFlight:   64 << 20,
		Retry:         manifest.Retry{Attempts: 5, MinBackoff: 100 * time.Millisecond, MaxBackoff: 30 * time.Second},
		MaxDeliveries: 10, OnMissing: manifest.Recreate, AuditInterval: time.Minute,
		DeadLetter:   manifest.DeadLetter{Stream: "{events_stream}:dead:analytics", MaxLen: 100_000, Overflow: manifest.HoldLetters},
		Claim:        manifest.Claim{MinIdle: time.Minute, Interval: 15 * time.Second},
		Restart:      manifest.Restart{Intensity: 5, Period: time.Minute, MinBackoff: time.Second, MaxBackoff: time.Minute},
		DrainTimeout: 20 * time.Second, Dedupe: 7 * 24 * time.Hour,
		Handler: bare.Handler, Hash: bare.Hash,
	}
	if diff := cmp.Diff(want, bare); diff != "" {
		t.Errorf("built-in defaults (-want +got):\n%s", diff)
	}
	window := m.Groups[0].Handler.Config.(*windowConfig)
	var names []string
	for _, measure := range window.Measures {
		names = append(names, measure.Name)
	}
	if got, want := strings.Join(names, " "), "trades volume open high low close vwap"; got != want {
		t.Errorf("measures are %q, want the order of the file %q", got, want)
	}
	notifications := m.Groups[2]
	if notifications.Start.Kind != manifest.StartLatest || notifications.Batch.Size != 1 || m.Groups[2].RestartSignal != 37 {
		t.Errorf("notifications = %+v", notifications)
	}
}

func TestEverything(t *testing.T) {
	t.Parallel()
	m, faults := parseFile(t, "testdata/everything.good.yaml")
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	if got := m.Redis.URL.Reveal(); got != testEnv["REDIS"] {
		t.Errorf("redis.url = %q", got)
	}
	g := m.Groups[0]
	if g.Name != "123" || g.Line != 28 || g.Group != "audit trail" || g.RestartSignal != 35 || g.Consumers != 3 || g.DrainTimeout != 0 {
		t.Errorf("group = %+v", g)
	}
	if g.Start != (manifest.Start{Kind: manifest.StartAfter, ID: stream.ID{Ms: 1763856000123}}) {
		t.Errorf("start = %v", g.Start)
	}
	if got := g.DeadLetter.Stream; got != "orders:{eu}:dead:audit trail" {
		t.Errorf("dead letters of a stream with a hash tag go to %q", got)
	}
	if first, last := m.Groups[0].DeadLetter, m.Groups[1].DeadLetter; first.Overflow != manifest.HoldLetters || last.Overflow != manifest.DropOldest {
		t.Errorf("overflow %q and %q", first.Overflow, last.Overflow)
	}
	wantFields := []pathOf{{"no", "a.no"}, {"yes", "a.yes"}, {"1", "b"}}
	if diff := cmp.Diff(&logConfig{Level: "warn", Fields: wantFields}, m.Groups[1].Handler.Config); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
	if b := m.Groups[1].Batch; b.Size != 10 || b.Linger.Wait() != 5*time.Millisecond {
		t.Errorf("batch by alias = %+v", b)
	}
	hook := m.Groups[3]
	if hook.Batch.Linger != manifest.LingerAuto || hook.Batch.Size != 1 {
		t.Errorf("batch of its own = %+v", hook.Batch)
	}
	want := &webhookConfig{
		URL: "https://example.test/a/b$c?d=$1", Secret: "whsec_c2VjcmV0c2VjcmV0", Timeout: 10 * time.Second,
		Headers: []header{{"X-Key", "hunter2hunter2"}, {"X-Two", "2"}},
		TLS:     &tlsConfig{CAFile: "/ca.pem", Min: "1.2", Pins: map[string]string{"a": "b"}},
	}
	reveal := cmp.Comparer(func(a, b telemetry.Secret) bool { return a.Reveal() == b.Reveal() })
	if diff := cmp.Diff(want, hook.Handler.Config, reveal); diff != "" {
		t.Errorf("webhook (-want +got):\n%s", diff)
	}
	if hook.Where != "stake.value > 1 and\nodds.ticks > 2\n" {
		t.Errorf("where = %q", hook.Where)
	}
}

func TestDefaultsMergeKeyByKey(t *testing.T) {
	t.Parallel()
	m := parse(t, `
version: 1
defaults:
  retry: {attempts: 7, max_backoff: 9s}
  batch: {bytes: 1MiB}
groups:
  a: {handler: log, retry: {attempts: 2}, batch: {size: 3}}
  b: {handler: log}
`)
	a, b := m.Groups[0], m.Groups[1]
	if want := (manifest.Retry{Attempts: 2, MinBackoff: 100 * time.Millisecond, MaxBackoff: 9 * time.Second}); a.Retry != want {
		t.Errorf("a.retry = %+v, want %+v", a.Retry, want)
	}
	if want := (manifest.Batch{Size: 3, Bytes: 1 << 20}); a.Batch != want {
		t.Errorf("a.batch = %+v, want %+v", a.Batch, want)
	}
	if b.Retry.Attempts != 7 || b.Batch.Size != 256 {
		t.Errorf("b has taken values of a: %+v %+v", b.Retry, b.Batch)
	}
}

// A group's own key wins over the handler's wish, which wins over defaults.
func TestPreferences(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, defaults, group string
		size, concurrency     int
	}{
		{"wish", "{}", "", 1, 16},
		{"wish over defaults", "{concurrency: 3, batch: {size: 9}}", "", 1, 16},
		{"own keys over wish", "{concurrency: 3}", "concurrency: 2, batch: {size: 8},", 8, 2},
		{"one own key", "{}", "batch: {linger: 1s}, concurrency: 5,", 1, 5},
		{"no wish", "{concurrency: 3, batch: {size: 9}}", "enabled: true,", 9, 3},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			batch := "false"
			if test.name == "no wish" {
				batch = "true"
			}
			g := parse(t, `
version: 1
defaults: `+test.defaults+`
groups:
  a: {`+test.group+` handler: {webhook: {url: "http://h/", batch: `+batch+`}}}
`).Groups[0]
			if g.Batch.Size != test.size || g.Concurrency != test.concurrency {
				t.Errorf("batch.size %d, concurrency %d; want %d, %d", g.Batch.Size, g.Concurrency, test.size, test.concurrency)
			}
		})
	}
}

// A value cannot add keys, whatever it holds.
func TestValuesInjectNothing(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"x\nstream: evil", "*a", "${OTHER}", "{a: b}", "~", "!!int 5", "# x", "'"} {
		env := map[string]string{"V": value, "OTHER": "expanded twice"}
		m, faults := manifest.Parse("g", []byte(`{version: 1, groups: {a: {handler: {log: {fields: {x: "${V}"}}}}}}`), options(env, nil))
		if err := faults.Err(); err != nil {
			t.Errorf("%q: %v", value, err)
			continue
		}
		if got := m.Groups[0].Handler.Config.(*logConfig).Fields; len(got) != 1 || got[0].Path != value {
			t.Errorf("%q became %+v", value, got)
		}
	}
}

func TestInterpolation(t *testing.T) {
	t.Parallel()
	env := map[string]string{"A": "1", "EMPTY": "", "B": "{}"}
	files := map[string]string{"/a": "text\r\n", "/dir/1": "one\n\n"}
	for _, test := range []struct{ text, want, fault string }{
		{text: "plain", want: "plain"},
		{text: "${A}", want: "1"},
		{text: "<${A}${A}>", want: "<11>"},
		{text: "${EMPTY}x", want: "x"},
		{text: "${EMPTY:-d}", want: "d"},
		{text: "${NONE:-}x", want: "x"},
		{text: "${NONE:-${A}}", want: "1"},
		{text: "${NONE:-a:-b}", want: "a:-b"},
		{text: `${NONE:-{"a":{}}}`, want: `{"a":{}}`},
		{text: "${B}}", want: "{}}"},
		{text: "$${A}", want: "${A}"},
		{text: "$$$$", want: "$$"},
		{text: "a$", want: "a$"},
		{text: "$1 $.", want: "$1 $."},
		{text: "${file:/a}", want: "text"},
		{text: "${file:/dir/${A}}", want: "one\n"},
		{text: "${NONE}", fault: "${NONE} is not set"},
		{text: "${EMPTY:?say why}", fault: "${EMPTY}: say why"},
		{text: "${NONE:?}", fault: "${NONE} is not set"},
		{text: "${A", fault: "without a matching"},
		{text: "${}", fault: "write ${NAME}"},
		{text: "${1A}", fault: "write ${NAME}"},
		{text: "${A-b}", fault: "write ${NAME}"},
		{text: "${A:+b}", fault: "write ${NAME}"},
		{text: "${file:}", fault: "write ${NAME}"},
		{text: "${file:/none}", fault: "read ${file:/none}: no such file"},
		{text: "$A", fault: "a variable is written ${NAME}"},
		{text: strings.Repeat("${X:-", 20) + strings.Repeat("}", 20), fault: "nested deeper"},
	} {
		text, err := json.Marshal(test.text)
		if err != nil {
			t.Fatal(err)
		}
		m, faults := manifest.Parse("g", []byte(`{version: 1, groups: {a: {handler: {log: {fields: {x: `+string(text)+`}}}}}}`), options(env, files))
		switch err := faults.Err(); {
		case test.fault == "" && err != nil:
			t.Errorf("%s: %v", test.text, err)
		case test.fault != "" && (err == nil || !strings.Contains(err.Error(), test.fault)):
			t.Errorf("%s: fault %v, want %q", test.text, err, test.fault)
		case err == nil:
			if got := m.Groups[0].Handler.Config.(*logConfig).Fields[0].Path; got != test.want {
				t.Errorf("%s: %q, want %q", test.text, got, test.want)
			}
		}
	}
}

func TestLoad(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "groups.yaml")
	secret := filepath.Join(dir, "table")
	write(t, secret, "trades\n")
	write(t, path, "version: 1\ngroups: {a: {stream: \"${file:"+secret+"}\", handler: log}}\n")
	m, faults := manifest.Load(path, manifest.Options{Handlers: handlers()})
	if err := faults.Err(); err != nil {
		t.Fatal(err)
	}
	if m.Groups[0].Stream != "trades" {
		t.Errorf("stream = %q", m.Groups[0].Stream)
	}

	missing := filepath.Join(dir, "missing.yaml")
	m, faults = manifest.Load(missing, manifest.Options{})
	if want := missing + ": read manifest: no such file or directory"; m != nil || faults.Error() != want {
		t.Errorf("missing file: %v, want %s", faults, want)
	}
	if _, faults = manifest.Load(dir, manifest.Options{}); faults.Err() == nil {
		t.Error("a directory is no manifest")
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	_, faults := manifest.Parse("g.yaml", []byte("version: 2\ngroups: {a: {handler: {webhook: {url: http://h/}}}}"), options(nil, nil))
	if len(faults.Errors()) != 1 || len(faults.Warnings()) != 1 {
		t.Fatalf("faults = %v", faults)
	}
	var errs manifest.Faults
	if !errors.As(faults.Err(), &errs) || len(errs) != 1 {
		t.Errorf("Err() = %v", faults.Err())
	}
	if faults.Warnings().Err() != nil {
		t.Error("warnings are an error")
	}
	text, err := json.Marshal(faults.Errors())
	if want := `[{"file":"g.yaml","line":1,"column":10,"path":"version","message":"want 1, got \"2\""}]`; err != nil || string(text) != want {
		t.Errorf("JSON %s (%v), want %s", text, err, want)
	}
}

// No handlers at all is a manifest without handlers, not a crash.
func TestNoHandlers(t *testing.T) {
	t.Parallel()
	_, faults := manifest.Parse("g", []byte("version: 1\ngroups: {a: {handler: log}, b: {}}"), manifest.Options{})
	if got := faults.Error(); !strings.Contains(got, `groups.a.handler: unknown handler "log"`) || !strings.Contains(got, "groups.b.handler: is missing") {
		t.Errorf("faults = %s", got)
	}
}

func TestRedisURL(t *testing.T) {
	t.Parallel()
	for url, fault := range map[string]string{
		"redis://127.0.0.1":                "",
		"redis://[::1]:6379/0":             "",
		"rediss://user:p%40ss@h:1/15":      "",
		"redis://:p@h:6379":                "",
		"unix:///run/redis.sock?db=1":      "",
		"unix://user:pass@/run/redis.sock": "",
		"":                                 "must not be empty",
		"127.0.0.1:6379":                   "is no URL",
		"localhost:6379":                   "must begin with",
		"redis:6379":                       "must begin with",
		"http://h":                         "must begin with",
		"redis://h:0":                      "the port must be",
		"redis://h:65536":                  "the port must be",
		"redis://h:x":                      "is no URL",
		"redis://user:p#s3cret@h:1":        "is no URL",
		"redis://user:s3cret%zz@h":         "is no URL",
		"redis://h/zero":                   "the database after the host",
		"redis://h/-1":                     "the database after the host",
		"unix://":                          "the path of the socket",
	} {
		text := fmt.Sprintf("version: 1\nredis: {url: %q}\ngroups: {a: {handler: log}}", url)
		_, faults := manifest.Parse("g", []byte(text), options(nil, nil))
		got := faults.Error()
		switch {
		case fault == "" && got != "":
			t.Errorf("%s: %s", url, got)
		case fault != "" && !strings.HasPrefix(got, "g:2:14: redis.url: "+fault):
			t.Errorf("%s: %q, want %q", url, got, fault)
		case strings.Contains(got, "s3cret"):
			t.Errorf("%s: the fault shows the password: %s", url, got)
		}
	}
}

func TestAdminListen(t *testing.T) {
	t.Parallel()
	for listen, good := range map[string]bool{
		"off": true, "127.0.0.1:7600": true, "127.8.0.1:0": true, "[::1]:80": true, "localhost:65535": true,
		"": false, ":7600": false, "0.0.0.0:1": false, "10.0.0.1:1": false, "[::]:1": false, "example.com:1": false,
		"127.0.0.1": false, "127.0.0.1:http": false, "127.0.0.1:65536": false, "127.0.0.1:-1": false, "::1:80": false,
	} {
		text := fmt.Sprintf("version: 1\nadmin: {listen: %q}\ngroups: {a: {handler: log}}", listen)
		_, faults := manifest.Parse("g", []byte(text), options(nil, nil))
		if (faults.Err() == nil) != good {
			t.Errorf("%q: %v", listen, faults)
		}
	}
}
