package live_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"example.com/fanout/pkg/event"
	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/handler/handlertest"
	"example.com/fanout/pkg/sink/live"
	"example.com/fanout/pkg/stream"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	handlertest.Run(t, handlertest.Config{
		New: func(t *testing.T) handler.Handler {
			h, err := live.Factory().Config().New(handlertest.Env(t, handlertest.Group))
			if err != nil {
				t.Fatal(err)
			}
			return h
		},
	})
}

// group is a group with the handler live and a server that streams it.
type group struct {
	t      *testing.T
	config *live.Config
	h      handler.Handler
	url    string
}

func newGroup(t *testing.T, keep, keepBytes, clients int) *group {
	t.Helper()
	config := live.Factory().Config().(*live.Config)
	config.Keep, config.KeepBytes, config.Clients = keep, keepBytes, clients
	g := &group{t: t, config: config}
	g.build()
	server := httptest.NewServer(config.Serve(handlertest.Group))
	t.Cleanup(server.Close)
	g.url = server.URL
	return g
}

// build makes the handler, as each incarnation of the group does.
func (g *group) build() {
	g.t.Helper()
	h, err := g.config.New(handlertest.Env(g.t, handlertest.Group))
	if err != nil {
		g.t.Fatal(err)
	}
	g.h = h
}

// trades handles trades from first on.
func (g *group) trades(first, n int) {
	g.t.Helper()
	if err := g.h.Handle(g.t.Context(), handlertest.Trades(g.t, first, n)); err != nil {
		g.t.Fatal(err)
	}
}

// message is one server-sent event.
type message struct{ name, id, data string }

// client is a client of the stream.
type client struct {
	t      *testing.T
	body   io.Closer
	lines  chan message
	status int
}

// follow connects a client; header holds pairs.
func (g *group) follow(query string, header ...string) *client {
	g.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, g.url+"/?"+query, nil)
	if err != nil {
		g.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		cancel()
		g.t.Fatal(err)
	}
	c := &client{t: g.t, body: resp.Body, lines: make(chan message, 100_000), status: resp.StatusCode}
	ended := make(chan struct{})
	g.t.Cleanup(func() { cancel(); resp.Body.Close(); <-ended })
	go func() {
		defer close(ended)
		defer close(c.lines)
		in := bufio.NewScanner(resp.Body)
		in.Buffer(nil, 1<<20)
		var m message
		for in.Scan() {
			line := in.Text()
			switch {
			case strings.HasPrefix(line, "id: "):
				m.id = line[4:]
			case strings.HasPrefix(line, "event: "):
				m.name = line[7:]
			case strings.HasPrefix(line, "data: "):
				m.data += line[6:]
			case line == "":
				if m.data != "" {
					c.lines <- m
				}
				m = message{}
			case strings.HasPrefix(line, ":"):
			default:
				m.data += line // of an answer that is no stream
			}
		}
		if m.data != "" {
			c.lines <- m
		}
	}()
	return c
}

// next is the next message.
func (c *client) next() message {
	c.t.Helper()
	select {
	case m, ok := <-c.lines:
		if !ok {
			c.t.Fatal("the stream has ended")
		}
		return m
	case <-time.After(20 * time.Second):
		c.t.Fatal("nothing comes")
	}
	return message{}
}

// wants the next messages to be the trades from first on.
func (c *client) wants(first, n int) {
	c.t.Helper()
	for i := first; i < first+n; i++ {
		m := c.next()
		if m.id != handlertest.ID(i).String() || m.data != string(handlertest.Trade(i)) || m.name != "" {
			c.t.Fatalf("got %+v, want trade %d (%s)", m, i, handlertest.ID(i))
		}
	}
}

// quiet wants nothing to be left, once the trade of that number has come.
func (c *client) quiet(g *group, last int) {
	c.t.Helper()
	g.trades(last, 1)
	c.wants(last, 1)
}

// Clients get what comes after they have come, in order, with its IDs.
func TestStreams(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 1000, 1<<20, 10)
	g.trades(0, 50)
	c := g.follow("")
	g.trades(50, 300)
	c.wants(50, 300)
	if err := g.h.Close(); err != nil {
		t.Fatal(err)
	}
	g.build() // the group restarts
	g.trades(350, 10)
	c.wants(350, 10)
}

func TestRecent(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 1000, 1<<20, 10)
	g.trades(0, 50)
	g.follow("recent=20").wants(30, 20)
	g.follow("recent=1000").wants(0, 50)
}

// A client that comes back gets what it has not got yet.
func TestResume(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 1000, 1<<20, 10)
	g.trades(0, 100)
	c := g.follow("", "Last-Event-ID", handlertest.ID(41).String())
	c.wants(42, 58)
	c = g.follow("after=" + handlertest.ID(97).String())
	c.wants(98, 2)
	c.quiet(g, 100)
}

// Where the ring has gone on a client is told, and gets all that is there.
func TestResumeTooLate(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 30, 1<<20, 10)
	g.trades(0, 100)
	c := g.follow("", "Last-Event-ID", handlertest.ID(5).String())
	m := c.next()
	if want := fmt.Sprintf(`{"count":null,"after":"%s","before":"%s"}`, handlertest.ID(5), handlertest.ID(70)); m.name != "missed" || m.data != want {
		t.Errorf("got %+v, want missed %s", m, want)
	}
	c.wants(70, 30)
}

// stalled is a response that takes nothing until it is let go.
type stalled struct {
	http.ResponseWriter
	go_  chan struct{}
	text chan string
}

func (s *stalled) Write(b []byte) (int, error) {
	<-s.go_
	s.text <- string(b)
	return len(b), nil
}

func (s *stalled) Flush()                           {}
func (s *stalled) SetWriteDeadline(time.Time) error { return nil }
func (s *stalled) SetReadDeadline(time.Time) error  { return nil }

// A client that does not read keeps the group from nothing. When it reads again
// it is told how many it has missed, from which to which.
func TestSlowClient(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 100, 1<<20, 10)
	g.trades(0, 10)
	w := &stalled{ResponseWriter: httptest.NewRecorder(), go_: make(chan struct{}), text: make(chan string, 100)}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		g.config.Serve(handlertest.Group).ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/?recent=10", nil))
	}()
	defer func() { cancel(); <-ended }()
	w.go_ <- struct{}{} // the first ten are on their way
	all := <-w.text
	if strings.Count(all, "data: ") != 10 {
		t.Fatalf("the first write is %q", all)
	}
	w2 := g.follow("") // one that reads
	for i := range 100 {
		g.trades(10+100*i, 100)
		w2.wants(10+100*i, 100)
	}
	close(w.go_)
	deadline := time.After(20 * time.Second)
	told := ""
	for told == "" {
		select {
		case text := <-w.text:
			all += text
			if _, rest, ok := strings.Cut(all, "event: missed\ndata: "); ok {
				told, _, _ = strings.Cut(rest, "\n")
			}
		case <-deadline:
			t.Fatalf("it is not told:\n%.2000s", all)
		}
	}
	var missed struct {
		Count         int
		After, Before stream.ID
	}
	if err := json.Unmarshal([]byte(told), &missed); err != nil {
		t.Fatal(err)
	}
	before, _, _ := strings.Cut(all, "event: missed")
	got := strings.Count(before, "data: ") // that it had taken before
	if missed.Count != 10_010-100-got || missed.After != handlertest.ID(got-1) || missed.Before != handlertest.ID(9910) {
		t.Errorf("missed %+v after %d events", missed, got)
	}
}

// The bound of bytes drops the oldest, and keeps the newest whatever its size.
func TestKeepBytes(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 1000, 4096, 10)
	g.trades(0, 200)
	c := g.follow("recent=1000")
	first := c.next()
	total := len(first.data)
	for n := 1; ; n++ {
		m := c.next()
		if total += len(m.data); m.id == handlertest.ID(199).String() {
			break
		}
	}
	if total > 4096 || total < 3800 {
		t.Errorf("%d bytes are kept", total)
	}
	large := `{"text":"` + strings.Repeat("x", 10_000) + `"}`
	if err := g.h.Handle(t.Context(), handlertest.Batch(handlertest.Group, handlertest.Delivery(t, handlertest.Stream, handlertest.Epoch, handlertest.ID(300), large))); err != nil {
		t.Fatal(err)
	}
	if m := g.follow("recent=1000").next(); m.data != large {
		t.Errorf("got %.80q", m.data)
	}
}

func TestWhere(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 1000, 1<<20, 10)
	c := g.follow(url.Values{"where": {`market_id == "m-3" and stake.value >= 20000`}}.Encode())
	marked := g.follow(url.Values{"mark": {"stake.value >= 50000"}}.Encode())
	g.trades(0, 400)
	want := 0
	for i := range 400 {
		var e struct {
			Market string `json:"market_id"`
			Stake  struct{ Value int }
		}
		if err := json.Unmarshal(handlertest.Trade(i), &e); err != nil {
			t.Fatal(err)
		}
		if e.Market == "m-3" && e.Stake.Value >= 20000 {
			want++
			c.wants(i, 1)
		}
		m := marked.next()
		if is := e.Stake.Value >= 50000; is != (m.name == "marked") || m.data != string(handlertest.Trade(i)) {
			t.Fatalf("trade %d comes as %+v", i, m)
		}
	}
	if want == 0 {
		t.Error("no trade is wanted")
	}
}

// An event that the filter cannot judge is left out, and told.
func TestRefused(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 1000, 1<<20, 10)
	c := g.follow(url.Values{"where": {"market_id > 5"}}.Encode())
	g.trades(0, 10)
	if m := c.next(); m.name != "refused" || !strings.Contains(m.data, handlertest.ID(0).String()) || !strings.Contains(m.data, "error") {
		t.Errorf("got %+v", m)
	}
}

// Whatever a payload is, it is one line of JSON.
func TestPayloads(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 1000, 1<<20, 10)
	c := g.follow("")
	for i, test := range []struct {
		format event.Format
		value  string
		want   string
	}{
		{event.JSON, "{\n  \"a\": [1,\r\n 2]\n}", `{   "a": [1,   2] }`},
		{event.JSON, `"a\nb"`, `"a\nb"`},
		{event.Raw, "line 1\nline 2: \"x\"", `"line 1\nline 2: \"x\""`},
		{event.Raw, "data: \xff\n\n", `"data: ` + "\ufffd" + `\n\n"`},
		{event.Raw, "", `""`},
		{event.Fields, "v\n", `{"event":"v\n"}`},
	} {
		entry := stream.Entry{ID: handlertest.ID(i), Fields: []stream.Field{{Name: []byte("event"), Value: []byte(test.value)}}}
		e, err := event.Decoder{Field: "event", Format: test.format}.Decode(entry)
		if err != nil {
			t.Fatal(err)
		}
		d := handler.Delivery{Delivery: &stream.Delivery{Entry: entry, Ref: entry.ID}, Event: e}
		if err := g.h.Handle(t.Context(), handlertest.Batch(handlertest.Group, d)); err != nil {
			t.Fatal(err)
		}
		if m := c.next(); m.id != entry.ID.String() || !sameJSON(m.data, test.want) {
			t.Errorf("%s %q comes as %+v, want %s", test.format, test.value, m, test.want)
		}
	}
}

func sameJSON(a, b string) bool {
	var x, y any
	if json.Unmarshal([]byte(a), &x) != nil || json.Unmarshal([]byte(b), &y) != nil {
		return false
	}
	return fmt.Sprint(x) == fmt.Sprint(y)
}

func TestBadRequests(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 1000, 1<<20, 1)
	for query, want := range map[string]string{
		"where=stake.value+%3E": "where: ",
		"mark=1":                "mark: ",
		"recent=-1":             "recent",
		"recent=1001":           "recent",
		"after=x":               "Last-Event-ID",
	} {
		c := g.follow(query)
		if m := c.next(); c.status != http.StatusBadRequest || !strings.Contains(m.data, want) || !strings.Contains(m.data, `"hint":"`) {
			t.Errorf("%s: %d %s", query, c.status, m.data)
		}
	}
	g.follow("")
	if c := g.follow(""); c.status != http.StatusServiceUnavailable || !strings.Contains(c.next().data, "1 clients follow") {
		t.Errorf("one client too many gets %d", c.status)
	}
}

// A client that has gone makes room for another one.
func TestLeave(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 1000, 1<<20, 1)
	for range 3 {
		deadline := time.Now().Add(20 * time.Second)
		for {
			c := g.follow("")
			if c.status == http.StatusOK {
				c.body.Close()
				break
			}
			if time.Now().After(deadline) {
				t.Fatal("there is no room")
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	if found := (&live.Config{Keep: 1, KeepBytes: 1, Clients: 1}).Check(); len(found) != 0 {
		t.Errorf("finds %v", found)
	}
	if found := (&live.Config{}).Check(); len(found) != 3 {
		t.Errorf("finds %v", found)
	}
}
