package webhook_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/handler/handlertest"
	"example.com/fanout/pkg/sink/webhook"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*webhook.Config){
		"single": func(*webhook.Config) {},
		"batch":  inBatches,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			handlertest.Run(t, handlertest.Config{
				New: func(t *testing.T) handler.Handler {
					s := serve(t, func(w http.ResponseWriter, r *http.Request) {
						if body, _ := io.ReadAll(r.Body); bytes.Contains(body, []byte(`{"bad"`)) {
							w.WriteHeader(http.StatusUnprocessableEntity)
						}
					})
					return open(t, config(s.URL, signed, change))
				},
				Bad: func(int) []byte { return []byte(`{"bad": true}`) },
			})
		})
	}
}

func TestSingleEvent(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	h := open(t, config(s.URL+"/hook?key=1", signed, func(c *webhook.Config) {
		c.Headers = webhook.Headers{{Name: "x-team", Value: "trading"}}
	}))
	if err := h.Handle(t.Context(), trades(t, 3, 1)); err != nil {
		t.Fatal(err)
	}
	got := s.got()
	if len(got) != 1 {
		t.Fatalf("%d requests, want 1", len(got))
	}
	r := got[0]
	if r.method != http.MethodPost || r.path != "/hook?key=1" {
		t.Errorf("got %s %s", r.method, r.path)
	}
	if want := handlertest.Trade(3); !bytes.Equal(r.body, want) {
		t.Errorf("body is %s, want the event as it was published: %s", r.body, want)
	}
	for name, want := range map[string]string{
		"Content-Type":  "application/json",
		"X-Team":        "trading",
		"fanout-group":  "notifications",
		"fanout-stream": handlertest.Stream,
		"fanout-id":     handlertest.ID(3).String(),
		"fanout-events": "",
	} {
		if got := r.Get(name); got != want {
			t.Errorf("header %s is %q, want %q", name, got, want)
		}
	}
	if agent := r.Get("User-Agent"); agent != "fanout/1.2.3" {
		t.Errorf("user agent is %q", agent)
	}
	verifier, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	if err := verifier.Verify(r.body, r.Header); err != nil {
		t.Errorf("verify: %v", err)
	}
	if err := verifier.Verify(append(r.body, ' '), r.Header); err == nil {
		t.Error("the signature does not depend on the body")
	}
}

func TestUnsigned(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	if err := open(t, config(s.URL)).Handle(t.Context(), trades(t, 0, 1)); err != nil {
		t.Fatal(err)
	}
	r := s.got()[0]
	if sig, ok := r.Header["Webhook-Signature"]; ok {
		t.Errorf("signature %q without a secret", sig)
	}
	if r.Get("webhook-id") == "" || r.Get("webhook-timestamp") == "" {
		t.Error("an unsigned request lacks its id or timestamp")
	}
}

// An identity is that of (group, epoch, stream, ID) and of nothing else.
func TestIDs(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	send := func(group, epoch, stream string, n int, payload string) string {
		t.Helper()
		d := handlertest.Delivery(t, stream, epoch, handlertest.ID(n), payload)
		h := open(t, config(s.URL)) // another process
		if err := h.Handle(t.Context(), handlertest.Batch(group, d)); err != nil {
			t.Fatal(err)
		}
		all := s.got()
		return all[len(all)-1].Get("webhook-id")
	}
	first := send("g", "e", "s", 0, `{}`)
	if again := send("g", "e", "s", 0, `{"other": 1}`); again != first {
		t.Errorf("a redelivery has the ID %s, the first had %s", again, first)
	}
	if !strings.HasPrefix(first, "msg_") || strings.Contains(first, ".") {
		t.Errorf("ID is %s", first)
	}
	seen := map[string]string{first: "first"}
	for name, id := range map[string]string{
		"group":      send("h", "e", "s", 0, `{}`),
		"epoch":      send("g", "f", "s", 0, `{}`),
		"stream":     send("g", "e", "t", 0, `{}`),
		"entry":      send("g", "e", "s", 1, `{}`),
		"boundary":   send("ge", "", "s", 0, `{}`),
		"boundary 2": send("g", "es", "", 0, `{}`),
	} {
		if other, taken := seen[id]; taken {
			t.Errorf("%s: same ID as %s", name, other)
		}
		seen[id] = name
	}
}

func TestBatch(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	h := open(t, config(s.URL, signed, inBatches))
	b := trades(t, 0, 2)
	b.Deliveries = append(b.Deliveries, raw(t, "\x00\xff"))
	b.Deliveries[2].ID = handlertest.ID(2)
	for range 2 {
		if err := h.Handle(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	single := open(t, config(s.URL))
	for i := range b.Deliveries {
		if err := single.Handle(t.Context(), &handler.Batch{Group: b.Group, Deliveries: b.Deliveries[i : i+1]}); err != nil {
			t.Fatal(err)
		}
	}
	got := s.got()
	if len(got) != 5 {
		t.Fatalf("%d requests, want 2 of batches and 3 of events", len(got))
	}
	first, again := got[0], got[1]
	if first.Get("webhook-id") != again.Get("webhook-id") || !bytes.Equal(first.body, again.body) {
		t.Error("a redelivered batch differs from the first")
	}
	verifier, _ := standardwebhooks.NewWebhook(secret)
	if err := verifier.Verify(first.body, first.Header); err != nil {
		t.Errorf("verify: %v", err)
	}
	if n := first.Get("fanout-events"); n != "3" {
		t.Errorf("fanout-events is %q", n)
	}
	if id := first.Get("fanout-id"); id != "" {
		t.Errorf("a batch claims to be the entry %s", id)
	}
	var body struct {
		Group  string
		Events []map[string]json.RawMessage
	}
	if err := json.Unmarshal(first.body, &body); err != nil {
		t.Fatalf("%v in %s", err, first.body)
	}
	if body.Group != "notifications" || len(body.Events) != 3 {
		t.Fatalf("body is %s", first.body)
	}
	for i, e := range body.Events {
		if id := string(e["id"]); id != `"`+got[2+i].Get("webhook-id")+`"` {
			t.Errorf("event %d has the ID %s in a batch and %s alone", i, id, got[2+i].Get("webhook-id"))
		}
		if id := string(e["entry_id"]); id != `"`+handlertest.ID(i).String()+`"` {
			t.Errorf("event %d has the entry ID %s", i, id)
		}
	}
	if want := handlertest.Trade(1); !bytes.Equal(body.Events[1]["data"], want) {
		t.Errorf("data is %s, want %s", body.Events[1]["data"], want)
	}
	if want := `"` + base64.StdEncoding.EncodeToString([]byte("\x00\xff")) + `"`; string(body.Events[2]["data_base64"]) != want {
		t.Errorf("a raw payload is %s, want %s", body.Events[2]["data_base64"], want)
	}
}

func TestRawEvent(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	if err := open(t, config(s.URL)).Handle(t.Context(), handlertest.Batch("g", raw(t, "\x00\xff"))); err != nil {
		t.Fatal(err)
	}
	r := s.got()[0]
	if r.Get("Content-Type") != "application/octet-stream" || string(r.body) != "\x00\xff" {
		t.Errorf("got %s %q", r.Get("Content-Type"), r.body)
	}
}

// The manifest's headers win over those that are not the request's own, and any
// stream name arrives.
func TestHeaders(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	h := open(t, config(strings.Replace(s.URL, "://", "://ann:pa%20ss@", 1), func(c *webhook.Config) {
		c.Headers = webhook.Headers{
			{Name: "content-type", Value: "application/cloudevents+json"},
			{Name: "User-Agent", Value: "bookmaker"},
		}
	}))
	d := handlertest.Delivery(t, "bets 100%\r\nX: é", "", handlertest.ID(0), `{}`)
	if err := h.Handle(t.Context(), handlertest.Batch("g", d)); err != nil {
		t.Fatal(err)
	}
	r := s.got()[0]
	for name, want := range map[string]string{
		"Content-Type":  "application/cloudevents+json",
		"User-Agent":    "bookmaker",
		"Authorization": "Basic " + base64.StdEncoding.EncodeToString([]byte("ann:pa ss")),
		"fanout-stream": "bets%20100%25%0D%0AX:%20%C3%A9",
	} {
		if got := r.Get(name); got != want {
			t.Errorf("header %s is %q, want %q", name, got, want)
		}
	}
}

func TestTimestampIsNow(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	before := time.Now().Unix()
	if err := open(t, config(s.URL)).Handle(t.Context(), trades(t, 0, 1)); err != nil {
		t.Fatal(err)
	}
	var at int64
	if err := json.Unmarshal([]byte(s.got()[0].Get("webhook-timestamp")), &at); err != nil {
		t.Fatal(err)
	}
	if at < before || at > time.Now().Unix() {
		t.Errorf("timestamp %d is not between %d and now", at, before)
	}
}
