package integration

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"example.com/fanout/test/integration/faulty"
)

const adminToken = "integration-0123456789"

// adminManifest is a manifest with keys of admin beside listen.
func (s *site) adminManifest(keys, groups string) *site {
	s.t.Helper()
	return s.file("groups.yaml", `version: 1
redis: {url: "${REDIS_URL}"}
admin: {listen: "${FANOUT_ADMIN}", `+keys+`}
groups:
`+groups)
}

// request asks the admin server; header holds pairs, of which Host is the
// request's.
func (p *process) request(method, path, body string, header ...string) (status int, answer string) {
	p.t.Helper()
	req, err := http.NewRequest(method, "http://"+p.admin+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
			continue
		}
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// Requests of strangers get nothing: from another origin, with a foreign Host,
// without or with a wrong token. Errors say what to do.
func TestAdminGuards(t *testing.T) {
	t.Parallel()
	s := newSite(t).adminManifest(`token: "`+adminToken+`", pprof: true`, faultyGroup("a"))
	p := s.run().ready()
	good := []string{"Authorization", "Bearer " + adminToken}
	paths := map[string]string{
		"/v1/groups": "GET", "/v1/groups/a": "GET", "/metrics": "GET", "/v1/events": "GET", "/v1/config": "GET", "/debug/pprof/heap": "GET",
		"/v1/groups/a/dead": "GET", "/v1/groups/a/position": "GET",
		"/v1/groups/a/restart": "POST", "/v1/groups/a/pause": "POST", "/v1/reload": "POST",
	}
	for name, header := range map[string][]string{
		"no token":             nil,
		"wrong token":          {"Authorization", "Bearer " + adminToken + "x"},
		"another origin":       append([]string{"Origin", "https://evil.example"}, good...),
		"another site":         append([]string{"Sec-Fetch-Site", "cross-site"}, good...),
		"a foreign host":       append([]string{"Host", "evil.example"}, good...),
		"a host like our name": append([]string{"Host", "127.0.0.1.evil.example:7600"}, good...),
	} {
		for path, method := range paths {
			status, body := p.request(method, path, "", header...)
			var problem struct{ Error, Hint string }
			if status != 401 && status != 403 || json.Unmarshal([]byte(body), &problem) != nil || problem.Error == "" || problem.Hint == "" ||
				strings.Contains(body, eventsStream) || strings.Contains(body, adminToken) {
				t.Errorf("%s: %s %s answers %d %.200s", name, method, path, status, body)
			}
		}
	}
	if status, body := p.request("GET", "/readyz", "", "Accept", "application/json"); status != 200 || body != "ready\n" {
		t.Errorf("a stranger's probe gets %d %s", status, body)
	}
	g, err := p.groupOf("a", good...)
	if err != nil || g.Incarnation != 1 || g.State != "running" {
		t.Errorf("strangers have changed the group: %+v, %v", g, err)
	}
	for path, method := range paths {
		if method == "GET" && path != "/v1/events" {
			if status, body := p.request(method, path, "", good...); status != 200 {
				t.Errorf("with the token %s answers %d %.200s", path, status, body)
			}
		}
	}

	// The command line takes the token from the manifest, the environment or a file.
	s.file("token", adminToken+"\n").file("wrong", "not-the-token-at-all\n")
	for _, tt := range []struct {
		env  string
		args []string
		code int
	}{
		{"", nil, 0},
		{"", []string{"--admin", p.admin}, 1},
		{"", []string{"--admin", "http://" + p.admin, "--token-file", "token"}, 0},
		{adminToken, []string{"--admin", p.admin}, 0},
		{"wrong-wrong-wrong-wrong", nil, 1},
		{"wrong-wrong-wrong-wrong", []string{"--token-file", "token"}, 0},
		{adminToken, []string{"--token-file", "wrong"}, 1},
		{adminToken, []string{"--token-file", "nowhere"}, 1},
	} {
		cmd := s.command(faultyBinary, p.admin, append([]string{"status"}, tt.args...)...)
		cmd.Env = append(cmd.Env, "FANOUT_TOKEN="+tt.env)
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		_ = cmd.Run()
		if code := cmd.ProcessState.ExitCode(); code != tt.code || strings.Contains(out.String(), adminToken) ||
			tt.code == 1 && !strings.Contains(out.String(), "oken") {
			t.Errorf("status %v with FANOUT_TOKEN=%q ended with %d, want %d:\n%s", tt.args, tt.env, code, tt.code, &out)
		}
	}
	p.stop()
	if strings.Contains(p.log.String(), adminToken) {
		t.Errorf("the log shows the token:\n%s", p.log.tail(50))
	}
}

// groupOf is groupStatus with headers.
func (p *process) groupOf(name string, header ...string) (g struct {
	State       string
	Incarnation int64
}, err error) {
	_, body := p.request("GET", "/v1/groups/"+name, "", header...)
	return g, json.Unmarshal([]byte(body), &g)
}

// Off loopback the server needs a token, or nothing starts.
func TestAdminOffLoopback(t *testing.T) {
	t.Parallel()
	s := newDir(t).file("groups.yaml", "version: 1\nadmin:\n  listen: 0.0.0.0:0\ngroups:\n  a: {handler: log}\n")
	for _, args := range [][]string{{"run"}, {"check"}} {
		stdout, stderr, code := command(t, s, args...)
		if code == 0 || !strings.Contains(stdout+stderr, "groups.yaml:3:11: admin.listen: is not on loopback") || !strings.Contains(stdout+stderr, "admin.token_file") {
			t.Errorf("%v ended with %d: %s%s", args, code, stdout, stderr)
		}
	}
}

func TestAdminReadOnly(t *testing.T) {
	t.Parallel()
	s := newSite(t).adminManifest("read_only: true", faultyGroup("a"))
	p := s.run().ready()
	for path, method := range map[string]string{
		"/v1/groups/a/restart": "POST", "/v1/groups/a/pause": "POST", "/v1/groups/a/stop": "POST", "/v1/reload": "POST", "/v1/groups/a/position": "PUT", "/v1/groups/a/dead": "DELETE",
	} {
		if status, body := p.request(method, path, "{}"); status != 403 || !strings.Contains(body, "admin.read_only") {
			t.Errorf("%s %s answers %d %s", method, path, status, body)
		}
	}
	_, stderr, code := commandAt(s, p.admin, "pause", "a")
	if code != 1 || !strings.Contains(stderr, "admin.read_only") {
		t.Errorf("pause ended with %d: %s", code, stderr)
	}
	if _, stderr, code := commandAt(s, p.admin, "status"); code != 0 {
		t.Errorf("status ended with %d: %s", code, stderr)
	}
	if g, err := p.groupOf("a"); err != nil || g.Incarnation != 1 || g.State != "running" {
		t.Errorf("the group has changed: %+v, %v", g, err)
	}
}

// A reload by request waits and answers with the plan, or with the faults and
// their lines; a dry run changes nothing.
func TestReloadByRequest(t *testing.T) {
	t.Parallel()
	s := newSite(t).manifest(faultyGroup("a") + faultyGroup("b"))
	p := s.run().ready()
	s.manifest(faultyGroup("a") + faultyGroup("c"))
	stdout, stderr, code := commandAt(s, p.admin, "reload", "--dry-run")
	for _, want := range []string{"stop    b\n", "start   c\n", "keep    a\n", "warning: c has the stream and the handler of b"} {
		if code != 0 || !strings.Contains(stdout, want) {
			t.Errorf("the dry run ended with %d and has no %q:\n%s%s", code, want, stdout, stderr)
		}
	}
	if _, err := p.groupStatus("b"); err != nil {
		t.Error(err)
	}
	if status, body := p.request("GET", "/v1/groups/b", ""); status != 200 {
		t.Errorf("the dry run has changed something: %d %s", status, body)
	}
	stdout, stderr, code = commandAt(s, p.admin, "reload", "-o", "json")
	var done struct {
		DryRun bool                `json:"dry_run"`
		Plan   map[string][]string `json:"plan"`
	}
	if err := json.Unmarshal([]byte(stdout), &done); err != nil || code != 0 || done.DryRun || fmt.Sprint(done.Plan["start"], done.Plan["stop"]) != "[c] [b]" {
		t.Errorf("the reload ended with %d, %v: %s%s", code, err, stdout, stderr)
	}
	if status, _ := p.request("GET", "/v1/groups/b", ""); status != 404 {
		t.Errorf("after the reload b is still there: %d", status)
	}
	if status, _ := p.request("GET", "/v1/groups/c", ""); status != 200 {
		t.Errorf("after the reload c is not there: %d", status)
	}

	s.manifest(faultyGroup("a") + "  d:\n    consumer: 3\n    handler: {nonsense: {}}\n")
	_, stderr, code = commandAt(s, p.admin, "reload", "--admin", p.admin)
	for _, want := range []string{"groups.yaml:", "groups.d.consumer: unknown key", `unknown handler "nonsense"`, "nothing has changed"} {
		if code != 1 || !strings.Contains(stderr, want) {
			t.Errorf("a refused reload ended with %d and does not say %q:\n%s", code, want, stderr)
		}
	}
	if status, body := p.request("POST", "/v1/reload?dry_run=perhaps", ""); status != 400 || !strings.Contains(body, "hint") {
		t.Errorf("nonsense answers %d %s", status, body)
	}
	status, body := p.request("POST", "/v1/reload", "")
	var refused struct {
		Faults []struct {
			Line    int
			Message string
		}
	}
	if err := json.Unmarshal([]byte(body), &refused); err != nil || status != 422 || len(refused.Faults) != 2 || refused.Faults[0].Line == 0 {
		t.Errorf("a refused reload answers %d %s", status, body)
	}
	stdout, _, _ = commandAt(s, p.admin, "events", "-o", "json", "--admin", p.admin)
	if !strings.Contains(stdout, `"kind":"reload","text":"stop    b;`) || !strings.Contains(stdout, `"kind":"reload","text":"refused: `) {
		t.Errorf("the events do not tell the reloads:\n%s", stdout)
	}
	if got := p.metric("fanout_config_last_reload_successful"); got != 0 {
		t.Errorf("the metric of the last reload is %v", got)
	}
}

// The configuration that runs is shown with its defaults and without secrets.
func TestConfigIsShown(t *testing.T) {
	t.Parallel()
	const secret = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0"
	s := newSite(t).adminManifest(`token: "`+adminToken+`"`, faultyGroup("a")+`  hook:
    enabled: false
    handler: {webhook: {url: "http://user:`+secret+`@127.0.0.1:1/`+secret+`", secret: whsec_`+secret+`, headers: {X-Key: `+secret+`}}}
`)
	p := s.run().ready()
	status, body := p.request("GET", "/v1/config", "", "Authorization", "Bearer "+adminToken)
	var config struct {
		Redis  map[string]any
		Admin  map[string]any
		Groups map[string]map[string]any
	}
	if err := json.Unmarshal([]byte(body), &config); err != nil || status != 200 {
		t.Fatalf("%d, %v: %s", status, err, body)
	}
	if config.Groups["a"]["timeout"] != "30s" || config.Groups["a"]["consumers"] != 2.0 || config.Groups["hook"]["enabled"] != false {
		t.Errorf("the groups are %+v", config.Groups)
	}
	if config.Admin["token"] != "***" || config.Redis["url"] != "***" {
		t.Errorf("secrets: %+v %+v", config.Admin, config.Redis)
	}
	hook, ok := config.Groups["hook"]["handler"].(map[string]any)["webhook"].(map[string]any)
	if !ok || hook["url"] != "***" || hook["secret"] != "***" || fmt.Sprint(hook["headers"]) != "map[X-Key:***]" {
		t.Errorf("the handler is %+v", config.Groups["hook"]["handler"])
	}
	if strings.Contains(body, secret) || strings.Contains(body, adminToken) {
		t.Errorf("a secret is shown: %s", body)
	}
}

// Dead letters over HTTP: the same as the commands.
func TestLettersByRequest(t *testing.T) {
	t.Parallel()
	s := newSite(t).manifest(faultyGroup("a"))
	s.board.Tell("a", faulty.Verdict{Act: faulty.Permanent})
	p := s.run().ready()
	s.publish(events(trades(1, 5))...)
	p.above(4, "fanout_dead_letters_total", `group="a"`)

	type page struct {
		Stream  string
		Next    string
		Letters []struct {
			LetterID string `json:"letter_id"`
			Class    string
			Fields   []any
		}
	}
	list := func(query string) (got page) {
		t.Helper()
		status, body := p.request("GET", "/v1/groups/a/dead?"+query, "")
		if err := json.Unmarshal([]byte(body), &got); err != nil || status != 200 {
			t.Fatalf("%s: %d, %v: %s", query, status, err, body)
		}
		return got
	}
	all := list("")
	if len(all.Letters) != 5 || all.Next != "" || all.Letters[0].Class != "permanent" || all.Stream != "{"+eventsStream+"}:dead:a" {
		t.Fatalf("the letters are %+v", all)
	}
	first := list("limit=2")
	rest := list("limit=3&from=" + url.QueryEscape(first.Next))
	if len(first.Letters) != 2 || len(rest.Letters) != 3 || rest.Next != "" || rest.Letters[0].LetterID != all.Letters[2].LetterID {
		t.Errorf("in pages they are %+v and %+v", first, rest)
	}
	if got := list("reason=timeout"); len(got.Letters) != 0 {
		t.Errorf("%d timeouts", len(got.Letters))
	}
	id := all.Letters[0].LetterID
	if status, body := p.request("GET", "/v1/groups/a/dead/"+id, ""); status != 200 || !strings.Contains(body, `"fields":[{"name":"event","value":"{\"trade_id\"`) {
		t.Errorf("one letter is %d %s", status, body)
	}
	for _, tt := range []struct {
		method, path, body string
		status             int
		says               string
	}{
		{"GET", "/v1/groups/b/dead", "", 404, "unknown group"},
		{"GET", "/v1/groups/a/dead/1-1", "", 404, "no such dead letter"},
		{"GET", "/v1/groups/a/dead/x", "", 400, "want the ID of a letter"},
		{"GET", "/v1/groups/a/dead?since=yesterday", "", 400, "want a time"},
		{"GET", "/v1/groups/a/dead?limit=0", "", 400, "from 1 to 1000"},
		{"POST", "/v1/groups/a/dead/replay", "", 400, "say which letters"},
		{"POST", "/v1/groups/a/dead/replay", `{"all": true, "rat": 1}`, 400, "unknown field"},
		{"POST", "/v1/groups/a/dead/replay", `{"all": true, "rate": -1}`, 400, "rate"},
		{"POST", "/v1/groups/a/dead/replay", `[`, 400, "not understood"},
		{"DELETE", "/v1/groups/a/dead", `{}`, 400, "say which letters"},
		{"DELETE", "/v1/groups/a/dead", `{"ids": []}`, 400, "empty list"},
		{"POST", "/v1/groups/a/dead/replay", `{"reasons": [], "dry_run": true}`, 400, "empty list"},
		{"DELETE", "/v1/groups/a/dead", `{"all": true, "dry_run": true}{"dry_run": false}`, 400, "behind the object"},
		{"DELETE", "/v1/groups/a/dead", `{"ids": ["1-1"]}`, 404, "nothing was done"},
		{"PUT", "/v1/groups/a/dead", `{}`, 405, "use DELETE, GET, HEAD"},
		{"POST", "/v1/groups/a/dead/replay", `{"all": true, "dry_run": true}`, 200, `{"dry_run":true,"letters":5,"last":"` + all.Letters[4].LetterID + `"}`},
		{"DELETE", "/v1/groups/a/dead", `{"all": true, "to": "` + all.Letters[2].LetterID + `", "dry_run": true}`, 200, `{"dry_run":true,"letters":3,"last":"` + all.Letters[2].LetterID + `"}`},
		{"DELETE", "/v1/groups/a/dead", `{"reasons": ["timeout"]}`, 200, `{"dry_run":false,"letters":0,"last":""}`},
		{"DELETE", "/v1/groups/a/dead", `{"ids": ["` + id + `"], "dry_run": true}`, 200, `{"dry_run":true,"letters":1,"last":"` + id + `"}`},
		{"DELETE", "/v1/groups/a/dead", `{"ids": ["` + id + `"]}`, 200, `{"dry_run":false,"letters":1,"last":"` + id + `"}`},
	} {
		if status, body := p.request(tt.method, tt.path, tt.body); status != tt.status || !strings.Contains(body, tt.says) {
			t.Errorf("%s %s %s answers %d %s, want %d with %s", tt.method, tt.path, tt.body, status, body, tt.status, tt.says)
		}
	}
	if n := len(list("").Letters); n != 4 {
		t.Errorf("%d letters are left, want 4", n)
	}
	s.board.Steer("a", nil)
	if status, body := p.request("POST", "/v1/groups/a/dead/replay", `{"reasons": ["permanent"]}`); status != 200 || !strings.Contains(body, `"letters":4`) {
		t.Errorf("a replay answers %d %s", status, body)
	}
	eventually(t, 20*time.Second, "handle the replayed letters", func() error {
		if n := len(s.board.Handled("a")); n != 4 {
			return fmt.Errorf("%d are handled", n)
		}
		if n := len(list("").Letters); n != 0 {
			return fmt.Errorf("%d letters are left", n)
		}
		return nil
	})
}
