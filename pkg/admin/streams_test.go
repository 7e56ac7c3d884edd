package admin_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"example.com/fanout/pkg/admin"
	"example.com/fanout/pkg/telemetry"
)

// changing is a controller whose groups a test changes, and that counts how often
// it is asked.
type changing struct {
	*fake
	asked atomic.Int32

	mu  sync.Mutex
	now []admin.GroupStatus
}

func changingOf(f *fake) *changing { return &changing{fake: f, now: f.groups} }

func (c *changing) Groups() []admin.GroupStatus {
	c.asked.Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *changing) set(groups []admin.GroupStatus) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = groups
}

// last follows a stream to its last event.
func last(t *testing.T, next func() sent) sent {
	t.Helper()
	for {
		if s := next(); s.name == "refused" || s.name == "gone" {
			if id, is := s.data["id"]; id != nil || !is {
				t.Errorf("the last word is %v", s)
			}
			return s
		}
	}
}

// streaming is a stream that goes on until its context is done.
var streaming = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	fmt.Fprint(w, ": begins\n\n")
	_ = http.NewResponseController(w).Flush()
	<-r.Context().Done()
})

// Whoever follows a stream must have a token that is valid now.
func TestStreamsEndWithToken(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("0123456789-first"), 0o600); err != nil {
		t.Fatal(err)
	}
	addr := serveWith(t, admin.Config{Controller: running("a"), TokenFile: file, Feed: &telemetry.Feed{}, Live: lives{"a": streaming}})
	known := []string{"Authorization", "Bearer 0123456789-first"}
	var streams []func() sent
	for _, path := range []string{"/v1/watch", "/v1/events", "/live/a"} {
		streams = append(streams, watch(t, "http://"+addr+path, known...))
	}
	if err := os.WriteFile(file, []byte("0123456789-second"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, next := range streams {
		if s := last(t, next); s.name != "refused" || !strings.Contains(fmt.Sprint(s.data["error"]), "token") {
			t.Errorf("the last word is %v", s)
		}
	}
	if r := ask(t, addr, "GET", "/v1/watch", known...); r.status != http.StatusUnauthorized {
		t.Errorf("the next request answers %d", r.status)
	}
}

// shrinking are streams of groups, which are there as long as the controller says.
type shrinking struct{ c *changing }

func (s shrinking) Live(group string) (http.Handler, error) {
	for _, g := range s.c.Groups() {
		if g.Name == group {
			return streaming, nil
		}
	}
	return nil, admin.ErrUnknownGroup
}

// Whoever follows a group is told that it has left the manifest.
func TestStreamsEndWithGroup(t *testing.T) {
	t.Parallel()
	c := changingOf(running("a", "b"))
	addr := serveWith(t, admin.Config{Controller: c, Feed: &telemetry.Feed{}, Live: shrinking{c}})
	events, live := watch(t, "http://"+addr+"/v1/events?group=b"), watch(t, "http://"+addr+"/live/b")
	all := watch(t, "http://"+addr+"/v1/watch")
	c.set(running("a").groups)
	for _, next := range []func() sent{events, live} {
		if s := last(t, next); s.name != "gone" || !strings.Contains(fmt.Sprint(s.data["error"]), "manifest") {
			t.Errorf("the last word is %v", s)
		}
	}
	for { // of all groups goes on
		if s := all(); s.name == "groups" && len(s.data["groups"].([]any)) == 1 {
			break
		}
	}
}

// All clients are shown one list, which says what became of a reload and when the
// next one comes. A large one comes less often.
func TestWatchIsShared(t *testing.T) {
	t.Parallel()
	var names []string
	for i := range 700 {
		names = append(names, fmt.Sprint("group-", i))
	}
	c := changingOf(running(names...))
	process := &reloads{}
	addr := serveWith(t, admin.Config{Controller: c, Process: process, Feed: &telemetry.Feed{}})
	began := time.Now()
	var streams []func() sent
	for range 20 {
		streams = append(streams, watch(t, "http://"+addr+"/v1/watch"))
	}
	for _, next := range streams {
		if hello := next(); hello.name != "server" || hello.data["pace_ms"].(float64) < 2000 {
			t.Errorf("the server says %v", hello)
		}
		s := next()
		reload, is := s.data["reload"]
		if s.name != "groups" || s.data["pace_ms"].(float64) < 2000 || !is || reload != nil {
			t.Fatalf("%s %.200v", s.name, s.data)
		}
	}
	if asked, most := int(c.asked.Load()), 3+int(time.Since(began)/(2*time.Second)); asked > most {
		t.Errorf("the groups were asked %d times for 20 clients, want %d at most by now", asked, most)
	}
}
