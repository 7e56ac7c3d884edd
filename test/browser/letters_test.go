package browser

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"example.com/fanout/test/integration/faulty"
)

// letters is how many dead letters Redis keeps of a group.
func (x *site) letters(name string) int64 {
	x.t.Helper()
	n, err := x.rdb.XLen(context.Background(), "{"+eventsStream+"}:dead:"+name).Result()
	if err != nil {
		x.t.Fatal(err)
	}
	return n
}

func TestDeadLetters(t *testing.T) {
	t.Parallel()
	x, b := newPage(t)
	x.board.Tell("settlement", faulty.Verdict{Act: faulty.Permanent})
	ids := x.publish(x.trades(8)...)
	x.settled("settlement")
	b.until(`document.querySelectorAll(".letters tbody tr").length === 8`)
	b.until(`[...document.querySelectorAll("section")].some((s) => s.innerText.startsWith("Errors") && s.innerText.includes("told to permanent") && s.innerText.includes("8"))`)

	// One is looked into.
	entryOf := func(row int) string {
		return value[string](b, fmt.Sprintf(`document.querySelector(".letters tbody tr:nth-child(%d) td:nth-child(3)").textContent`, row))
	}
	b.press(value[string](b, `document.querySelector(".letters tbody tr button").textContent`))
	b.sees("Fields of the entry")
	b.until(fmt.Sprintf(`document.querySelector("dialog").innerText.includes(%q) && document.querySelector("dialog pre").innerText.includes("trade_id")`, entryOf(1)))
	b.press("Close")

	// Two are chosen and sent back; the group can handle them now.
	x.board.Steer("settlement", nil)
	sent := []string{entryOf(1), entryOf(2)}
	b.click(".letters tbody tr:nth-child(1) input", "")
	b.click(".letters tbody tr:nth-child(2) input", "")
	b.press("Replay 2")
	b.sees("Replay 2 dead letters?")
	b.press("Cancel")
	b.until(`!document.querySelector("dialog")`)
	if n := x.letters("settlement"); n != 8 {
		t.Fatalf("%d letters are left after a no", n)
	}
	b.press("Replay 2")
	b.sees("Replay 2 dead letters?")
	b.press("Replay 2")
	b.sees("2 dead letters sent back")
	eventually(t, "handle two letters", func() error {
		if n := x.letters("settlement"); n != 6 {
			return fmt.Errorf("%d letters are left", n)
		}
		return nil
	})
	for _, id := range sent {
		if !slices.Contains(ids, id) || x.board.Times("settlement")[id] != 1 {
			t.Errorf("%s was handled %d times", id, x.board.Times("settlement")[id])
		}
	}

	// A filter that lets nothing through means nothing, not all.
	b.until(`document.querySelectorAll(".letters tbody tr").length === 6`)
	b.choose(`section select[aria-label="Reason"]`, "crash")
	b.until(`document.querySelectorAll(".letters tbody tr").length === 0`)
	b.press("Purge all that match")
	b.sees("There is no such dead letter.")
	b.choose(`section select[aria-label="Reason"]`, "")
	b.until(`document.querySelectorAll(".letters tbody tr").length === 6`)
	b.press("Purge all 6")
	b.sees("Purge all 6 dead letters?")
	b.press("Cancel")
	b.until(`!document.querySelector("dialog")`)
	b.press("Purge all 6")
	b.sees("Purge all 6 dead letters?")
	b.press("Purge 6")
	b.sees("6 dead letters deleted.")
	if n := x.letters("settlement"); n != 0 {
		t.Errorf("%d letters are left", n)
	}
	b.until(`!document.querySelector(".letters").checkVisibility()`)
}

// Letters that come after the question was asked are not what it was about.
func TestLettersThatComeLater(t *testing.T) {
	t.Parallel()
	x, b := newPage(t)
	x.board.Tell("settlement", faulty.Verdict{Act: faulty.Permanent})
	bury := func(n int) {
		t.Helper()
		before := x.letters("settlement")
		x.publish(x.trades(n)...)
		eventually(t, "write dead letters", func() error {
			if now := x.letters("settlement"); now != before+int64(n) {
				return fmt.Errorf("%d letters", now)
			}
			return nil
		})
	}
	bury(61)
	b.press("Purge all 61")
	b.sees("Purge all 61 dead letters?")
	bury(5)
	b.press("Purge 61")
	b.sees("61 dead letters deleted.")
	if n := x.letters("settlement"); n != 5 {
		t.Errorf("%d letters are left, 5 came later", n)
	}
	b.press("Replay all 5")
	b.sees("Replay all 5 dead letters?")
	bury(1)
	x.board.Steer("settlement", nil)
	b.press("Replay 5")
	b.sees("5 dead letters sent back")
	eventually(t, "handle five letters", func() error {
		if n := x.letters("settlement"); n != 1 {
			return fmt.Errorf("%d letters are left", n)
		}
		return nil
	})

	// What is chosen stays chosen, and the pages that are open stay open, while others come.
	x.board.Tell("settlement", faulty.Verdict{Act: faulty.Permanent})
	bury(59)
	b.until(`document.querySelectorAll(".letters tbody tr").length === 50`)
	b.press("More")
	b.until(`document.querySelectorAll(".letters tbody tr").length === 60`)
	chosen := value[string](b, `document.querySelector(".letters tbody tr:nth-child(57) input").value`)
	b.click(".letters tbody tr:nth-child(57) input", "")
	b.until(find("button", "Purge 1"))
	bury(1)
	b.until(find("button", "Refresh: 1 new"))
	b.until(find("button", "Purge 1"))
	b.press("Refresh: 1 new")
	b.until(find("button", "Refresh"))
	if n := value[int](b, `document.querySelectorAll(".letters tbody tr").length`); n < 60 {
		t.Errorf("%d letters are shown after a refresh", n)
	}
	b.press("Purge 1")
	b.sees("Purge 1 dead letter?")
	b.press("Purge 1")
	b.sees("1 dead letter deleted.")
	if n, err := x.rdb.XRange(context.Background(), "{"+eventsStream+"}:dead:settlement", chosen, chosen).Result(); err != nil || len(n) != 0 || x.letters("settlement") != 60 {
		t.Errorf("the letter that was chosen is there %d times, %d in all (%v)", len(n), x.letters("settlement"), err)
	}
	b.until(find("button", "Purge all 60"))
}
