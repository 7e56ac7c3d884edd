package webhook

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"example.com/fanout/pkg/stream"
)

// ReceiverConfig says what a [Receiver] does.
type ReceiverConfig struct {
	// Secret verifies requests; those that it has not signed are refused. ""
	// accepts every request, none of them verified.
	Secret string

	// OnMessage is called for each event, before the request is answered, from
	// as many goroutines as there are requests.
	OnMessage func(Message)

	MaxBody  int64 // bytes of a request's body at most; 0: 16 MiB
	Remember int   // message IDs to tell duplicates by, the oldest are forgotten; 0: 65536
}

// Message is one event as it was received. Of a request that this package did
// not send only ID, Time, Body and Verified may be set.
type Message struct {
	ID        string    // the same for every delivery of an event to a group
	Time      time.Time // when it was sent, by the sender's clock
	Group     string
	Stream    string
	EntryID   string
	Body      []byte // the event; the receiver does not use it again
	Verified  bool   // the signature is that of the secret
	Duplicate bool   // a message of that ID was received before
}

// Receiver receives what the handler sends. It answers 204 when all events of
// a request are received, 401 to a signature that is missing or wrong (or older
// than five minutes), 400 to what it cannot read, 405 to all but POST, 413 to
// bodies that are too large. What is in a [Message] besides Body holds no
// control characters. A Receiver is safe for concurrent use.
type Receiver struct {
	verifier  *standardwebhooks.Webhook // nil: nothing is verified
	onMessage func(Message)
	maxBody   int64

	mu   sync.Mutex
	seen map[string]struct{}
	ring []string // the same IDs in order of arrival, next is the oldest
	next int
}

// NewReceiver makes a Receiver. It fails on a secret that is not one.
func NewReceiver(c ReceiverConfig) (*Receiver, error) {
	verifier, _, err := parseSecret(c.Secret)
	if err != nil {
		return nil, fmt.Errorf("read webhook secret: %w", err)
	}
	if c.MaxBody == 0 {
		c.MaxBody = 16 << 20
	}
	if c.Remember == 0 {
		c.Remember = 1 << 16
	}
	return &Receiver{
		verifier:  verifier,
		onMessage: c.OnMessage,
		maxBody:   c.MaxBody,
		seen:      map[string]struct{}{},
		ring:      make([]string, c.Remember),
	}, nil
}

// ServeHTTP implements [http.Handler].
func (r *Receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if req.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "webhooks are posted", http.StatusMethodNotAllowed)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, r.maxBody))
	if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
		http.Error(w, "body is larger than "+strconv.FormatInt(r.maxBody, 10)+" bytes", http.StatusRequestEntityTooLarge)
		return
	}
	if err != nil {
		http.Error(w, "body ended early", http.StatusBadRequest)
		return
	}
	if r.verifier != nil {
		if err := r.verifier.Verify(body, req.Header); err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
	}
	messages, err := read(req.Header, body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	for _, m := range messages {
		m.Verified = r.verifier != nil
		m.Duplicate = r.repeated(m.ID)
		if r.onMessage != nil {
			r.onMessage(m)
		}
	}
	w.WriteHeader(http.StatusNoContent)
}

// repeated reports whether the ID was received before, and remembers it.
func (r *Receiver) repeated(id string) bool {
	if id == "" {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, known := r.seen[id]; known {
		return true
	}
	delete(r.seen, r.ring[r.next])
	r.ring[r.next] = id
	r.seen[id] = struct{}{}
	r.next = (r.next + 1) % len(r.ring)
	return false
}

// batchBody is the body of a request with all events of a batch.
type batchBody struct {
	Group  string       `json:"group"`
	Events []batchEvent `json:"events"`
}

type batchEvent struct {
	ID      string          `json:"id"`
	Stream  string          `json:"stream"`
	EntryID string          `json:"entry_id"`
	Data    json.RawMessage `json:"data,omitempty"`
	Bytes   []byte          `json:"data_base64,omitempty"`
}

// read takes a request apart into its events.
func read(h http.Header, body []byte) ([]Message, error) {
	base := Message{ID: h.Get(headerID), EntryID: h.Get(headerEntry)}
	var err error
	if base.Group, err = url.PathUnescape(h.Get(headerGroup)); err != nil {
		return nil, errors.New("fanout-group is not percent-encoded")
	}
	if base.Stream, err = url.PathUnescape(h.Get(headerStream)); err != nil {
		return nil, errors.New("fanout-stream is not percent-encoded")
	}
	if text := h.Get(headerTimestamp); text != "" {
		seconds, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, errors.New("webhook-timestamp is not a number of seconds")
		}
		base.Time = time.Unix(seconds, 0)
	}
	if h.Get(headerEvents) == "" {
		base.Body = body
		return []Message{base}, base.check()
	}
	var content batchBody
	if err := json.Unmarshal(body, &content); err != nil {
		return nil, errors.New("body is not a batch")
	}
	if text := h.Get(headerEvents); text != strconv.Itoa(len(content.Events)) {
		return nil, errors.New("fanout-events is not the number of events in the body")
	}
	messages := make([]Message, len(content.Events))
	for i, e := range content.Events {
		m := base
		m.ID, m.Stream, m.EntryID, m.Body = e.ID, e.Stream, e.EntryID, e.Data
		m.Group = content.Group
		if e.Data == nil {
			m.Body = e.Bytes
		}
		if err := m.check(); err != nil {
			return nil, fmt.Errorf("event %d: %w", i, err)
		}
		messages[i] = m
	}
	return messages, nil
}

// check keeps out what would garble a terminal or fill the memory of IDs.
func (m *Message) check() error {
	const longest = 1024
	for _, part := range [...]struct{ name, text string }{
		{"id", m.ID}, {"group", m.Group}, {"stream", m.Stream}, {"entry ID", m.EntryID},
	} {
		if len(part.text) > longest {
			return fmt.Errorf("%s is longer than %d bytes", part.name, longest)
		}
		if !utf8.ValidString(part.text) {
			return fmt.Errorf("%s is not UTF-8", part.name)
		}
		for _, c := range part.text {
			if !unicode.IsPrint(c) {
				return fmt.Errorf("%s holds a control character", part.name)
			}
		}
	}
	if m.EntryID != "" {
		if _, err := stream.ParseID(m.EntryID); err != nil {
			return errors.New("entry ID is not one of a stream")
		}
	}
	return nil
}
