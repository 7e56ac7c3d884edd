package webhook

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"example.com/fanout/pkg/handler"
)

// Request is what [Config.Preview] shows of the request for one event, secrets
// masked.
type Request struct {
	Method  string            `json:"method"`
	URL     string            `json:"url"`
	Headers map[string]string `json:"headers"`
	Body    json.RawMessage   `json:"body,omitempty"`
	Bytes   []byte            `json:"body_base64,omitempty"` // in place of Body when the event is not JSON
}

// unknownID stands for a webhook-id: it depends on the epoch of the stream,
// which only Redis knows.
const unknownID = "msg_…"

// Preview implements [handler.Previewer]. What depends on the time of sending is
// left out; in a batch it shows the event alone.
func (c *Config) Preview(env handler.Env, d *handler.Delivery) (any, error) {
	form, err := c.form(env.Version)
	if err != nil {
		return nil, fmt.Errorf("preview webhook: %w", err)
	}
	m := form.single(env.Group, d)
	if c.Batch {
		if m, err = form.sample(env.Group, d); err != nil {
			return nil, fmt.Errorf("preview webhook: %w", err)
		}
	}
	p := Request{Method: http.MethodPost, URL: form.target, Headers: map[string]string{strings.ToLower(headerID): unknownID}}
	for name, values := range m.header {
		p.Headers[strings.ToLower(name)] = values[0]
	}
	for name := range form.header {
		if name != "User-Agent" {
			p.Headers[strings.ToLower(name)] = mask
		}
	}
	if form.signer != nil {
		p.Headers[strings.ToLower(headerSignature)] = "v1," + mask
	}
	if c.Batch || isJSON(d) {
		p.Body = m.body
	} else {
		p.Bytes = m.body
	}
	return p, nil
}

// sample is the message of a batch with one event.
func (f *form) sample(group string, d *handler.Delivery) (message, error) {
	m := f.all(group, []handler.Delivery{*d})
	var content batchBody
	if err := json.Unmarshal(m.body, &content); err != nil {
		return message{}, err
	}
	content.Events[0].ID = unknownID
	var err error
	m.body, err = json.Marshal(content)
	return m, err
}
