package browser

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

const secret = "a-token-of-more-than-16"

// Without the token the page shows nothing but a field for it.
func TestToken(t *testing.T) {
	t.Parallel()
	x := newSite(t, settings{admin: "token: " + secret, groups: market})
	b := openTab(t)
	b.allow("401")
	b.open(x.url())
	b.sees("This server wants its token")
	if text := value[string](b, `document.body.innerText`); strings.Contains(text, "analytics") {
		t.Errorf("a stranger reads:\n%s", text)
	}
	b.keys("wrong") // the field has the focus
	b.press("Unlock")
	b.sees("This token is not the one.")
	b.click("#token", "")
	b.keys(secret + "\r")
	b.sees("analytics")
	b.until(`!document.querySelector(".lock").checkVisibility()`)
	if got := value[[]string](b, `[sessionStorage.length, localStorage.length, document.cookie].map(String)`); got[0] != "1" || got[1] != "0" || got[2] != "" {
		t.Errorf("kept in the session, for good, as cookies: %q", got)
	}
	b.hash("#/group/analytics")
	b.press("Pause")
	b.sees("analytics is paused.")
	b.hash("#/market") // streams show it too
	b.sees("Trades")
	b.press("Forget token")
	b.sees("This server wants its token")
	if left := value[string](b, `document.querySelector("main").textContent`); left != "" {
		t.Errorf("behind the lock there is %q", left)
	}
	x.exchange = newExchange(0, 5)
	x.publish(x.trades(20)...)
	b.until(`document.activeElement.id === "token"`)
	b.keys(secret + "\r")
	b.until(`document.querySelectorAll(".tape tr[data-id]").length > 10`) // the trades are followed again

	// The token is another one: what was shown goes, and comes back with the new one.
	const other = "another-token-of-more-than-16"
	for _, lost := range []string{"ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED_ENCODING", "ERR_EMPTY_RESPONSE", "ERR_CONNECTION_RESET"} {
		b.allow(lost)
	}
	x.stop()
	path := filepath.Join(x.dir, "groups.yaml")
	manifest, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, bytes.ReplaceAll(manifest, []byte(secret), []byte(other)), 0o600); err != nil {
		t.Fatal(err)
	}
	x.start()
	b.sees("This server wants its token")
	b.until(`document.querySelector("main").textContent === ""`)
	b.until(`document.activeElement.id === "token"`)
	b.keys(other + "\r")
	b.sees("Busiest")
	x.publish(x.trades(30)...)
	b.until(`document.querySelectorAll(".tape tr[data-id]").length > 10`)
}

// On a server that changes nothing no button does anything, and each says why.
func TestReadOnly(t *testing.T) {
	t.Parallel()
	x := newSite(t, settings{admin: "read_only: true", groups: market + settlement})
	b := openGroup(t, x, "settlement")
	b.until(find(".badge", "read-only"))
	b.until(`document.querySelector(".actions").innerText.includes("read-only")`)
	for _, label := range []string{"Pause", "Restart", "Stop", "Seek"} {
		got := value[[]string](b, `((b) => [b.getAttribute("aria-disabled"), b.title])(`+find("button", label)+`)`)
		if got[0] != "true" || !strings.Contains(got[1], "admin.read_only") {
			t.Errorf("%s: disabled %s, because %q", label, got[0], got[1])
		}
		b.press(label)
	}
	if value[bool](b, `Boolean(document.querySelector("dialog"))`) || x.status("settlement")["state"] != "running" {
		t.Error("a button has done something")
	}
}

// When the server is away the page says so and how old what it shows is; it comes
// back by itself.
func TestDisconnected(t *testing.T) {
	t.Parallel()
	x := newSite(t, settings{groups: market})
	b := openTab(t)
	b.allow("ERR_CONNECTION_REFUSED")
	b.allow("ERR_INCOMPLETE_CHUNKED_ENCODING")
	b.allow("ERR_EMPTY_RESPONSE")
	b.allow("ERR_CONNECTION_RESET")
	b.open(x.url())
	b.sees("analytics")
	b.until(find(".light", "live"))
	if value[bool](b, `document.querySelector(".alarm").checkVisibility()`) {
		t.Error("there is an alarm")
	}

	// It hangs: nothing comes.
	if err := x.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	b.until(`/(Nothing comes from the server|Disconnected).* What you see is .* old, as of \d/.test(document.querySelector(".alarm").innerText)`)
	if err := x.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	b.until(find(".light", "live"))

	// It has ended.
	x.stop()
	b.until(`/Disconnected.* What you see is .* old, as of .* Next try in/.test(document.querySelector(".alarm").innerText)`)
	if !value[bool](b, `document.body.innerText.includes("analytics")`) {
		t.Error("what was known is gone")
	}
	x.start()
	b.until(find(".light", "live"))
	b.until(`!document.querySelector(".alarm").checkVisibility()`)
}

// The page can be worked without a mouse.
func TestKeyboard(t *testing.T) {
	t.Parallel()
	x, _ := newPage(t)
	b := openTab(t)
	b.open(x.url())
	b.sees("settlement")
	focus := func(want string) {
		t.Helper()
		for range 40 {
			b.keys("\t")
			if value[string](b, `document.activeElement.textContent.trim()`) == want {
				if !value[bool](b, `document.activeElement.matches(":focus-visible") && getComputedStyle(document.activeElement).outlineStyle !== "none"`) {
					t.Errorf("nothing shows that %s has the focus", want)
				}
				return
			}
		}
		t.Fatalf("Tab does not come to %s", want)
	}
	focus("settlement")
	b.keys("\r")
	b.sees("Oldest pending")
	focus("Stop")
	b.keys("\r")
	b.sees("Stop settlement?")
	if got := value[string](b, `document.activeElement.textContent`); got != "Cancel" {
		t.Errorf("the focus is on %q", got)
	}
	b.keys("\x1b")
	b.until(`!document.querySelector("dialog")`)
	if got := value[string](b, `document.activeElement.textContent`); got != "Stop" {
		t.Errorf("after the dialog the focus is on %q", got)
	}
	focus("Seek…")
	b.hash("#/market/analytics/m-1")
	b.until(`document.querySelectorAll(".candle").length > 0`)
	value[any](b, `void document.querySelector(".candles").focus()`)
	b.arrow("ArrowLeft")
	b.until(`document.querySelector(".readout.picked") !== null`)
}

// The page's own files tell a browser to load and reach nothing else.
func TestPolicy(t *testing.T) {
	t.Parallel()
	x := newSite(t, settings{groups: market})
	resp, err := http.Get(x.url())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	policy := resp.Header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"} {
		if !strings.Contains(policy, want) {
			t.Errorf("the policy lacks %s: %s", want, policy)
		}
	}
	b := openTab(t)
	b.allow("violates the following")
	b.allow("Content Security Policy")
	b.allow("Refused to")
	b.allow("Trusted")
	b.open(x.url())
	b.sees("analytics")
	for what, script := range map[string]string{
		"a script in the page": `(() => { const s = document.createElement("script"); s.textContent = "window.hacked = true"; document.body.append(s); return window.hacked === undefined; })()`,
		"markup of others":     `(() => { try { document.body.innerHTML = "<b>x</b>"; return false; } catch { return true; } })()`,
	} {
		if !value[bool](b, `(() => { try { return `+script+`; } catch { return true; } })()`) {
			t.Errorf("%s is allowed", what)
		}
	}
	value[any](b, fmt.Sprintf(`void fetch(%q).then(() => { window.reached = true; }, () => { window.reached = false; })`, "http://127.0.0.1:1/"))
	b.until(`window.reached === false`)
}
