package browser

import (
	"fmt"
	"regexp"
	"testing"
	"time"

	"example.com/fanout/test/integration/faulty"
)

const settlement = `
  settlement: {consumers: 1, batch: {size: 1}, handler: {faulty: {socket: "${BOARD}"}}}
`

// fills has a market with an hour of trades, a group that fails now and then, and
// one whose sink is away.
func fills(t *testing.T) *site {
	x := newSite(t, settings{groups: market + settlement + `
  ledger: {consumers: 1, handler: {webhook: {url: "http://127.0.0.1:9/"}}}
`})
	n := 0
	x.board.Steer("settlement", func(faulty.Call) faulty.Verdict {
		if n++; n%400 == 0 {
			return faulty.Verdict{Act: faulty.Permanent}
		}
		return faulty.Verdict{}
	})
	x.exchange = newExchange(time.Hour, 5)
	x.publish(x.trades(5 * 3600)...)
	x.settled("analytics")
	return x
}

// A desk on which all goes well shows how fast trades come, and nothing that calls
// for anybody.
func TestDesk(t *testing.T) {
	t.Parallel()
	x := newMarket(t, time.Hour, 5*3600)
	x.settled("analytics")
	b := openTab(t)
	b.open(x.url() + "#/market")
	stop := trading(t, x, 5)
	defer stop()
	b.until(`document.querySelectorAll(".candle").length > 20 && /[1-9][\d.]* \/s$/.test(document.querySelector(".tape h2").innerText)`)
	b.until(`document.querySelector(".tally").innerText === "4 OK"`)
	b.until(`new Set([...document.querySelectorAll(".tape")[0].querySelectorAll("tr[data-id] .when")].map((e) => e.textContent)).size > 20`)
	b.size(1440, 924)
	b.picture("desk", false)
}

// Every view, in both widths and both themes, says something and does not
// overflow its width.
func TestViews(t *testing.T) {
	t.Parallel()
	x := fills(t)
	b := openTab(t)
	b.open(x.url())
	stop := trading(t, x, 5)
	defer stop()
	for _, width := range []struct {
		name          string
		width, height int64
	}{{"wide", 1440, 900}, {"phone", 390, 844}} {
		b.size(width.width, width.height)
		for _, scheme := range []string{"light", "dark"} {
			b.media(scheme)
			for _, view := range []struct{ name, at, sees string }{
				{"groups", "#/", "settlement"},
				{"group", "#/group/settlement", "Dead letters"},
				{"market", "#/market", "Qualify for notifications"},
				{"one", "#/market/analytics/m-1", "m-1"},
				{"events", "#/events", "Events"},
			} {
				b.hash(view.at)
				b.sees(view.sees)
				if view.name == "market" || view.name == "one" {
					b.until(`document.querySelectorAll(".candle").length > 20 && document.querySelectorAll(".tape tr[data-id]").length > 5`)
				}
				if over := value[float64](b, "document.documentElement.scrollWidth - innerWidth"); over > 0 {
					t.Errorf("%s at %d is %v px wider than the screen", view.name, width.width, over)
				}
				b.fits(view.name)
				b.saysNumbers(view.name)
				name := fmt.Sprintf("%s-%s-%s", view.name, width.name, scheme)
				b.picture(name, width.name == "phone")
				if view.name != "group" {
					continue
				}
				b.until(`document.querySelector(".letters tbody tr button")`)
				for _, dialog := range []struct{ name, button, sees string }{
					{"seek", "Seek", "It stands at"},
					{"stop", "Stop", "Stop settlement?"},
					{"letter", value[string](b, `document.querySelector(".letters tbody tr button").textContent`), "Fields of the entry"},
				} {
					b.press(dialog.button)
					b.sees(dialog.sees)
					if dialog.name == "seek" {
						b.click(`input[value="earliest"]`, "")
						b.press("Dry run")
						b.until(`document.querySelector(".seek-result").checkVisibility()`)
					}
					if over := value[float64](b, `((d) => Math.max(d.scrollWidth - d.clientWidth, d.getBoundingClientRect().right - innerWidth, d.getBoundingClientRect().bottom - innerHeight))(document.querySelector("dialog"))`); over > 0 {
						t.Errorf("the dialog %s at %d is %v px beyond its bounds", dialog.name, width.width, over)
					}
					b.picture(dialog.name+"-"+name, false)
					b.keys("\x1b")
					b.until(`!document.querySelector("dialog")`)
				}
			}
		}
	}
}

// fits wants no part of the page to reach beyond its own bounds, where it would lie
// over another one.
func (b *tab) fits(view string) {
	b.t.Helper()
	over := value[[]string](b, `[...document.querySelectorAll(".keys, .card, .tape, .middle, .section, .detail, .card header, table.groups")].filter((e) => e.checkVisibility() && e.scrollWidth > e.clientWidth + 1)
		.map((e) => e.className + " " + e.tagName + " " + e.scrollWidth + " in " + e.clientWidth)`)
	for _, o := range over {
		b.t.Errorf("%s: too wide: %s", view, o)
	}
}

var noNumber = regexp.MustCompile(`\b(NaN|undefined|null|Infinity)\b|for –|– /s`)

// saysNumbers wants nothing on the page to be a number that is none.
func (b *tab) saysNumbers(view string) {
	b.t.Helper()
	if at := noNumber.FindString(value[string](b, "document.body.innerText")); at != "" {
		b.t.Errorf("%s says %s:\n%s", view, at, value[string](b, "document.body.innerText"))
	}
}

// trading publishes more trades until stop is called.
func trading(t *testing.T, x *site, rate int) (stop func()) {
	t.Helper()
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(time.Second / time.Duration(rate))
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				x.publish(x.trades(1)...)
			case <-done:
				return
			}
		}
	}()
	return func() { close(done); <-ended }
}
