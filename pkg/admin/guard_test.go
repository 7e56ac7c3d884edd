package admin_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

func TestHost(t *testing.T) {
	t.Parallel()
	addr := serve(t, running("analytics"))
	for host, want := range map[string]int{
		addr:                       200,
		"localhost":                200,
		"LOCALHOST:7600":           200,
		"localhost.:80":            200,
		"127.0.0.1":                200,
		"127.1.2.3:1":              200,
		"[::1]":                    200,
		"[::1]:7600":               200,
		"[::ffff:127.0.0.1]:7600":  200,
		"evil.example":             403,
		"evil.example:7600":        403,
		"localhost.evil.example":   403,
		"127.0.0.1.evil.example":   403,
		"evil.example:127.0.0.1":   403,
		"192.168.1.1:7600":         403,
		"0.0.0.0:7600":             403,
		"[fe80::1%25lo]:7600":      403,
		"[::]:7600":                403,
		"2130706433":               403, // 127.0.0.1 as one number
		"0x7f000001:7600":          403,
		"localhost, evil.example":  403,
		"user@localhost.example:1": 403,
	} {
		for _, path := range []string{"/healthz", "/metrics", "/v1/groups", "/nowhere"} {
			got := ask(t, addr, "GET", path, "Host", host)
			if want == 200 && path == "/nowhere" {
				if got.status != 404 {
					t.Errorf("%s with Host %q answers %d, want 404", path, host, got.status)
				}
				continue
			}
			if got.status != want {
				t.Errorf("%s with Host %q answers %d, want %d", path, host, got.status, want)
			}
			if got.status == 403 && (strings.Contains(got.body, "analytics") || got.json(t)["hint"] == "") {
				t.Errorf("%s with Host %q tells %s", path, host, got.body)
			}
		}
	}
}

// raw sends bytes and returns the status of the answer.
func raw(t *testing.T, addr, request string) (status int, body string) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text)
}

func TestRawRequests(t *testing.T) {
	t.Parallel()
	f := running("analytics")
	addr := serve(t, f)
	for name, tt := range map[string]struct {
		request string
		want    int
	}{
		"no host":             {"GET /v1/groups HTTP/1.0\r\n\r\n", 403},
		"absolute foreign":    {"GET http://evil.example/v1/groups HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 403},
		"absolute ours":       {"GET http://127.0.0.1/v1/groups HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 200},
		"options of all":      {"OPTIONS * HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 404},
		"connect":             {"CONNECT 127.0.0.1:80 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 404},
		"headers too large":   {"GET /v1/groups HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + strings.Repeat("x", 64<<10) + "\r\n\r\n", 431},
		"body of a huge POST": {"POST /v1/groups/analytics/restart HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99999999999\r\n\r\n{}", 413},
		"endless body":        {"POST /v1/groups/analytics/restart HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n100000\r\n" + strings.Repeat("x", 400<<10), 202},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if status, body := raw(t, addr, tt.request); status != tt.want {
				t.Errorf("answer is %d %s, want %d", status, body, tt.want)
			}
		})
	}
}

func TestOrigin(t *testing.T) {
	t.Parallel()
	f := running("analytics")
	addr := serve(t, f)
	const path = "/v1/groups/analytics/restart"
	for _, origin := range [][]string{
		{"Origin", "https://evil.example"}, {"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "null"},
	} {
		for _, path := range []string{"/healthz", "/readyz", "/metrics", "/v1/groups"} {
			if got := ask(t, addr, "GET", path, origin...); got.status != 403 || strings.Contains(got.body, "analytics") {
				t.Errorf("GET %s with %v answers %d %s", path, origin, got.status, got.body)
			}
		}
	}
	for _, tt := range []struct {
		header []string
		want   int
	}{
		{nil, 202},
		{[]string{"Origin", "http://" + addr}, 202},
		{[]string{"Sec-Fetch-Site", "same-origin", "Origin", "http://" + addr}, 202},
		{[]string{"Sec-Fetch-Site", "none"}, 202},
		{[]string{"Origin", "https://evil.example"}, 403},
		{[]string{"Origin", "null"}, 403},
		{[]string{"Origin", "http://127.0.0.1:1"}, 403},
		{[]string{"Sec-Fetch-Site", "cross-site"}, 403},
		{[]string{"Sec-Fetch-Site", "same-site", "Origin", "http://127.0.0.1:1"}, 403},
		{[]string{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"}, 403},
		{[]string{"Origin", "http://evil.example", "Host", "evil.example"}, 403},
	} {
		before := f.restarts()
		got := ask(t, addr, "POST", path, tt.header...)
		if got.status != tt.want {
			t.Errorf("POST with %v answers %d %s, want %d", tt.header, got.status, got.body, tt.want)
		}
		if done := f.restarts() != before; done != (tt.want == 202) {
			t.Errorf("POST with %v: restarted is %v", tt.header, done)
		}
	}
}
