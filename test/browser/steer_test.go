package browser

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// openGroup opens the page of a group and waits until it shows it.
func openGroup(t *testing.T, x *site, name string) *tab {
	t.Helper()
	b := openTab(t)
	b.open(x.url() + "#/group/" + name)
	b.sees("Oldest pending")
	return b
}

// entriesRead is how far Redis has delivered the stream to a group.
func (x *site) entriesRead(name string) int64 {
	x.t.Helper()
	g, err := x.group(name)
	if err != nil {
		x.t.Fatal(err)
	}
	return g.EntriesRead
}

// state waits for a state of a group.
func (x *site) state(name, want string) {
	x.t.Helper()
	eventually(x.t, "be "+want, func() error {
		if got := x.status(name)["state"]; got != want {
			return fmt.Errorf("it is %v", got)
		}
		return nil
	})
}

// rests publishes entries and wants Redis to deliver them to the other groups
// and not to this one.
func (x *site) rests(name string) {
	x.t.Helper()
	before := x.entriesRead(name)
	x.publish(x.trades(20)...)
	x.settled("persistence")
	if after := x.entriesRead(name); after != before {
		x.t.Errorf("%s rests, and got %d entries", name, after-before)
	}
}

// newPage is a site with some trades, and the page of settlement.
func newPage(t *testing.T) (*site, *tab) {
	t.Helper()
	x := newSite(t, settings{groups: market + settlement})
	x.exchange = newExchange(0, 10)
	x.publish(x.trades(100)...)
	x.settled("settlement")
	return x, openGroup(t, x, "settlement")
}

func TestPauseAndResume(t *testing.T) {
	t.Parallel()
	x, b := newPage(t)
	b.press("Pause")
	b.sees("settlement is paused.")
	x.rests("settlement")
	b.sees("paused by the page")
	b.until(find(".chip", "STOPPED"))
	b.until("!" + find("button", "Pause") + " && !" + find("button", "Restart"))
	b.press("Resume")
	b.sees("settlement goes on.")
	x.settled("settlement")
	b.until(find(".chip", "OK"))
}

func TestStopAndStart(t *testing.T) {
	t.Parallel()
	x, b := newPage(t)
	b.press("Stop")
	b.sees("Stop settlement?")
	b.press("Cancel")
	b.until(`!document.querySelector("dialog")`)
	x.publish(x.trades(10)...)
	x.settled("settlement")

	b.press("Stop")
	b.sees("Stop settlement?")
	b.press("Stop")
	b.sees("settlement is stopped.")
	x.state("settlement", "stopped")
	x.rests("settlement")
	b.press("Start")
	b.sees("settlement runs.")
	x.settled("settlement")
}

// connections are the clients of Redis that read for a group.
func (x *site) connections(group string) string {
	x.t.Helper()
	list, err := x.rdb.ClientList(context.Background()).Result()
	if err != nil {
		x.t.Fatal(err)
	}
	var ids []string
	for line := range strings.Lines(list) {
		if strings.Contains(line, " name=fanout:"+group+":") {
			id, _, _ := strings.Cut(line, " ")
			ids = append(ids, id)
		}
	}
	slices.Sort(ids) // CLIENT LIST promises no order
	return strings.Join(ids, " ")
}

func TestRestart(t *testing.T) {
	t.Parallel()
	x, b := newPage(t)
	before, others := x.connections("settlement"), x.connections("persistence")
	b.press("Restart")
	b.sees("Restart settlement?")
	b.press("Restart")
	b.sees("settlement restarts.")
	eventually(t, "read over another connection", func() error {
		if now := x.connections("settlement"); now == before || now == "" {
			return fmt.Errorf("it reads over %s, as before", now)
		}
		return nil
	})
	if now := x.connections("persistence"); now != others {
		t.Errorf("another group read over %s, now over %s", others, now)
	}
	b.until(`[...document.querySelectorAll("section")].some((s) => s.innerText.startsWith("Restarts") && s.innerText.includes("request"))`)
	x.publish(x.trades(10)...)
	x.settled("settlement")
}

// A move says first what it comes to, and is made only while the group rests.
func TestSeek(t *testing.T) {
	t.Parallel()
	x, b := newPage(t)
	b.press("Seek")
	b.sees("It stands at")
	b.click(`input[value="earliest"]`, "")
	b.press("Dry run")
	b.sees("pause it first")
	if !value[bool](b, find("button", "Move")+".disabled") {
		t.Error("a group that runs can be moved")
	}
	b.press("Pause") // of the dialog
	b.sees("settlement is paused.")
	b.until("!" + find("button", "Move") + ".disabled")
	b.press("Close")

	b.press("Seek")
	b.sees("It stands at")
	b.click(`input[value="earliest"]`, "")
	b.press("Dry run")
	b.until(`document.querySelector(".seek-result").innerText.replace(/\s+/g, " ").includes("Comes again 100")`)
	if at := x.entriesRead("settlement"); at != 100 {
		t.Errorf("a dry run has moved the group: %d entries are read", at)
	}
	// Another target makes the result one of something else.
	b.click(`input[value="latest"]`, "")
	b.until(find("button", "Move") + ".disabled")
	b.click(`input[value="earliest"]`, "")
	b.press("Dry run")
	b.until("!" + find("button", "Move") + ".disabled")
	b.press("Move")
	b.sees("100 entries come again")
	if g, err := x.group("settlement"); err != nil || g.LastDeliveredID != "0-0" {
		t.Errorf("Redis has the group at %v (%v)", g.LastDeliveredID, err)
	}
	b.press("Resume")
	x.settled("settlement")
	for id, n := range x.board.Times("settlement") {
		if n != 2 {
			t.Errorf("%s was handled %d times", id, n)
		}
	}

	// A position that is none is told, with what it may be.
	b.press("Pause")
	b.sees("settlement is paused.")
	b.press("Seek")
	b.sees("It stands at")
	b.allow("400")
	b.click("#seek-to", "")
	b.keys("yesterday")
	b.press("Dry run")
	b.until(`document.querySelector("dialog .fault:not([hidden])")?.innerText.includes("yesterday")`)
}

// What handlers have made is emptied and made anew.
func TestRebuild(t *testing.T) {
	t.Parallel()
	x, _ := newPage(t)
	x.settled("analytics")
	before := x.query("data/analytics.db", "SELECT sum(trades), sum(volume), count(*) FROM market_minutes")
	b := openGroup(t, x, "analytics")
	b.press("Pause")
	b.sees("analytics is paused.")
	b.press("Seek")
	b.sees("It stands at")
	b.click("#seek-rebuild", "")
	b.until(`[...document.querySelectorAll('input[name="seek-target"], #seek-to')].every((e) => e.disabled)`)
	b.press("Dry run")
	b.until(`document.querySelector(".seek-result").innerText.includes("100")`)
	b.press("Move")
	b.sees("100 entries come again")
	if n := x.query("data/analytics.db", "SELECT count(*) FROM market_minutes"); n != "0" {
		t.Errorf("%s windows are left", n)
	}
	b.press("Resume")
	x.settled("analytics")
	if after := x.query("data/analytics.db", "SELECT sum(trades), sum(volume), count(*) FROM market_minutes"); after != before {
		t.Errorf("the windows come to %s, before to %s", after, before)
	}
}
