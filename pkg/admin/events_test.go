package admin_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"example.com/fanout/pkg/admin"
	"example.com/fanout/pkg/telemetry"
)

func TestEventList(t *testing.T) {
	t.Parallel()
	feed := &telemetry.Feed{}
	addr := serveWith(t, admin.Config{Controller: running("a", "b"), Feed: feed})
	client := admin.NewClient(addr)
	if list, err := client.Events(t.Context(), "", 10); err != nil || len(list) != 0 {
		t.Errorf("at first: %v, %v", list, err)
	}
	feed.Say("a", telemetry.EventState, "one")
	feed.Say("b", telemetry.EventState, "two")
	feed.Say("", telemetry.EventReload, "three")
	for _, tt := range []struct {
		group  string
		recent int
		want   string
	}{{"", 10, "one two three"}, {"", 2, "two three"}, {"a", 10, "one"}, {"b", 0, ""}} {
		list, err := client.Events(t.Context(), tt.group, tt.recent)
		var texts []string
		for _, e := range list {
			texts = append(texts, e.Text)
		}
		if got := strings.Join(texts, " "); err != nil || got != tt.want {
			t.Errorf("%+v: %s, %v", tt, got, err)
		}
	}
	if _, err := client.Events(t.Context(), "c", 1); !errors.Is(err, admin.ErrUnknownGroup) {
		t.Errorf("an unknown group: %v", err)
	}
	for _, query := range []string{"recent=x", "recent=-1", "recent=9999"} {
		if got := ask(t, addr, "GET", "/v1/events?"+query); got.status != 400 {
			t.Errorf("%s answers %d", query, got.status)
		}
	}
}

func TestFollow(t *testing.T) {
	t.Parallel()
	feed := &telemetry.Feed{}
	addr := serveWith(t, admin.Config{Controller: running("a", "b"), Feed: feed})
	feed.Say("a", telemetry.EventError, "before")
	got := make(chan string, 10)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- admin.NewClient(addr).Follow(ctx, "a", 5, func(e telemetry.Event) error {
			got <- e.Kind + " " + e.Text
			return nil
		}, func(int64) error { return nil })
	}()
	wants := func(want string) {
		t.Helper()
		select {
		case text := <-got:
			if text != want {
				t.Errorf("came %q, want %q", text, want)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("%q does not come", want)
		}
	}
	wants("error before")
	feed.Say("b", telemetry.EventError, "another group's")
	feed.Say("a", telemetry.EventSinkDown, "line\nbreak \x1b[2J and data: {}\n\n")
	wants("sink-down line\nbreak \x1b[2J and data: {}\n\n")
	stop()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Follow ends with %v", err)
	}
}

// A client that does not read costs nothing but its own events: Publish does
// not wait, and the client is told what it missed.
func TestFollowerThatDoesNotRead(t *testing.T) {
	t.Parallel()
	feed := &telemetry.Feed{}
	addr := serveWith(t, admin.Config{Controller: running("a"), Feed: feed})
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, nil)
	if err != nil || resp.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%v, %v", resp, err)
	}
	defer resp.Body.Close()

	text := strings.Repeat("x", 1000)
	began := time.Now()
	for range 20_000 { // 20 MB, far more than the sockets hold
		feed.Say("a", telemetry.EventError, "%s", text)
	}
	t.Logf("20,000 events were published in %v", time.Since(began))
	events, dropped := 0, 0
	_ = conn.SetReadDeadline(time.Now().Add(8 * time.Second)) // before the next sign of life
	lines := bufio.NewScanner(resp.Body)
	for events+dropped < 20_000 && lines.Scan() {
		var n int
		switch line := lines.Text(); {
		case strings.HasPrefix(line, `data: {"dropped":`):
			if _, err := fmt.Sscanf(line, `data: {"dropped":%d}`, &n); err != nil {
				t.Fatal(err)
			}
			dropped += n
		case strings.HasPrefix(line, "data: "):
			events++
		}
	}
	conn.Close() // else closing the body waits for the end of it
	if events+dropped != 20_000 || dropped == 0 {
		t.Errorf("%d events came and %d were dropped, want 20000 in all: %v", events, dropped, lines.Err())
	}
}

// The end of the server ends those who follow it.
func TestFollowEndsWithServer(t *testing.T) {
	t.Parallel()
	l, err := admin.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() {
		served <- admin.New(admin.Config{Controller: running("a"), Feed: &telemetry.Feed{}}).Serve(ctx, l)
	}()
	resp, err := http.Get("http://" + l.Addr().String() + "/v1/events")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	began := time.Now()
	stop()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Errorf("the stream is cut off: %v", err)
	}
	if err := <-served; err != nil || time.Since(began) > 10*time.Second {
		t.Errorf("Serve ends with %v after %v", err, time.Since(began))
	}
}

func TestTooManyFollowers(t *testing.T) {
	t.Parallel()
	addr := serveWith(t, admin.Config{Controller: running("a"), Feed: &telemetry.Feed{}})
	for range 256 {
		resp, err := http.Get("http://" + addr + "/v1/events")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { resp.Body.Close() })
	}
	if got := ask(t, addr, "GET", "/v1/events"); got.status != 503 || !strings.Contains(got.body, "hint") {
		t.Errorf("one more answers %d %s", got.status, got.body)
	}
}
