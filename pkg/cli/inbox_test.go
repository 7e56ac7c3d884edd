package cli

import (
	"bytes"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

const (
	inboxSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	otherSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSx"
)

// startInbox runs an inbox and returns its URL.
func startInbox(t *testing.T, c *caller, args ...string) (url string, cancel func(), wait func() int) {
	t.Helper()
	cancel, wait = c.start(t, append([]string{"inbox", "--listen", "127.0.0.1:0"}, args...)...)
	var found []string
	eventually(t, "inbox", func() bool {
		found = regexp.MustCompile(`inbox listens at (http://\S+/), `).FindStringSubmatch(c.err.String())
		return found != nil
	})
	return found[1], cancel, wait
}

// post sends one webhook, signed with the secret unless that is empty.
func post(t *testing.T, url, id, secret, body string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("webhook-id", id)
	req.Header.Set("fanout-group", "notifications")
	req.Header.Set("fanout-id", "1763856000123-0")
	if secret != "" {
		signer, err := standardwebhooks.NewWebhook(secret)
		if err != nil {
			t.Fatal(err)
		}
		now := time.Now()
		signature, err := signer.Sign(id, now, []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("webhook-timestamp", strconv.FormatInt(now.Unix(), 10))
		req.Header.Set("webhook-signature", signature)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	_, _ = new(bytes.Buffer).ReadFrom(resp.Body)
	return resp.StatusCode
}

func TestInbox(t *testing.T) {
	t.Parallel()
	c := &caller{environ: map[string]string{"WEBHOOK_SECRET": inboxSecret}}
	url, cancel, wait := startInbox(t, c)
	contains(t, c.err.String(), "signatures are verified")
	for _, test := range []struct {
		id, secret, body string
		status           int
		want             string
	}{
		{"msg_1", inboxSecret, `{"stake":1}`, 204, ` notifications 1763856000123-0 msg_1 (verified) {"stake":1}` + "\n"},
		{"msg_1", inboxSecret, `{"stake":1}`, 204, ` msg_1 (verified, again) {"stake":1}` + "\n"},
		{"msg_2", otherSecret, `{"stake":2}`, 401, " refused with 401: "},
		{"msg_3", "", `{"stake":3}`, 401, " refused with 401: "},
		{"msg_4", inboxSecret, "{\"a\":\"\x1b[2J\u202e\"}\n", 204, ` msg_4 (verified) {"a":"\x1b[2J\u202e"}\n` + "\n"},
	} {
		before := len(c.out.String())
		if status := post(t, url, test.id, test.secret, test.body); status != test.status {
			t.Errorf("%s: status %d, want %d", test.id, status, test.status)
		}
		eventually(t, "line", func() bool { return len(c.out.String()) > before })
		contains(t, c.out.String()[before:], test.want)
		if strings.Count(c.out.String()[before:], "\n") != 1 {
			t.Errorf("%s: not one line: %q", test.id, c.out.String()[before:])
		}
	}
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	eventually(t, "refusal of GET", func() bool { return strings.Contains(c.out.String(), "refused with 405: webhooks are posted") })
	if text := c.out.String() + c.err.String(); strings.Contains(text, inboxSecret) {
		t.Errorf("the secret is shown:\n%s", text)
	}
	cancel()
	if code := wait(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
}

func TestInboxWithoutSecret(t *testing.T) {
	t.Parallel()
	c := &caller{}
	url, _, _ := startInbox(t, c)
	contains(t, c.err.String(), "nothing is verified without a secret")
	if status := post(t, url, "msg_1", otherSecret, "{}"); status != 204 {
		t.Errorf("status %d", status)
	}
	eventually(t, "line", func() bool { return strings.Contains(c.out.String(), " msg_1 (unsigned) {}\n") })
	if resp, err := http.Post(url, "text/plain", strings.NewReader("hello")); err != nil {
		t.Error(err)
	} else {
		resp.Body.Close()
	}
	eventually(t, "line of a stranger", func() bool { return strings.Contains(c.out.String(), "- - - - (unsigned) hello\n") })
}

// The flag wins over the environment, and the help shows neither.
func TestInboxSecretFlag(t *testing.T) {
	t.Parallel()
	c := &caller{environ: map[string]string{"WEBHOOK_SECRET": otherSecret}}
	url, _, _ := startInbox(t, c, "--secret", inboxSecret)
	if status := post(t, url, "msg_1", inboxSecret, "{}"); status != 204 {
		t.Errorf("status %d", status)
	}
	asked := &caller{environ: map[string]string{"WEBHOOK_SECRET": otherSecret}}
	if help, _ := asked.call(t, exitOK, "help", "inbox"); strings.Contains(help, otherSecret) || !strings.Contains(help, "$WEBHOOK_SECRET") {
		t.Errorf("help:\n%s", help)
	}
}

func TestInboxPortTaken(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, stderr := call(t, exitFailure, "inbox", "--listen", l.Addr().String())
	contains(t, stderr, "open inbox: ", l.Addr().String(), "address already in use", "--listen names another address")
}
