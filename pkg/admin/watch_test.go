package admin_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"example.com/fanout/pkg/admin"
	"example.com/fanout/pkg/telemetry"
)

// sent is one server-sent event.
type sent struct {
	name string
	data map[string]any
}

// watch follows a stream of the server; next gives its events.
func watch(t *testing.T, url string, header ...string) (next func() sent) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); resp.Body.Close() })
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/event-stream" {
		body, _ := io.ReadAll(resp.Body)
		t.Fatalf("%s answers %s: %s", url, resp.Status, body)
	}
	in := bufio.NewScanner(resp.Body)
	in.Buffer(nil, 4<<20)
	return func() sent {
		t.Helper()
		name := ""
		for in.Scan() {
			line := in.Text()
			if n, ok := strings.CutPrefix(line, "event: "); ok {
				name = n
			}
			if text, ok := strings.CutPrefix(line, "data: "); ok {
				s := sent{name: name}
				if err := json.Unmarshal([]byte(text), &s.data); err != nil {
					t.Fatal(err)
				}
				return s
			}
		}
		t.Fatalf("the stream has ended: %v", in.Err())
		return sent{}
	}
}

// A client is told of the server, then of all groups again and again, and of what
// happens.
func TestWatch(t *testing.T) {
	t.Parallel()
	feed := &telemetry.Feed{}
	feed.Say("analytics", telemetry.EventState, "before")
	addr := serveWith(t, admin.Config{Controller: running("analytics", "tape"), Feed: feed, Version: "v7", ReadOnly: true})
	next := watch(t, "http://"+addr+"/v1/watch?recent=5")
	if s := next(); s.name != "server" || s.data["version"] != "v7" || s.data["read_only"] != true || s.data["time"] == "" {
		t.Errorf("the first word is %v", s)
	}
	groups, events := 0, 0
	for groups < 2 || events < 2 {
		switch s := next(); s.name {
		case "groups":
			list := s.data["groups"].([]any)
			if len(list) != 2 || list[0].(map[string]any)["name"] != "analytics" || list[1].(map[string]any)["losses"] == nil || s.data["time"] == "" {
				t.Fatalf("the groups are %v", s.data)
			}
			if groups++; groups == 1 {
				feed.Say("tape", telemetry.EventError, "after")
			}
		case "":
			events++
			if want := map[int]string{1: "before", 2: "after"}[events]; s.data["text"] != want {
				t.Errorf("event %d is %v, want %s", events, s.data, want)
			}
		default:
			t.Errorf("got %v", s)
		}
	}
	for _, bad := range []string{"x", "-1", "501"} {
		if r := ask(t, addr, "GET", "/v1/watch?recent="+bad); r.status != http.StatusBadRequest || r.json(t)["hint"] == "" {
			t.Errorf("recent=%s: %d %s", bad, r.status, r.body)
		}
	}
}

// The stream ends with the server, and does not hold its end up.
func TestWatchEnds(t *testing.T) {
	t.Parallel()
	l, err := admin.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	stream := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, "data: {}\n\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		fmt.Fprint(w, "event: end\ndata: {}\n\n") // there is still time for it
	})
	server := admin.New(admin.Config{Controller: running("a"), Feed: &telemetry.Feed{}, Live: lives{"a": stream}})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx, l) }()
	watch(t, "http://"+l.Addr().String()+"/v1/watch")()
	live := watch(t, "http://"+l.Addr().String()+"/live/a")
	live()
	stop()
	if s := live(); s.name != "end" {
		t.Errorf("the last word is %v", s)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the server does not end")
	}
}

// lives are the streams of groups.
type lives map[string]http.Handler

func (l lives) Live(group string) (http.Handler, error) {
	switch h, ok := l[group]; {
	case !ok:
		return nil, fmt.Errorf("%w %q", admin.ErrUnknownGroup, group)
	case h == nil:
		return nil, &admin.Refused{Reason: group + " streams nothing", Hint: "declare one that does"}
	default:
		return h, nil
	}
}

func TestLive(t *testing.T) {
	t.Parallel()
	stream := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "where ", r.URL.Query().Get("where")) })
	addr := serveWith(t, admin.Config{Controller: running("tape", "analytics"), Live: lives{"tape": stream, "analytics": nil}, Token: "0123456789abcdef"})
	known := []string{"Authorization", "Bearer 0123456789abcdef"}
	if r := ask(t, addr, "GET", "/live/tape?where=x", known...); r.status != http.StatusOK || r.body != "where x" {
		t.Errorf("%d %s", r.status, r.body)
	}
	for _, test := range []struct {
		path   string
		header []string
		status int
		hint   string
	}{
		{"/live/tape", nil, http.StatusUnauthorized, "Authorization"},
		{"/live/tape", append([]string{"Host", "evil.example"}, known...), http.StatusForbidden, "admin.hosts"},
		{"/live/tape", append([]string{"Origin", "http://evil.example"}, known...), http.StatusForbidden, "command line"},
		{"/live/tap", known, http.StatusNotFound, "tape"},
		{"/live/analytics", known, http.StatusConflict, "declare"},
	} {
		r := ask(t, addr, "GET", test.path, test.header...)
		if hint, _ := r.json(t)["hint"].(string); r.status != test.status || !strings.Contains(hint, test.hint) {
			t.Errorf("%s %v: %d %s", test.path, test.header, r.status, r.body)
		}
	}
}

// The page needs no token, but the names and origins of everything else.
func TestPage(t *testing.T) {
	t.Parallel()
	file := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Security-Policy", "of the page")
		fmt.Fprint(w, "the page")
	})
	addr := serveWith(t, admin.Config{Controller: running("a"), Token: "0123456789abcdef", Page: map[string]http.Handler{"/": file, "/page/main.js": file}})
	for _, path := range []string{"/", "/page/main.js"} {
		if r := ask(t, addr, "GET", path); r.status != http.StatusOK || r.body != "the page" || r.header.Get("Content-Security-Policy") != "of the page" {
			t.Errorf("%s: %d %s", path, r.status, r.body)
		}
		if r := ask(t, addr, "GET", path, "Host", "evil.example"); r.status != http.StatusForbidden {
			t.Errorf("%s by another name: %d", path, r.status)
		}
		if r := ask(t, addr, "GET", path, "Sec-Fetch-Site", "cross-site"); r.status != http.StatusForbidden {
			t.Errorf("%s from another site: %d", path, r.status)
		}
		if r := ask(t, addr, "POST", path); r.status != http.StatusMethodNotAllowed {
			t.Errorf("POST %s: %d", path, r.status)
		}
	}
	if r := ask(t, addr, "GET", "/page/other.js"); r.status != http.StatusUnauthorized {
		t.Errorf("a file that is not there, without the token: %d", r.status)
	}
	if r := ask(t, addr, "GET", "/page/other.js", "Authorization", "Bearer 0123456789abcdef"); r.status != http.StatusNotFound {
		t.Errorf("a file that is not there: %d", r.status)
	}
}

// windowsOf answers with what it was asked.
type windowsOf struct{ asked chan any }

func (w windowsOf) Windows(_ context.Context, group string, q admin.WindowQuery) (admin.WindowPage, error) {
	w.asked <- q
	return admin.WindowPage{WindowMeaning: admin.WindowMeaning{Group: group}}, failureOf(group)
}

func (w windowsOf) Keys(_ context.Context, group string, q admin.KeyQuery) (admin.KeyPage, error) {
	w.asked <- q
	return admin.KeyPage{WindowMeaning: admin.WindowMeaning{Group: group}}, failureOf(group)
}

func failureOf(group string) error {
	return map[string]error{
		"unknown": admin.ErrUnknownGroup, "sql": &admin.Refused{Reason: "no windows", Hint: "ask another"},
		"bad": fmt.Errorf("%w: by x", admin.ErrRequest), "broken": errors.New("broken"),
	}[group]
}

func TestWindows(t *testing.T) {
	t.Parallel()
	w := windowsOf{make(chan any, 1)}
	addr := serveWith(t, admin.Config{Controller: running("analytics"), Windows: w})
	at := time.UnixMilli(1763856000123)
	near := func(got, want time.Time) bool { return got.Sub(want).Abs() < time.Minute }
	for path, is := range map[string]func(any) bool{
		"/v1/groups/analytics/windows": func(q any) bool {
			is := q.(admin.WindowQuery)
			return near(is.Since, time.Now().Add(-time.Hour)) && is.Until.IsZero() && is.Limit == 500 && is.Keys == nil && is.After == ""
		},
		"/v1/groups/analytics/windows?key=m-1&key=&since=1763856000123&until=2025-11-24T00:00:00.5Z&after=5.ta&limit=7": func(q any) bool {
			is := q.(admin.WindowQuery)
			return is.Since.Equal(at) && is.Until.Equal(time.Date(2025, 11, 24, 0, 0, 0, 5e8, time.UTC)) && fmt.Sprint(is.Keys) == "[m-1 ]" && len(is.Keys) == 2 && is.After == "5.ta" && is.Limit == 7
		},
		"/v1/groups/analytics/windows?since=2025-11-23T02:00:00.123+02:00": func(q any) bool { return q.(admin.WindowQuery).Since.Equal(at) },
		"/v1/groups/analytics/windows?since=-90m":                          func(q any) bool { return near(q.(admin.WindowQuery).Since, time.Now().Add(-90*time.Minute)) },
		"/v1/groups/analytics/windows?since=0":                             func(q any) bool { return q.(admin.WindowQuery).Since.Equal(time.UnixMilli(0)) },
		"/v1/groups/analytics/windows/keys": func(q any) bool {
			is := q.(admin.KeyQuery)
			return near(is.Since, time.Now().Add(-time.Hour)) && is.By == "" && is.Limit == 20
		},
		"/v1/groups/analytics/windows/keys?by=trades&since=24h&limit=1000": func(q any) bool {
			is := q.(admin.KeyQuery)
			return near(is.Since, time.Now().Add(-24*time.Hour)) && is.By == "trades" && is.Limit == 1000
		},
	} {
		r := ask(t, addr, "GET", path)
		if q := <-w.asked; !is(q) || r.status != http.StatusOK {
			t.Errorf("%s asks for %+v: %d", path, q, r.status)
		}
		if v := r.json(t); v["group"] != "analytics" || v["measures"] == nil || v["windows"] == nil && v["keys"] == nil {
			t.Errorf("%s: %s", path, r.body)
		}
	}
	for _, bad := range []string{"since=yesterday", "since=-x", "until=1.5", "until=253402300800000", "limit=0", "limit=5001", "limit=x", "since=" + strings.Repeat("9", 400), strings.Repeat("&key=x", 101)} {
		if r := ask(t, addr, "GET", "/v1/groups/analytics/windows?"+bad); r.status != http.StatusBadRequest || r.json(t)["hint"] == "" {
			t.Errorf("%.40s: %d %s", bad, r.status, r.body)
		}
	}
	for group, status := range map[string]int{"unknown": 404, "sql": 409, "bad": 400, "broken": 502} {
		for _, path := range []string{"/windows", "/windows/keys"} {
			r := ask(t, addr, "GET", "/v1/groups/"+group+path)
			<-w.asked
			if r.status != status || r.json(t)["hint"] == "" {
				t.Errorf("%s%s: %d %s", group, path, r.status, r.body)
			}
		}
	}
}
