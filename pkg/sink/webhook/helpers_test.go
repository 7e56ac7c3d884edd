package webhook_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"example.com/fanout/pkg/event"
	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/handler/handlertest"
	"example.com/fanout/pkg/sink/webhook"
	"example.com/fanout/pkg/stream"
	"example.com/fanout/pkg/telemetry"
)

// secret is a signing secret of 32 bytes.
var secret = "whsec_" + base64.StdEncoding.EncodeToString([]byte("0123456789abcdef0123456789abcdef"))

// config is a config as the manifest makes it, changed by what is given.
func config(url string, changes ...func(*webhook.Config)) *webhook.Config {
	c := webhook.Factory().Config().(*webhook.Config)
	c.URL = telemetry.Secret(url)
	for _, change := range changes {
		change(c)
	}
	return c
}

func inBatches(c *webhook.Config) { c.Batch = true }
func signed(c *webhook.Config)    { c.Secret = telemetry.Secret(secret) }
func impatient(c *webhook.Config) { c.Timeout = 50 * time.Millisecond }

func open(t *testing.T, c *webhook.Config) handler.Handler {
	t.Helper()
	h, err := c.New(handler.Env{Group: "notifications", Version: "v1.2.3", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	return h
}

// request is what a server got.
type request struct {
	http.Header
	method string
	path   string
	body   []byte
}

// server keeps what it gets and answers as told.
type server struct {
	*httptest.Server
	mu       sync.Mutex
	requests []request
}

// serve starts a server. A nil answer is 204 to everything.
func serve(t *testing.T, answer http.HandlerFunc) *server {
	t.Helper()
	s := new(server)
	s.Server = httptest.NewServer(s.record(answer))
	t.Cleanup(s.Close)
	return s
}

func (s *server) record(answer http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // given up by the sender
		}
		s.mu.Lock()
		s.requests = append(s.requests, request{r.Header.Clone(), r.Method, r.URL.RequestURI(), body})
		s.mu.Unlock()
		if answer == nil {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		answer(w, r)
	})
}

func (s *server) got() []request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]request(nil), s.requests...)
}

// status answers everything with a status.
func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// trades is a batch of n trades of the group "notifications", from the i-th on.
func trades(t *testing.T, first, n int) *handler.Batch {
	t.Helper()
	b := handlertest.Trades(t, first, n)
	b.Group = "notifications"
	return b
}

// raw is a delivery of bytes that are not JSON.
func raw(t *testing.T, payload string) handler.Delivery {
	t.Helper()
	d := handlertest.Delivery(t, handlertest.Stream, handlertest.Epoch, handlertest.ID(0), `{}`)
	d.Entry = stream.Entry{ID: d.ID, Fields: []stream.Field{{Name: []byte("event"), Value: []byte(payload)}}}
	var err error
	if d.Event, err = (event.Decoder{Field: "event", Format: event.Raw}).Decode(d.Entry); err != nil {
		t.Fatal(err)
	}
	return d
}

// within is a ctx that ends with the engine's cause for a deadline.
func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), d, handler.ErrTimeout)
	t.Cleanup(cancel)
	return ctx
}
