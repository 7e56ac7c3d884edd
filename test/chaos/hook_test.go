package chaos

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

const secret = "whsec_c2VjcmV0LW9mLXRoZS1jaGFvcy1zdWl0ZS10ZXN0"

// hook is the web service that is notified. Down, it does not listen.
type hook struct {
	addr     string // stays the same
	verifier *standardwebhooks.Webhook

	mu     sync.Mutex
	server *http.Server // nil while down
	came   map[int64]int
	faults []string
}

func newHook() (*hook, error) {
	verifier, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("open hook: %w", err)
	}
	h := &hook{addr: l.Addr().String(), verifier: verifier, came: map[int64]int{}}
	h.serve(l)
	return h, nil
}

func (h *hook) serve(l net.Listener) {
	h.server = &http.Server{Handler: h}
	go h.server.Serve(l)
}

func (h *hook) up() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.server != nil {
		return nil
	}
	l, err := net.Listen("tcp", h.addr)
	if err != nil {
		return fmt.Errorf("open hook: %w", err)
	}
	h.serve(l)
	return nil
}

// down closes the port and every connection.
func (h *hook) down() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.server != nil {
		_ = h.server.Close()
		h.server = nil
	}
}

// ServeHTTP implements [http.Handler].
func (h *hook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the sender has died
	}
	var event struct {
		TradeID int64 `json:"trade_id"`
	}
	if err = h.verifier.Verify(body, r.Header); err == nil {
		err = json.Unmarshal(body, &event)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil {
		h.faults = append(h.faults, fmt.Sprintf("%.100s: %v", body, err))
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	h.came[event.TradeID]++
	w.WriteHeader(http.StatusNoContent)
}
