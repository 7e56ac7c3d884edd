package webhook_test

import (
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/sink/webhook"
)

// A connection that cannot be had, or breaks, says nothing about the event.
func TestConnectionFailures(t *testing.T) {
	t.Parallel()
	closed := httptest.NewServer(nil)
	closed.Close()
	hanging := serve(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	nonsense := listen(t, func(c net.Conn) {
		buf := make([]byte, 1024)
		_, _ = c.Read(buf)
		_, _ = c.Write([]byte("SSH-2.0-OpenSSH_9.2\r\n\x1b[31mhello\r\n"))
	})
	full := listen(t, func(c net.Conn) { // takes connections, never answers a handshake
		buf := make([]byte, 1024)
		for {
			if _, err := c.Read(buf); err != nil {
				return
			}
		}
	})
	foreign := httptest.NewUnstartedServer(http.NotFoundHandler())
	foreign.Config.ErrorLog = log.New(io.Discard, "", 0)
	foreign.StartTLS()
	t.Cleanup(foreign.Close)
	tests := map[string]struct {
		url  string
		want string
	}{
		"closed port":   {closed.URL, "connection refused"},
		"unknown name":  {"http://nowhere.invalid", ""},
		"unknown CA":    {foreign.URL, "certificate"},
		"not TLS":       {"https://" + strings.TrimPrefix(hanging.URL, "http://"), ""},
		"aborted":       {hanging.URL, "EOF"},
		"not HTTP":      {"http://" + nonsense, "malformed HTTP"},
		"no handshake":  {"https://" + full, "no connection within 50ms"},
		"path is token": {closed.URL + "/t0ken?key=t0ken", "connection refused"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, change := range []func(*webhook.Config){signed, inBatches} {
				h := open(t, config(tt.url, change, func(c *webhook.Config) {
					if name == "no handshake" {
						impatient(c)
					}
				}))
				for _, n := range []int{1, 3} {
					err := h.Handle(t.Context(), trades(t, 0, n))
					wantMark(t, err, handler.MarkUnavailable)
					if named := (*handler.BatchError)(nil); errors.As(err, &named) {
						t.Errorf("%v names deliveries, want the whole call held", err)
					}
					if err == nil {
						continue
					}
					if !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "t0ken") || strings.Contains(err.Error(), "\x1b") {
						t.Errorf("error is %q, want %q in it and no secret", err, tt.want)
					}
				}
			}
		})
	}
}

// listen takes connections on a free port and hands each to serve.
func listen(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				serve(c)
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		wg.Wait()
	})
	return l.Addr().String()
}

func TestCAFile(t *testing.T) {
	t.Parallel()
	var got atomic.Int64
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor == 2 {
			got.Add(1)
		}
	}))
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	dir := t.TempDir()
	write := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := write("ca.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
	h := open(t, config(s.URL, func(c *webhook.Config) { c.CAFile = good }))
	if err := h.Handle(t.Context(), trades(t, 0, 1)); err != nil {
		t.Errorf("with its certificate: %v", err)
	}
	if got.Load() != 1 {
		t.Error("HTTP/2 is not used where it is offered")
	}
	for name, path := range map[string]string{
		"missing": filepath.Join(dir, "none.pem"),
		"empty":   write("empty.pem", []byte("nothing")),
	} {
		h, err := config(s.URL, func(c *webhook.Config) { c.CAFile = path }).New(handler.Env{})
		if err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %v, want an error that names the file", name, err)
			_ = h.Close()
		}
	}
}

// countConnections counts those that a server takes.
func countConnections(s *httptest.Server) *atomic.Int64 {
	n := new(atomic.Int64)
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			n.Add(1)
		}
	}
	return n
}

// Connections are used again, whatever the answers were.
func TestConnectionReuse(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	bodies := []string{"", "ok", strings.Repeat("x", 60<<10)}
	codes := []int{200, 204, 409, 422, 500, 503}
	s := &server{Server: httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n := int(calls.Add(1))
		w.WriteHeader(codes[n%len(codes)])
		if codes[n%len(codes)] != 204 {
			_, _ = w.Write([]byte(bodies[n%len(bodies)]))
		}
	}))}
	connections := countConnections(s.Server)
	s.Start()
	t.Cleanup(s.Close)
	h := open(t, config(s.URL))
	for i := range 40 {
		_ = h.Handle(t.Context(), trades(t, i, 1)) // some succeed and some do not
	}
	if n := connections.Load(); n != 1 {
		t.Errorf("40 calls in a row took %d connections, want 1", n)
	}
}

// Sixteen calls at once run at once, over sixteen connections that stay.
func TestConcurrency(t *testing.T) {
	t.Parallel()
	const callers, calls = 16, 10
	var together sync.WaitGroup
	together.Add(callers)
	var first sync.Map
	s := &server{Server: httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if _, again := first.LoadOrStore(r.RemoteAddr, true); !again {
			together.Done()
			together.Wait() // hangs unless all are here
		}
	}))}
	connections := countConnections(s.Server)
	s.Start()
	t.Cleanup(s.Close)
	h := open(t, config(s.URL))
	var wg sync.WaitGroup
	for caller := range callers {
		wg.Go(func() {
			for i := range calls {
				if err := h.Handle(t.Context(), trades(t, caller*calls+i, 1)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if n := connections.Load(); n != callers {
		t.Errorf("%d callers took %d connections", callers, n)
	}
}

// A body beyond max_response is not read: it costs the connection.
func TestMaxResponse(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		max         int
		connections int64
	}{{1 << 20, 1}, {100, 5}} {
		s := &server{Server: httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			for range 3 { // in chunks: the size is not announced
				_, _ = io.WriteString(w, strings.Repeat("x", 4<<10))
				w.(http.Flusher).Flush()
			}
		}))}
		connections := countConnections(s.Server)
		s.Start()
		t.Cleanup(s.Close)
		h := open(t, config(s.URL, func(c *webhook.Config) { c.MaxResponse = tt.max }))
		for i := range 5 {
			if err := h.Handle(t.Context(), trades(t, i, 1)); err != nil {
				t.Error(err)
			}
		}
		if n := connections.Load(); n != tt.connections {
			t.Errorf("max_response %d: 5 calls took %d connections, want %d", tt.max, n, tt.connections)
		}
	}
}
