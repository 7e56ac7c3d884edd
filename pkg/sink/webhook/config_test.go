package webhook_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/handler/handlertest"
	"example.com/fanout/pkg/sink/webhook"
	"example.com/fanout/pkg/telemetry"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	headers := func(pairs ...string) func(*webhook.Config) {
		return func(c *webhook.Config) {
			for i := 0; i < len(pairs); i += 2 {
				c.Headers = append(c.Headers, webhook.Header{Name: pairs[i], Value: telemetry.Secret(pairs[i+1])})
			}
		}
	}
	key := func(s string) func(*webhook.Config) {
		return func(c *webhook.Config) { c.Secret = telemetry.Secret(s) }
	}
	const ok = "https://example.com/t0ken"
	tests := []struct {
		url    string
		change func(*webhook.Config)
		want   []string // path: message; warnings in brackets
	}{
		{ok, signed, nil},
		{"http://[::1]:7601", signed, nil},
		{"http://127.0.0.1:7601/", key(""), []string{"(secret: not set: requests are unsigned, a receiver cannot tell them from forged ones)"}},
		{"", signed, []string{"url: is empty"}},
		{"t0ken", signed, []string{"url: must begin with http:// or https://"}},
		{"ftp://t0ken", signed, []string{"url: must begin with http:// or https://"}},
		{"http://t0ken\x7f", signed, []string{"url: is not a URL"}},
		{"http://ann:t0ken%@h", signed, []string{"url: is not a URL"}},
		{"http:///t0ken", signed, []string{"url: has no host"}},
		{"http://:80/t0ken", signed, []string{"url: has no host"}},
		{"http://h:0/", signed, []string{"url: has a port that is not between 1 and 65535"}},
		{"http://h:65536/", signed, []string{"url: has a port that is not between 1 and 65535"}},
		{"http://h/#t0ken", signed, []string{"url: has a fragment (#…), which is never sent"}},
		{ok, key("t0ken!"), []string{"secret: must be base64, with or without whsec_ before it"}},
		{ok, key("whsec_"), []string{"secret: holds no key after whsec_"}},
		{ok, key("whsec_dDBrZW4="), []string{"(secret: the key has 5 bytes; Standard Webhooks asks for at least 24)"}},
		{ok, headers("Authorization", "Bearer t0ken", "x-y_z.0", "", "X-Umlaut", "ä\t"), nil},
		{ok, headers("", "t0ken"), []string{"headers.: not a header name"}},
		{ok, headers("a b", "t0ken", "é", ""), []string{"headers.a b: not a header name", "headers.é: not a header name"}},
		{ok, headers("X", "t0ken\r\nY: 1"), []string{"headers.X: the value holds a line break or another control character"}},
		{ok, headers("X-Key", "t0ken", "x-key", "2"), []string{"headers.x-key: is the same header as X-Key"}},
		{ok, headers("host", "t0ken"), []string{"headers.host: cannot be set: it follows from url"}},
		{ok, headers("content-length", "1"), []string{"headers.content-length: cannot be set: it follows from the body"}},
		{ok, headers("Webhook-ID", "1"), []string{"headers.Webhook-ID: cannot be set: every request has its own"}},
		{ok, headers("Fanout-Other", "1"), []string{"headers.Fanout-Other: cannot be set: names that begin with fanout- are taken"}},
		{"http://ann:t0ken@h", headers("authorization", "t0ken"), []string{"headers.authorization: url holds a user name already"}},
		{"", func(c *webhook.Config) { key("!")(c); headers("a b", "")(c) },
			[]string{"url: is empty", "secret: must be base64, with or without whsec_ before it", "headers.a b: not a header name"}},
	}
	for _, tt := range tests {
		c := config(tt.url, signed, tt.change)
		var got []string
		faults := 0
		for _, f := range c.Check() {
			text := f.Path + ": " + f.Message
			if f.Warning {
				text = "(" + text + ")"
			} else {
				faults++
			}
			got = append(got, text)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%q:\n%q\nwant\n%q", tt.url, got, tt.want)
		}
		if strings.Contains(fmt.Sprint(got), "t0ken") {
			t.Errorf("%q shows a secret", got)
		}
		h, err := c.New(handler.Env{})
		if (err != nil) != (faults > 0) {
			t.Errorf("%q: New gives %v with %d faults", tt.url, err, faults)
		}
		if err != nil && strings.Contains(err.Error(), "t0ken") {
			t.Errorf("%q shows a secret", err)
		}
		if err == nil {
			_ = h.Close()
		}
	}
}

// The factory's config holds the defaults that its tags promise.
func TestDefaults(t *testing.T) {
	t.Parallel()
	c := reflect.ValueOf(webhook.Factory().Config()).Elem()
	for i := range c.NumField() {
		f := c.Type().Field(i)
		tag, ok := f.Tag.Lookup("default")
		if !ok {
			continue
		}
		if got := fmt.Sprint(c.Field(i)); got != tag {
			t.Errorf("%s is %s, its tag says %s", f.Name, got, tag)
		}
	}
}

func TestPrefers(t *testing.T) {
	t.Parallel()
	if got, want := config("").Prefers(), (handler.Preferences{BatchSize: 1, Concurrency: 16}); got != want {
		t.Errorf("one event a call: %v, want %v", got, want)
	}
	if got, want := config("", inBatches).Prefers(), (handler.Preferences{}); got != want {
		t.Errorf("batches: %v, want %v", got, want)
	}
}

func TestRedirect(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	c := config("https://ann:pass@example.com/t0ken", func(c *webhook.Config) {
		c.Headers = webhook.Headers{{Name: "X-Key", Value: "s3cret"}}
		c.CAFile = "/nowhere/ca.pem"
	})
	var _ handler.Redirecter = c
	c.Redirect(t.TempDir(), s.URL+"/in", secret)
	if err := open(t, c).Handle(t.Context(), trades(t, 0, 1)); err != nil {
		t.Fatal(err)
	}
	r := s.got()[0]
	if r.path != "/in" || r.Get("webhook-signature") == "" {
		t.Errorf("got %s, signature %q", r.path, r.Get("webhook-signature"))
	}
	if r.Get("X-Key") != "" || r.Get("Authorization") != "" {
		t.Error("the endpoint's credentials went to the inbox")
	}
}

func TestPreview(t *testing.T) {
	t.Parallel()
	full := func(c *webhook.Config) {
		signed(c)
		c.Headers = webhook.Headers{{Name: "X-Key", Value: "s3cret"}}
	}
	trade := `{"trade_id":1}`
	tests := map[string]struct {
		change func(*webhook.Config)
		d      handler.Delivery
		want   map[string]any
	}{
		"single": {full, handlertest.Delivery(t, "bets", "", handlertest.ID(0), trade), map[string]any{
			"method": "POST",
			"url":    "https://example.com/***",
			"headers": map[string]any{
				"webhook-id": "msg_…", "user-agent": "fanout/1.2.3",
				"content-type": "application/json", "fanout-group": "notifications", "fanout-stream": "bets", "fanout-id": handlertest.ID(0).String(),
				"authorization": "***", "x-key": "***", "webhook-signature": "v1,***",
			},
			"body": map[string]any{"trade_id": 1.0},
		}},
		"batch": {func(c *webhook.Config) { inBatches(c) }, handlertest.Delivery(t, "bets", "", handlertest.ID(0), trade), map[string]any{
			"method": "POST",
			"url":    "https://example.com/***",
			"headers": map[string]any{
				"webhook-id": "msg_…", "user-agent": "fanout/1.2.3",
				"content-type": "application/json", "fanout-group": "notifications", "fanout-events": "1", "authorization": "***",
			},
			"body": map[string]any{"group": "notifications", "events": []any{map[string]any{
				"id": "msg_…", "stream": "bets", "entry_id": handlertest.ID(0).String(), "data": map[string]any{"trade_id": 1.0},
			}}},
		}},
		"raw": {func(*webhook.Config) {}, raw(t, "12"), map[string]any{
			"method": "POST",
			"url":    "https://example.com/***",
			"headers": map[string]any{
				"webhook-id": "msg_…", "user-agent": "fanout/1.2.3",
				"content-type": "application/octet-stream", "fanout-group": "notifications", "fanout-stream": handlertest.Stream,
				"fanout-id": handlertest.ID(0).String(), "authorization": "***",
			},
			"body_base64": base64.StdEncoding.EncodeToString([]byte("12")),
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := config("https://ann:pass@example.com/t0ken?key=t0ken", tt.change)
			p, err := c.Preview(handlertest.Env(t, "notifications"), &tt.d)
			if err != nil {
				t.Fatal(err)
			}
			text, err := json.Marshal(p)
			if err != nil {
				t.Fatal(err)
			}
			var got map[string]any
			if err := json.Unmarshal(text, &got); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got\n%v\nwant\n%v", got, tt.want)
			}
		})
	}
}
