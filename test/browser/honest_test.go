package browser

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// While Redis has never answered, what is not known is said to be so.
func TestRedisAway(t *testing.T) {
	t.Parallel()
	x := newSite(t, settings{groups: market + settlement, away: true})
	b := openTab(t)
	b.open(x.url())
	for _, view := range []struct{ at, sees string }{
		{"#/", "settlement"}, {"#/group/settlement", "Oldest pending"}, {"#/group/analytics", "Oldest pending"}, {"#/market", "no windows to show"}, {"#/events", "Events"},
	} {
		b.hash(view.at)
		b.sees(view.sees)
		b.saysNumbers(view.at)
	}
}

// A manifest that was refused is said until one is taken.
func TestRefusedReload(t *testing.T) {
	t.Parallel()
	x := newSite(t, settings{groups: market})
	b := openTab(t)
	b.open(x.url() + "#/market")
	b.sees("analytics")
	x.declare(market + "  broken: {consumers: many}\n")
	x.reload()
	b.until(`/manifest was not taken at .*consumers/.test(document.querySelector(".alarm.calm").innerText)`)
	x.declare(market)
	x.reload()
	b.until(`!document.querySelector(".alarm.calm").checkVisibility()`)
}

// A view that is open follows the manifest: which trades notify, what is measured.
func TestReloadIsFollowed(t *testing.T) {
	t.Parallel()
	x := newMarket(t, 0, 50)
	b := openTab(t)
	b.open(x.url() + "#/market")
	b.sees("stake.value >= 50000")
	b.until(`document.querySelectorAll(".card").length > 0 && document.querySelector(".keys thead").innerText.includes("Volume")`)
	x.declare(strings.NewReplacer("stake.value >= 50000", "stake.value >= 70000", "          volume: sum(stake.value)\n", "", "market_minutes", "market_trades").Replace(market) + `
  alerts: {where: odds.ticks >= 2000, handler: {webhook: {url: "${HOOK}"}}}
`)
	x.reload()
	b.sees("stake.value >= 70000")
	b.sees("odds.ticks >= 2000")
	b.until(`document.querySelector(".about").innerText.includes("market_trades") && !document.querySelector(".keys thead").innerText.includes("Volume")`)
}

// What qualifies while the group that notifies is paused has not been sent.
func TestPausedNotifications(t *testing.T) {
	t.Parallel()
	x, _ := newPage(t)
	b := openGroup(t, x, "notifications")
	b.press("Pause")
	b.sees("notifications is paused.")
	b.hash("#/market")
	b.sees("Qualify for notifications")
	x.publish(`{"trade_id":1,"market_id":"m-1","odds":{"ticks":245},"stake":{"value":125000},"timestamp":1763856000123}`)
	b.until(`/notifications\s+STOPPED\s+1 waits/.test([...document.querySelectorAll(".tape")][1].innerText)`)
}

var largeStake = regexp.MustCompile(`"value":\d{5}`)

// Nothing comes twice, and nothing is missing, when the page was not seen for a
// while.
func TestNotSeen(t *testing.T) {
	t.Parallel()
	x := newSite(t, settings{groups: market})
	b := openTab(t)
	b.open(x.url() + "#/market")
	b.sees("Qualify for notifications")
	trade := func(n int) string {
		return fmt.Sprintf(`{"trade_id":%d,"market_id":"m-1","odds":{"ticks":245},"stake":{"value":125000},"timestamp":1763856000123}`, n)
	}
	see := func(seen bool) {
		value[any](b, fmt.Sprintf(`void (() => { Object.defineProperty(document, "hidden", { configurable: true, get: () => %t }); document.dispatchEvent(new Event("visibilitychange")); })()`, !seen))
	}
	shown := func(n int) {
		t.Helper()
		b.until(fmt.Sprintf(`JSON.stringify([...document.querySelectorAll(".tape")].map((part) => { const ids = [...part.querySelectorAll("tr[data-id]")].map((r) => r.dataset.id); return [ids.length, new Set(ids).size]; })) === "[[%d,%d],[%d,%d]]"`, n, n, n, n))
	}
	x.publish(trade(1), trade(2), trade(3))
	shown(3)
	see(false)
	b.until(find(".light", "disconnected"))
	x.publish(trade(4), trade(5))
	x.settled("tape")
	see(true)
	shown(5)
	x.publish(trade(6))
	shown(6)
	see(false)
	b.until(find(".light", "disconnected"))
	large := x.publish(trade(7))
	x.exchange = newExchange(0, 5)
	x.publish(slices.DeleteFunc(x.trades(400), func(e string) bool { return largeStake.MatchString(e) })...)
	x.settled("tape")
	see(true)
	b.until(fmt.Sprintf(`[...document.querySelectorAll(".tape")][1].querySelector('tr[data-id="%s"]')`, large[0]))
	if text := value[string](b, "document.body.innerText"); strings.Contains(text, "missed") {
		t.Errorf("events are missed:\n%s", text)
	}
}

// Windows of the page side by side share the few connections that a browser has:
// those that get none say so, and no request waits for ever.
func TestManyWindows(t *testing.T) {
	t.Parallel()
	x := newMarket(t, 0, 50)
	first := openTab(t)
	tabs := []*tab{first, first.another(), first.another()}
	for _, b := range tabs {
		b.open(x.url() + "#/market")
	}
	for _, b := range tabs {
		value[any](b, `void Object.defineProperty(document, "hidden", { configurable: true, get: () => false })`)
		value[any](b, `void document.dispatchEvent(new Event("visibilitychange"))`)
	}
	for _, b := range tabs {
		b.until(`document.querySelectorAll(".card .candle").length > 0`)
		b.until(find(".light", "live"))
	}
	waits := `document.body.innerText.includes("2 other windows of this page follow the trades")`
	eventually(t, "say in one window that the trades do not come in", func() error {
		n := 0
		for _, b := range tabs {
			if value[bool](b, waits) {
				n++
			}
		}
		if n != 1 {
			return fmt.Errorf("%d windows say so", n)
		}
		return nil
	})
	x.publish(x.trades(50)...)
	x.settled("analytics")
	for _, b := range tabs { // they move on
		b.until(`[...document.querySelectorAll(".keys tbody tr td:nth-child(3)")].reduce((n, e) => n + Number(e.textContent), 0) === 100`)
	}
	// One that goes makes room for the one that waits.
	for _, b := range tabs {
		if !value[bool](b, waits) {
			b.hash("#/")
			break
		}
	}
	for _, b := range tabs {
		b.until(`!` + waits)
	}
}

// An answer that does not come is said, with the age of what is shown.
func TestChartsAreOld(t *testing.T) {
	t.Parallel()
	x := newMarket(t, 0, 50)
	b := openTab(t)
	b.open(x.url() + "#/market")
	b.until(`document.querySelectorAll(".card .candle").length > 0`)
	value[any](b, `void (() => { const real = fetch; window.fetch = (path, ...rest) => String(path).includes("/windows") ? new Promise((_, no) => rest[0].signal.addEventListener("abort", () => no(new DOMException("", "AbortError")))) : real(path, ...rest); })()`)
	b.until(`/The charts are .* old: no answer came within 5 s/.test(document.querySelector(".alarm").innerText) && document.querySelector(".light").dataset.tone === "bad"`)
}
