package live_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"time"

	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/handler/handlertest"
)

// events handles one event each of these texts, from an ID on.
func (g *group) events(first int, docs ...string) {
	g.t.Helper()
	var all []handler.Delivery
	for i, doc := range docs {
		all = append(all, handlertest.Delivery(g.t, handlertest.Stream, handlertest.Epoch, handlertest.ID(first+i), doc))
	}
	if err := g.h.Handle(g.t.Context(), handlertest.Batch(handlertest.Group, all...)); err != nil {
		g.t.Fatal(err)
	}
}

// stall is a client that takes nothing until its go_ is closed; release ends it.
func (g *group) stall(query string) (w *stalled, release func()) {
	w = &stalled{ResponseWriter: httptest.NewRecorder(), go_: make(chan struct{}), text: make(chan string, 1000)}
	ctx, cancel := context.WithCancel(g.t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		g.config.Serve(handlertest.Group).ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/?"+query, nil))
	}()
	return w, func() {
		cancel()
		select {
		case <-w.go_: // closed already
		default:
			close(w.go_)
		}
		<-ended
	}
}

// What a client asks to be computed is bounded before it is.
func TestExpressionsAreBounded(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 1000, 1<<20, 1)
	for name, where := range map[string]string{
		"a long one":    "stake.value >= 1" + strings.Repeat(" ", 1024),
		"a large one":   `market_id matches "` + strings.Repeat("(.{1000})", 3) + `"`,
		"a large class": `market_id matches "` + strings.Repeat(`\\p{L}`, 20) + `"`,
	} {
		for _, part := range []string{"where", "mark"} {
			c := g.follow(url.Values{part: {where}}.Encode())
			if m := c.next(); c.status != http.StatusBadRequest || !strings.Contains(m.data, part+": compile") {
				t.Errorf("%s as %s: %d %s", name, part, c.status, m.data)
			}
		}
	}
	// A client too many is not even looked at.
	g.follow("")
	if c := g.follow("where=%3D%3D"); c.status != http.StatusServiceUnavailable {
		t.Errorf("one client too many gets %d", c.status)
	}
}

// A filter that takes too long for an event is told so, and goes on.
func TestSlowFilter(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 1000, 1<<20, 10)
	slow := g.follow(url.Values{"where": {"count(a, count($env.a, # >= 0) > 0) > 0"}}.Encode())
	g.events(0, `{"a":[`+strings.Repeat("1,", 3000)+`1]}`, `{"a":[1,2]}`)
	if m := slow.next(); m.name != "refused" || !strings.Contains(m.data, "too long for this event") || !strings.Contains(m.data, handlertest.ID(0).String()) {
		t.Errorf("got %+v", m)
	}
	if m := slow.next(); m.data != `{"a":[1,2]}` {
		t.Errorf("got %+v", m)
	}
}

// However many filters are at work, all events come, in order.
func TestFiltersTakeTurns(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 1000, 16<<20, 20)
	var clients []*client
	for range 8 {
		clients = append(clients, g.follow(url.Values{"where": {"count(a, # >= 0) >= 2"}}.Encode()))
	}
	var docs []string
	for i := range 400 {
		docs = append(docs, `{"a":[`+strings.Repeat("1,", 1500)+`1],"n":`+handlertest.ID(i).String()[:1]+`}`)
	}
	g.events(0, docs...)
	for _, c := range clients {
		for i := range docs {
			if m := c.next(); m.id != handlertest.ID(i).String() {
				t.Fatalf("got %s, want %s", m.id, handlertest.ID(i))
			}
		}
	}
}

// Clients that do not read hold the events that are on their way, once for all of
// them.
func TestLargeEvents(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 1000, 8<<20, 64)
	large := `{"text":"` + strings.Repeat("x", 400_000) + `"}`
	for i := range 19 {
		g.events(i, large)
	}
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	var first *stalled
	for range 40 {
		w, release := g.stall("recent=1000")
		defer release()
		w.go_ <- struct{}{} // it has written once
		if first == nil {
			first = w
		}
	}
	if grown := heap() - before; grown > 32<<20 {
		t.Errorf("40 clients that do not read hold %d MiB", grown>>20)
	}
	close(first.go_) // this one reads on
	deadline := time.After(20 * time.Second)
	all := strings.Builder{}
	for strings.Count(all.String(), large) < 19 {
		select {
		case text := <-first.text:
			if all.WriteString(text); len(text) > 64<<10 {
				t.Fatalf("%d bytes are written at once", len(text))
			}
		case <-deadline:
			t.Fatalf("%d bytes have come", all.Len())
		}
	}
}

// What a group has left behind is let go of.
func TestForget(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 1000, 1<<20, 10)
	g.trades(0, 10)
	g.config.Forget(handlertest.Group)
	server := httptest.NewServer(g.config.Serve(handlertest.Group))
	t.Cleanup(server.Close)
	g.url = server.URL
	g.build()
	c := g.follow("recent=100")
	c.quiet(g, 10)
}
