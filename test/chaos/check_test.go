package chaos

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"example.com/fanout/pkg/exchange"
	"example.com/fanout/pkg/stream"
)

// account says what became of the entries in one group.
type account struct {
	Done        int // in the store, or handled
	Filtered    int // not wanted
	Buried      int // and to be buried
	Crashed     int // buried because it was at hand too often when a process died
	Unconfirmed int // not there, and Redis never confirmed that it was
	Reported    int // lost by Redis, and reported
	Unreported  int // lost by Redis, and not reported
	Again       int // repeats, where nothing drops them
	Unexplained int // lost, and Redis had it
	Wrong       int // twice in a store, buried without a reason, or there though it must not be
}

// examples are a few faults of an account, in words.
type examples struct {
	list []string
	more int
}

func (x *examples) add(format string, args ...any) {
	if len(x.list) == 12 {
		x.more++
		return
	}
	x.list = append(x.list, fmt.Sprintf(format, args...))
}

// audit accounts for every entry in one group.
func audit(l *ledger, group string, got stored, letters map[int64]string, told reports) (account, examples) {
	var a account
	var x examples
	once := group == persistence || group == analytics
	for _, e := range l.all {
		times := got[e.TradeID]
		stage, isBuried := letters[e.TradeID]
		fate := e.fate(group)
		if times > 0 && fate != handled {
			a.Wrong++
			x.add("%s handled %s, a %s entry", group, e.name(), e.class)
		}
		if times > 1 {
			if once {
				a.Wrong++
				x.add("%s has %s %d times", group, e.name(), times)
			}
			a.Again += times - 1
		}
		switch {
		case isBuried && fate == buried:
			a.Buried++
		case isBuried && stage == "crash":
			a.Crashed++
		case isBuried:
			a.Wrong++
			x.add("%s buried %s, a %s entry, at stage %s", group, e.name(), e.class, stage)
		case times > 0:
			a.Done++
		case fate == filtered:
			a.Filtered++
		case e.unsure:
			a.Unconfirmed++
		case l.lost[group][e.TradeID] != "" && told.covers(group, e.id):
			a.Reported++
		case l.lost[group][e.TradeID] != "":
			a.Unreported++
		default:
			a.Unexplained++
			x.add("%s never got %s, a %s entry", group, e.name(), e.class)
		}
	}
	return a, x
}

func (e *entry) name() string {
	return fmt.Sprintf("trade %d (%s, life %d)", e.TradeID, e.id, e.life)
}

// verdict is what came of a round.
type verdict struct {
	temper   temper
	entries  int
	accounts map[string]account
	examples []string
	faults   map[string]int
	exits    map[int]int
	starts   int
	logLines int
	stalls   map[string]time.Duration
	trimmed  map[string]int
}

// judge compares what was published with what there is.
func (r *round) judge() *verdict {
	v := &verdict{
		temper: r.temper, entries: len(r.ledger.all), accounts: map[string]account{}, faults: r.done,
		exits: map[int]int{}, stalls: r.stalls.longest, trimmed: r.trimmed,
	}
	var logs []string
	for _, s := range r.slots {
		logs = append(logs, s.log)
		v.starts += s.starts
		for code, n := range s.exits {
			v.exits[code] += n
			if code != bySignal && (code != badManifest || r.done["broken reloads"] == 0) {
				r.violated("%s ended by itself %d times with %d", s.name, n, code)
			}
		}
		for _, code := range s.drained {
			if code != 0 && code != bySignal {
				r.violated("%s was asked to stop and ended with %d", s.name, code)
			}
		}
	}
	told, err := lossReports(logs...)
	r.must(err)
	r.must(eachRecord(logs, func(record) { v.logLines++ }))

	got := map[string]stored{notifications: r.notified()}
	var lives map[string]map[int]bool
	got[persistence], lives, err = r.trades()
	r.must(err)
	got[analytics], err = r.counted(lives)
	r.must(err)
	for _, g := range []string{slow, flaky} {
		got[g], err = r.journal(g)
		r.must(err)
	}
	for _, g := range groups {
		a, x := audit(r.ledger, g, got[g], r.letters[g], told)
		v.accounts[g] = a
		v.examples = append(v.examples, x.list...)
		if x.more > 0 {
			v.examples = append(v.examples, fmt.Sprintf("%s: %d more", g, x.more))
		}
	}
	var counted []*entry
	for _, e := range r.ledger.all {
		if got[analytics][e.TradeID] > 0 {
			counted = append(counted, e)
		}
	}
	rows, err := r.query("analytics.db", "SELECT * FROM market_minutes")
	r.must(err)
	v.examples = append(v.examples, differences(rows, windows(counted))...)
	v.examples = append(v.examples, r.violations...)
	return v
}

// differences compares the rows of analytics with the model.
func differences(got []row, want map[string]row) []string {
	var x examples
	seen := map[string]bool{}
	for _, g := range got {
		k := windowKey(g["key"], g["window_start"])
		if seen[k] {
			x.add("analytics has the window %s twice", k)
		}
		seen[k] = true
		if !maps.Equal(g, want[k]) {
			x.add("analytics has the window %v, want %v", g, want[k])
		}
	}
	for k := range want {
		if !seen[k] {
			x.add("analytics lacks the window %s", k)
		}
	}
	if x.more > 0 {
		x.list = append(x.list, fmt.Sprintf("%d more", x.more))
	}
	return x.list
}

// The checker itself: one entry for each thing that it must tell apart.
func TestAudit(t *testing.T) {
	t.Parallel()
	l := newLedger()
	publish := func(c class, change ...func(*entry)) int64 {
		e := &entry{Trade: exchange.Trade{TradeID: int64(len(l.all) + 1)}, class: c, id: stream.ID{Ms: uint64(len(l.all) + 1)}}
		for _, f := range change {
			f(e)
		}
		l.add(e)
		return e.TradeID
	}
	got, letters := stored{}, map[int64]string{}
	got[publish(plain)] = 1
	got[publish(plain)] = 2 // wrong: twice
	publish(plain)          // unexplained
	letters[publish(torn)] = "decode"
	publish(torn)                      // unexplained
	letters[publish(plain)] = "crash"  // at hand too often
	letters[publish(plain)] = "handle" // wrong: no reason
	got[publish(keyless)] = 1          // wrong: must be buried; and done
	publish(plain, func(e *entry) { e.unsure = true })
	l.lose(persistence, l.all[publish(plain)-1], "trim")
	l.lose(persistence, l.all[publish(plain)-1], "trim")
	reported := l.all[len(l.all)-1].id

	a, x := audit(l, persistence, got, letters, reports{persistence: {{reported, reported}}})
	want := account{Done: 3, Buried: 1, Crashed: 1, Unconfirmed: 1, Reported: 1, Unreported: 1, Again: 1, Unexplained: 2, Wrong: 3}
	if a != want {
		t.Errorf("got  %+v\nwant %+v", a, want)
	}
	if len(x.list) != want.Unexplained+want.Wrong {
		t.Errorf("%d examples: %q", len(x.list), x.list)
	}
}

// The model itself, a window that was worked out on paper.
func TestWindowByHand(t *testing.T) {
	t.Parallel()
	at := func(seq uint64, odds, stake, timestamp int64) *entry {
		return &entry{
			Trade: exchange.Trade{MarketID: "m", OddsTicks: odds, Stake: stake, Timestamp: timestamp},
			id:    stream.ID{Ms: 5, Seq: seq},
		}
	}
	got := windows([]*entry{at(0, 300, 10, 120_500), at(1, 200, 30, 120_000), at(2, 250, 60, 120_500), at(3, 900, 1, 180_000)})
	want := row{
		"fanout_group": analytics, "key": "m", "window_start": int64(120_000),
		"window_start_utc": "1970-01-01T00:02:00.000Z",
		"trades":           int64(3), "volume": int64(100),
		"open": int64(200), "open_at": int64(120_000_000_000), "open_id": "5-1",
		"high": int64(300), "low": int64(200),
		"close": int64(250), "close_at": int64(120_500_000_000), "close_id": "5-2",
		"vwap": 240.0, "vwap_num": int64(24_000), "vwap_den": int64(100),
	}
	if len(got) != 2 || len(differences([]row{got["m/120000"]}, map[string]row{"m/120000": want})) > 0 {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	if len(differences([]row{want, want}, got)) != 2 {
		t.Error("neither the double window nor the missing one is seen")
	}
	if len(slices.Collect(maps.Keys(got))) != 2 {
		t.Error("want two windows")
	}
}
