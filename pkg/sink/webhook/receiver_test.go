package webhook_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/fanout/pkg/handler/handlertest"
	"example.com/fanout/pkg/sink/webhook"
)

// inbox is a Receiver that keeps what it receives.
type inbox struct {
	*httptest.Server
	mu       sync.Mutex
	messages []webhook.Message
}

func newInbox(t *testing.T, c webhook.ReceiverConfig) *inbox {
	t.Helper()
	in := new(inbox)
	c.OnMessage = func(m webhook.Message) {
		in.mu.Lock()
		defer in.mu.Unlock()
		in.messages = append(in.messages, m)
	}
	r, err := webhook.NewReceiver(c)
	if err != nil {
		t.Fatal(err)
	}
	in.Server = httptest.NewServer(r)
	t.Cleanup(in.Close)
	return in
}

func (in *inbox) got() []webhook.Message {
	in.mu.Lock()
	defer in.mu.Unlock()
	return append([]webhook.Message(nil), in.messages...)
}

// What the handler sends arrives, in either form, each event once.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	in := newInbox(t, webhook.ReceiverConfig{Secret: secret})
	single, batch := open(t, config(in.URL, signed)), open(t, config(in.URL, signed, inBatches))
	b := trades(t, 0, 3)
	for i := range b.Deliveries {
		b.Deliveries[i].Stream = "bets é%"
	}
	if err := batch.Handle(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if err := single.Handle(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	got := in.got()
	if len(got) != 6 {
		t.Fatalf("%d messages, want 6", len(got))
	}
	for i, m := range got {
		first := got[i%3]
		if m.ID == "" || m.ID != first.ID || m.Duplicate != (i >= 3) {
			t.Errorf("message %d: ID %s, duplicate %t; its first had %s", i, m.ID, m.Duplicate, first.ID)
		}
		if m.Group != "notifications" || m.Stream != "bets é%" || m.EntryID != handlertest.ID(i%3).String() {
			t.Errorf("message %d: %s %s %s", i, m.Group, m.Stream, m.EntryID)
		}
		if string(m.Body) != string(handlertest.Trade(i%3)) {
			t.Errorf("message %d: body %s", i, m.Body)
		}
		if !m.Verified || time.Since(m.Time) > time.Minute {
			t.Errorf("message %d: verified %t, sent at %v", i, m.Verified, m.Time)
		}
	}
}

func TestReceiverAnswers(t *testing.T) {
	t.Parallel()
	other := "whsec_" + strings.Repeat("A", 32)
	now := fmt.Sprint(time.Now().Unix())
	batch := func(n int) http.Header { return http.Header{"Fanout-Events": {fmt.Sprint(n)}} }
	tests := []struct {
		name           string
		secret         string
		method, body   string
		header         http.Header
		want, messages int
	}{
		{"get", "", "GET", "", nil, 405, 0},
		{"foreign", "", "POST", "hello", nil, 204, 1},
		{"empty", "", "POST", "", nil, 204, 1},
		{"not signed", secret, "POST", "{}", nil, 401, 0},
		{"wrong signature", secret, "POST", "{}", http.Header{"Webhook-Id": {"1"}, "Webhook-Timestamp": {now}, "Webhook-Signature": {"v1,AAAA"}}, 401, 0},
		{"no need of a signature", "", "POST", "{}", http.Header{"Webhook-Id": {"1"}, "Webhook-Timestamp": {now}, "Webhook-Signature": {"v1,AAAA"}}, 204, 1},
		{"too large", "", "POST", strings.Repeat("x", 101), nil, 413, 0},
		{"as large as may be", "", "POST", strings.Repeat("x", 100), nil, 204, 1},
		{"bad time", "", "POST", "{}", http.Header{"Webhook-Timestamp": {"now"}}, 400, 0},
		{"bad group", "", "POST", "{}", http.Header{"Fanout-Group": {"%zz"}}, 400, 0},
		{"bad stream", "", "POST", "{}", http.Header{"Fanout-Stream": {"%zz"}}, 400, 0},
		{"terminal sequence", "", "POST", "{}", http.Header{"Fanout-Stream": {"%1b[31m"}}, 400, 0},
		{"not UTF-8", "", "POST", "{}", http.Header{"Fanout-Group": {"%ff"}}, 400, 0},
		{"bad entry", "", "POST", "{}", http.Header{"Fanout-Id": {"five"}}, 400, 0},
		{"long ID", "", "POST", "{}", http.Header{"Webhook-Id": {strings.Repeat("x", 1025)}}, 400, 0},
		{"not a batch", "", "POST", "[", batch(1), 400, 0},
		{"not as many", "", "POST", `{"events": []}`, batch(1), 400, 0},
		{"batch", "", "POST", `{"events": [{"id": "1"}, {"id": "2", "data": null}]}`, batch(2), 204, 2},
		{"bad event", "", "POST", `{"events": [{"id": "1"}, {"id": "\n"}]}`, batch(2), 400, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			in := newInbox(t, webhook.ReceiverConfig{Secret: tt.secret, MaxBody: 100})
			req, err := http.NewRequestWithContext(t.Context(), tt.method, in.URL, strings.NewReader(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			for name, values := range tt.header {
				req.Header[name] = values
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if resp.StatusCode != tt.want || len(in.got()) != tt.messages {
				t.Errorf("answer %d and %d messages, want %d and %d", resp.StatusCode, len(in.got()), tt.want, tt.messages)
			}
			for _, m := range in.got() {
				if m.Verified {
					t.Error("a message is called verified without a secret")
				}
			}
		})
	}
	t.Run("another secret", func(t *testing.T) {
		t.Parallel()
		in := newInbox(t, webhook.ReceiverConfig{Secret: other})
		if err := open(t, config(in.URL, signed)).Handle(t.Context(), trades(t, 0, 1)); err == nil || !strings.Contains(err.Error(), "401") {
			t.Errorf("got %v, want 401", err)
		}
	})
	if _, err := webhook.NewReceiver(webhook.ReceiverConfig{Secret: "s3cret!"}); err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("a bad secret gives %v", err)
	}
}

// The memory of IDs is bounded: the oldest goes first.
func TestReceiverForgets(t *testing.T) {
	t.Parallel()
	in := newInbox(t, webhook.ReceiverConfig{Remember: 3})
	h := open(t, config(in.URL))
	for _, n := range []int{0, 1, 2, 0, 3, 0, 3} {
		if err := h.Handle(t.Context(), trades(t, n, 1)); err != nil {
			t.Fatal(err)
		}
	}
	var got []bool
	for _, m := range in.got() {
		got = append(got, m.Duplicate)
	}
	if want := fmt.Sprint([]bool{false, false, false, true, false, false, true}); fmt.Sprint(got) != want {
		t.Errorf("duplicates are %v, want %s", got, want)
	}
}

func TestReceiverConcurrent(t *testing.T) {
	t.Parallel()
	in := newInbox(t, webhook.ReceiverConfig{Secret: secret})
	h := open(t, config(in.URL, signed))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 5 {
				if err := h.Handle(t.Context(), trades(t, i, 1)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	fresh := 0
	for _, m := range in.got() {
		if !m.Duplicate {
			fresh++
		}
	}
	if fresh != 5 {
		t.Errorf("%d of 40 messages are new, want 5", fresh)
	}
}
