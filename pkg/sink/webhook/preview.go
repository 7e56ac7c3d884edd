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

// Preview implements [handler.Previewer]. What depends on the group or the time
// of sending is left out; in a batch it shows the event alone.
func (c *Config) Preview(d *handler.Delivery) (any, error) {
	form, err := c.form()
	if err != nil {
		return nil, fmt.Errorf("preview webhook: %w", err)
	}
	m := form.single("", d)
	if c.Batch {
		if m, err = form.sample(d); err != nil {
			return nil, fmt.Errorf("preview webhook: %w", err)
		}
	}
	p := Request{Method: http.MethodPost, URL: form.target, Headers: map[string]string{}}
	for name, values := range m.header {
		if name != headerGroup {
			p.Headers[strings.ToLower(name)] = values[0]
		}
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

// sample is the message of a batch with one event, without what the group's
// name decides on.
func (f *form) sample(d *handler.Delivery) (message, error) {
	m := f.all("", []handler.Delivery{*d})
	var content batchBody
	if err := json.Unmarshal(m.body, &content); err != nil {
		return message{}, err
	}
	content.Group, content.Events[0].ID = "", ""
	var err error
	m.body, err = json.Marshal(content)
	return m, err
}
