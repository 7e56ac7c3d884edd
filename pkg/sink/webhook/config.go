package webhook

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/telemetry"
)

// Config is the part of the manifest below "webhook".
type Config struct {
	URL         telemetry.Secret `yaml:"url" required:"true" doc:"http:// or https:// endpoint that the events are posted to; only its host is ever shown"`
	Secret      telemetry.Secret `yaml:"secret" doc:"signing secret of Standard Webhooks: whsec_ and base64; without it requests are unsigned"`
	Headers     Headers          `yaml:"headers" doc:"more request headers, name to value; values are never shown"`
	Batch       bool             `yaml:"batch" default:"false" doc:"true posts all events of a batch in one request"`
	Timeout     time.Duration    `yaml:"timeout" default:"10s" min:"10ms" max:"1h" doc:"of one request; keep it below the group's timeout"`
	MaxResponse int              `yaml:"max_response" default:"65536" min:"0" max:"16777216" doc:"bytes of an answer that are read at most; a longer one costs its connection"`
	CAFile      string           `yaml:"ca_file" doc:"PEM file with the certificates to trust instead of the system's"`
}

// Headers are request headers in the order of the manifest.
type Headers []Header

// Header is one request header.
type Header struct {
	Name  string           `yaml:",key"`
	Value telemetry.Secret `yaml:",value"`
}

// minKey is the shortest signing key that Standard Webhooks recommends.
const minKey = 24

const mask = "***"

// reserved are headers that the request itself decides on.
var reserved = map[string]string{
	"Host":              "it follows from url",
	"Content-Length":    "it follows from the body",
	"Content-Encoding":  "the body is sent as it is",
	"Transfer-Encoding": "it belongs to the connection",
	"Connection":        "it belongs to the connection",
	"Proxy-Connection":  "it belongs to the connection",
	"Keep-Alive":        "it belongs to the connection",
	"Te":                "it belongs to the connection",
	"Trailer":           "it belongs to the connection",
	"Upgrade":           "it belongs to the connection",
	"Expect":            "it belongs to the connection",
	"Webhook-Id":        "every request has its own",
	"Webhook-Timestamp": "every request has its own",
	"Webhook-Signature": "every request has its own",
}

// Check implements [handler.Config].
func (c *Config) Check() []handler.Finding {
	var found []handler.Finding
	fault := func(path, format string, args ...any) {
		found = append(found, handler.Finding{Path: path, Message: fmt.Sprintf(format, args...)})
	}
	endpoint, err := parseURL(c.URL.Reveal())
	if err != nil {
		fault("url", "%v", err)
	}
	switch signer, size, err := parseSecret(c.Secret.Reveal()); {
	case err != nil:
		fault("secret", "%v", err)
	case signer == nil:
		found = append(found, handler.Finding{Path: "secret", Warning: true,
			Message: "not set: requests are unsigned, a receiver cannot tell them from forged ones"})
	case size < minKey:
		found = append(found, handler.Finding{Path: "secret", Warning: true,
			Message: fmt.Sprintf("the key has %d bytes; Standard Webhooks asks for at least %d", size, minKey)})
	}
	seen := map[string]string{}
	for _, h := range c.Headers {
		path := "headers." + h.Name
		name := textproto.CanonicalMIMEHeaderKey(h.Name)
		switch {
		case !validName(h.Name):
			fault(path, "not a header name")
		case reserved[name] != "":
			fault(path, "cannot be set: %s", reserved[name])
		case strings.HasPrefix(name, "Fanout-"):
			fault(path, "cannot be set: names that begin with fanout- are taken")
		case seen[name] != "":
			fault(path, "is the same header as %s", seen[name])
		case name == "Authorization" && endpoint != nil && endpoint.User != nil:
			fault(path, "url holds a user name already")
		}
		if !validValue(h.Value.Reveal()) {
			fault(path, "the value holds a line break or another control character")
		}
		seen[name] = h.Name
	}
	return found
}

// parseURL accepts absolute http and https URLs. Its errors do not show the
// text, which may hold credentials anywhere.
func parseURL(text string) (*url.URL, error) {
	if text == "" {
		return nil, fmt.Errorf("is empty")
	}
	u, err := url.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("is not a URL")
	}
	if u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("must begin with http:// or https://")
	}
	if u.Hostname() == "" {
		return nil, fmt.Errorf("has no host")
	}
	if p := u.Port(); p != "" {
		if n, err := strconv.Atoi(p); err != nil || n < 1 || n > 65535 {
			return nil, fmt.Errorf("has a port that is not between 1 and 65535")
		}
	}
	if u.Fragment != "" {
		return nil, fmt.Errorf("has a fragment (#…), which is never sent")
	}
	return u, nil
}

// parseSecret returns what signs with a secret and the size of its key in
// bytes; nil for no secret. Its errors do not show the text.
func parseSecret(text string) (signer *standardwebhooks.Webhook, size int, err error) {
	if text == "" {
		return nil, 0, nil
	}
	signer, err = standardwebhooks.NewWebhook(text)
	if err != nil {
		return nil, 0, fmt.Errorf("must be base64, with or without whsec_ before it")
	}
	key, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(text, "whsec_"))
	if len(key) == 0 {
		return nil, 0, fmt.Errorf("holds no key after whsec_")
	}
	return signer, len(key), nil
}

// validName reports whether s is a token of RFC 9110.
func validName(s string) bool {
	for i := range len(s) {
		c := s[i]
		alnum := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !alnum && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) {
			return false
		}
	}
	return s != ""
}

func validValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// shown is as much of the endpoint as errors and previews may tell: many
// services keep their credentials in the path or the query.
func shown(u *url.URL) string {
	s := u.Scheme + "://" + u.Host
	if u.RequestURI() != "/" {
		s += "/" + mask
	}
	return s
}

// Prefers implements [handler.Preferrer]: one event a call needs many calls at
// once to be fast.
func (c *Config) Prefers() handler.Preferences {
	if c.Batch {
		return handler.Preferences{}
	}
	return handler.Preferences{BatchSize: 1, Concurrency: 16}
}

// Repeats implements [handler.Repeater].
func (c *Config) Repeats() handler.Repetition {
	return handler.Repetition{Effect: "is sent again, with the same webhook-id"}
}

// Redirect implements [handler.Redirecter]. What belongs to the real endpoint
// alone, its headers and certificates, is dropped.
func (c *Config) Redirect(_, inbox, secret string) {
	c.URL = telemetry.Secret(inbox)
	c.Secret = telemetry.Secret(secret)
	c.Headers = nil
	c.CAFile = ""
}

// New implements [handler.Config].
func (c *Config) New(env handler.Env) (handler.Handler, error) {
	for _, f := range c.Check() {
		if !f.Warning {
			return nil, fmt.Errorf("check webhook: %s: %s", f.Path, f.Message)
		}
	}
	form, err := c.form(env.Version)
	if err != nil {
		return nil, fmt.Errorf("prepare webhook: %w", err)
	}
	transport, err := newTransport(c.CAFile)
	if err != nil {
		return nil, err
	}
	return &sender{
		form:        form,
		batch:       c.Batch,
		timeout:     c.Timeout,
		maxResponse: int64(c.MaxResponse),
		transport:   transport,
		mask:        c.masker(),
	}, nil
}

// form prepares what all requests of a version of the program have in common.
func (c *Config) form(version string) (*form, error) {
	u, err := parseURL(c.URL.Reveal())
	if err != nil {
		return nil, fmt.Errorf("url %w", err)
	}
	signer, _, err := parseSecret(c.Secret.Reveal())
	if err != nil {
		return nil, fmt.Errorf("secret %w", err)
	}
	f := &form{url: u, target: shown(u), header: http.Header{}, signer: signer}
	f.header.Set("User-Agent", "fanout/"+cmp.Or(strings.TrimPrefix(version, "v"), "dev"))
	if u.User != nil {
		password, _ := u.User.Password()
		r := http.Request{Header: f.header}
		r.SetBasicAuth(u.User.Username(), password)
		u.User = nil
	}
	for _, h := range c.Headers {
		f.header.Set(h.Name, h.Value.Reveal())
	}
	return f, nil
}

// masker replaces every secret of the configuration: an endpoint may repeat in
// its answer what it was sent.
func (c *Config) masker() *strings.Replacer {
	var pairs []string
	hide := func(s string) {
		if len(s) >= 4 { // anything shorter would garble the text and hide nothing
			pairs = append(pairs, s, mask)
		}
	}
	hide(c.URL.Reveal())
	hide(c.Secret.Reveal())
	for _, h := range c.Headers {
		hide(h.Value.Reveal())
		if _, credentials, ok := strings.Cut(h.Value.Reveal(), " "); ok {
			hide(credentials)
		}
	}
	if u, err := url.Parse(c.URL.Reveal()); err == nil {
		hide(u.RequestURI())
		if u.User != nil {
			password, _ := u.User.Password()
			hide(password)
			hide(base64.StdEncoding.EncodeToString([]byte(u.User.Username() + ":" + password)))
		}
		for _, values := range u.Query() {
			for _, v := range values {
				hide(v)
			}
		}
	}
	return strings.NewReplacer(pairs...)
}
