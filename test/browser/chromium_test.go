package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// tab is one tab of a Chromium of its own. Whatever the page says on its console
// as an error, and whatever its policy has kept it from, fails the test unless it
// is allowed.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu      sync.Mutex
	faults  []string
	allowed []string
}

// openTab starts a Chromium, which ends with the test.
func openTab(t *testing.T) *tab {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(chromium), chromedp.WSURLReadTimeout(*patience))
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // Chromium's own sandbox does not run as root
	}
	allocator, endBrowser := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(endBrowser)
	ctx, closeTab := chromedp.NewContext(allocator)
	t.Cleanup(closeTab)
	return newTab(t, ctx)
}

// another opens a tab more in the same Chromium.
func (b *tab) another() *tab {
	b.t.Helper()
	ctx, closeTab := chromedp.NewContext(b.ctx)
	b.t.Cleanup(closeTab)
	return newTab(b.t, ctx)
}

func newTab(t *testing.T, ctx context.Context) *tab {
	t.Helper()
	b := &tab{t: t, ctx: ctx, allowed: []string{"503"}} // a busy server has the page try again
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start chromium: %v", err)
	}
	if err := chromedp.Listen(ctx, b.hear); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, f := range b.faults {
			t.Errorf("the page complains: %s", f)
		}
	})
	b.size(1440, 900)
	return b
}

// hear notes what the page complains of.
func (b *tab) hear(event any) {
	var text string
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		text = e.ExceptionDetails.Text
		if o := e.ExceptionDetails.Exception; o != nil {
			text += " " + o.Description
		}
	case *cdplog.EventEntryAdded:
		if e.Entry.Level == cdplog.EntryLevelError {
			text = e.Entry.Text + " " + e.Entry.URL
		}
	}
	if text == "" {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, a := range b.allowed {
		if strings.Contains(text, a) {
			return
		}
	}
	b.faults = append(b.faults, text)
}

// allow lets the page complain of what holds a text.
func (b *tab) allow(text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.allowed = append(b.allowed, text)
}

func (b *tab) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, *patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.t.Fatalf("%s: %v", what, err)
	}
}

func (b *tab) open(url string) {
	b.t.Helper()
	b.do("open "+url, chromedp.Navigate(url))
}

// hash goes to a view of the page.
func (b *tab) hash(at string) {
	b.t.Helper()
	value[any](b, fmt.Sprintf("void (location.hash = %q)", at))
}

func (b *tab) size(width, height int64) {
	b.t.Helper()
	b.do("set the size", chromedp.EmulateViewport(width, height))
}

// media sets what the user prefers: dark or light.
func (b *tab) media(scheme string) {
	b.t.Helper()
	_, err := chromedp.Run(b.ctx, func(ctx context.Context, _ *chromedp.Target) (any, error) {
		return chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
		})
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

// value evaluates an expression in the page.
func value[T any](b *tab, expression string) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, *patience)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string]("JSON.stringify((() => { const v = ("+expression+"); return v === undefined ? null : v; })())"))
	if err != nil {
		b.t.Fatalf("evaluate %s: %v", expression, err)
	}
	var v T
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		b.t.Fatalf("evaluate %s: %v: %s", expression, err, text)
	}
	return v
}

// until waits for an expression of the page to be true.
func (b *tab) until(expression string) {
	b.t.Helper()
	eventually(b.t, "see "+expression, func() error {
		b.mu.Lock()
		faults := len(b.faults)
		b.mu.Unlock()
		if faults > 0 {
			b.t.FailNow() // they are told at the end
		}
		if value[bool](b, "Boolean("+expression+")") {
			return nil
		}
		return fmt.Errorf("the page shows:\n%s", value[string](b, "document.body.innerText.slice(0, 3000)"))
	})
}

// sees waits for a text on the page.
func (b *tab) sees(text string) {
	b.t.Helper()
	b.until(fmt.Sprintf("document.body.innerText.includes(%q)", text))
}

// find is an expression for the one element that people can see and use, by its
// selector and, unless it is "", its text.
func find(selector, text string) string {
	return fmt.Sprintf(`[...(document.querySelector("dialog[open]") ?? document).querySelectorAll(%q)].find((e) => e.checkVisibility() && (%q === "" || e.textContent.trim() === %q || e.textContent.trim().startsWith(%q + "…")))`, selector, text, text, text)
}

// click presses an element with the mouse, where it is on the screen.
func (b *tab) click(selector, text string) {
	b.t.Helper()
	element := find(selector, text)
	b.until(element)
	b.until("!" + element + ".disabled")
	at := value[struct{ X, Y float64 }](b, `(() => {
		const e = `+element+`;
		e.scrollIntoView({ block: "center", behavior: "instant" });
		const r = e.getBoundingClientRect();
		return { X: r.x + r.width / 2, Y: r.y + r.height / 2 };
	})()`)
	b.do("click "+selector+" "+text, chromedp.MouseClickXY(at.X, at.Y))
}

// press presses the button with a label, of the dialog if one is open.
func (b *tab) press(label string) {
	b.t.Helper()
	b.click("button", label)
}

// keys types a text, where the focus is.
func (b *tab) keys(text string) {
	b.t.Helper()
	b.do("type", chromedp.KeyEvent(text))
}

// arrow presses a key that has a name.
func (b *tab) arrow(name string) {
	b.t.Helper()
	b.keys(map[string]string{"ArrowLeft": kb.ArrowLeft, "ArrowRight": kb.ArrowRight}[name])
}

// choose chooses an option of a select, as its user would.
func (b *tab) choose(selector, option string) {
	b.t.Helper()
	b.until(find(selector, ""))
	value[any](b, fmt.Sprintf(`void ((s) => { s.value = %q; s.dispatchEvent(new Event("change", { bubbles: true })); })(%s)`, option, find(selector, "")))
}

// picture writes what is on the screen, if pictures are wanted.
func (b *tab) picture(name string, whole bool) {
	b.t.Helper()
	if *shots == "" {
		return
	}
	time.Sleep(300 * time.Millisecond) // for what fades in
	action := chromedp.CaptureScreenshot()
	if whole {
		action = chromedp.FullScreenshot(100)
	}
	png, err := chromedp.Run(b.ctx, action)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(*shots, name+".png"), png, 0o600); err != nil {
		b.t.Fatal(err)
	}
}
