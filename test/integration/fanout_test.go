package integration

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"example.com/fanout/pkg/exchange"
)

// The shipped manifest with the shipped binary: trades that are published out
// of order end up persisted, analysed and notified, exactly.
func TestShippedManifest(t *testing.T) {
	t.Parallel()
	const secret = "whsec_c2VjcmV0LW9mLXRoZS1pbnRlZ3JhdGlvbi10ZXN0"
	s := newSite(t)
	shipped, err := os.ReadFile("../../groups.yaml")
	if err != nil {
		t.Fatal(err)
	}
	s.file("groups.yaml", string(shipped))
	hook := newHook(t, secret)
	admin := freeAddress(t)
	cmd := s.command(fanoutBinary, admin, "run", "--log-format", "json")
	cmd.Env = append(cmd.Env, "WEBHOOK_URL="+hook.server.URL, "WEBHOOK_SECRET="+secret)
	p := spawn(t, cmd, admin).ready()

	all := outOfOrder(trades(1, 20_000))
	ids := s.publish(events(all)...)
	s.settled(60*time.Second, "analytics", "persistence", "notifications")

	s.sameTrades("data/trades.db", all)
	s.sameMinutes("data/analytics.db", "market_minutes", "analytics", all, ids)
	hook.gotBig(t, all)
	noLetters(t, s, "analytics", "persistence", "notifications")
	p.stop()
}

// outOfOrder shuffles neighbours and sends every hundredth trade to the end.
func outOfOrder(trades []exchange.Trade) []exchange.Trade {
	random := rand.New(rand.NewPCG(1, 2))
	var all, late []exchange.Trade
	for i, t := range trades {
		if i%100 == 50 {
			late = append(late, t)
		} else {
			all = append(all, t)
		}
	}
	for from := 0; from < len(all); from += 64 {
		block := all[from:min(from+64, len(all))]
		random.Shuffle(len(block), func(i, j int) { block[i], block[j] = block[j], block[i] })
	}
	return append(all, late...)
}

// hook is a web service that takes signed requests.
type hook struct {
	server   *httptest.Server
	verifier *standardwebhooks.Webhook

	mu     sync.Mutex
	bodies map[string]int // how often each came
	ids    map[string]string
	faults []string
}

func newHook(t *testing.T, secret string) *hook {
	t.Helper()
	verifier, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	h := &hook{verifier: verifier, bodies: map[string]int{}, ids: map[string]string{}}
	h.server = httptest.NewServer(h)
	t.Cleanup(h.server.Close)
	return h
}

func (h *hook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = h.verifier.Verify(body, r.Header)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil || r.Method != http.MethodPost {
		h.faults = append(h.faults, fmt.Sprintf("%s %.100s: %v", r.Method, body, err))
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	h.bodies[string(body)]++
	if id := r.Header.Get("webhook-id"); h.ids[id] != "" {
		h.faults = append(h.faults, fmt.Sprintf("webhook-id %s came with %s and %s", id, h.ids[id], body))
	} else {
		h.ids[id] = string(body)
	}
	w.WriteHeader(http.StatusNoContent)
}

// gotBig wants each trade with a stake of 50,000 or more to have come once,
// and nothing else.
func (h *hook) gotBig(t *testing.T, trades []exchange.Trade) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, fault := range h.faults {
		t.Error(fault)
	}
	big := 0
	for _, trade := range trades {
		if trade.Stake < 50_000 {
			continue
		}
		big++
		if n := h.bodies[string(exchange.AppendJSON(nil, trade))]; n != 1 {
			t.Errorf("trade %d came %d times", trade.TradeID, n)
		}
	}
	if big == 0 || len(h.bodies) != big {
		t.Errorf("%d events came, want %d", len(h.bodies), big)
	}
}
