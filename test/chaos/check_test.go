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
	Unconfirmed int // not there, and Redis never confirmed that it was
	Lost        int // by Redis, and reported
	Unseen      int // lost by Redis before anybody had looked
	Again       int // repeats, where nothing drops them
	Unreported  int // lost by Redis, and not reported
	Unexplained int // lost, and Redis had it
	Wrong       int // twice in a store, buried without a reason, there though it must not be, or miscounted
}

func (a *account) add(b account) {
	a.Done += b.Done
	a.Filtered += b.Filtered
	a.Buried += b.Buried
	a.Unconfirmed += b.Unconfirmed
	a.Lost += b.Lost
	a.Unseen += b.Unseen
	a.Again += b.Again
	a.Unreported += b.Unreported
	a.Unexplained += b.Unexplained
	a.Wrong += b.Wrong
}

// examples are a few faults of an account, in words.
type examples struct {
	list []string
	more int
}

func (x *examples) add(format string, args ...any) {
	if len(x.list) == 4 {
		x.more++
		return
	}
	x.list = append(x.list, fmt.Sprintf(format, args...))
}

// audit accounts for every entry in one group. missing are those that were
// trimmed or deleted while they were pending, and were not settled.
func audit(l *ledger, group string, got stored, letters map[int64]string, told reports) (a account, missing int64, x examples) {
	once := group == persistence || group == analytics
	for _, e := range l.all {
		times := got[e.TradeID]
		stage, isBuried := letters[e.TradeID]
		fate := e.fate(group)
		lost, isLost := l.lost[group][e.TradeID]
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
		case isBuried:
			a.Wrong++
			x.add("%s buried %s, a %s entry, at stage %s", group, e.name(), e.class, stage)
		case times > 0:
			a.Done++
		case isLost && told.covers(group, e.id, lost.at):
			a.Lost++
			if lost.pending && fate != filtered {
				missing++
			}
		case fate == filtered:
			a.Filtered++
		case e.unsure:
			a.Unconfirmed++
		case isLost && lost.unseen:
			a.Unseen++
		case isLost:
			a.Unreported++
			x.add("%s lost %s by %s, which was not reported", group, e.name(), lost.fault)
		default:
			a.Unexplained++
			x.add("%s never got %s, a %s entry", group, e.name(), e.class)
		}
	}
	return a, missing, x
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
	taken    map[string]taken
}

// judge compares what was published with what there is.
func (r *round) judge() *verdict {
	v := &verdict{
		temper: r.temper, entries: len(r.ledger.all), accounts: map[string]account{}, faults: r.done,
		exits: map[int]int{}, stalls: r.stalls.longest, taken: r.taken,
	}
	for _, s := range r.slots {
		v.starts += s.starts
		for code, n := range s.exits {
			v.exits[code] += n
			if code != bySignal && (code != badManifest || r.done["broken reloads"] == 0) {
				r.violated("%s ended by itself %d times with %d", s.name, n, code)
			}
		}
		unsettled := 0
		r.must(eachRecord(s.log, func(line record) {
			if line.Message != unsettledMessage {
				return
			}
			unsettled++
			if !r.outages.excuse(line.Time) {
				r.violated("%s: group %s has stopped with entries unsettled at %v, though redis was there", s.name, line.Group, line.Time)
			}
		}))
		for _, code := range s.drains {
			if code != 0 && code != bySignal && (code != unclean || unsettled == 0) {
				r.violated("%s was asked to stop and ended with %d", s.name, code)
			}
		}
	}
	told, lines, err := r.reports()
	r.must(err)
	v.logLines = lines
	told, twice := told.once()
	if len(twice) > mostTwice {
		v.examples = append(v.examples, twice...)
	}

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
		a, missing, x := audit(r.ledger, g, got[g], r.letters[g], told)
		if fault := miscounted(g, told, r.taken[g], missing); fault != "" {
			a.Wrong++
			x.add("%s", fault)
		}
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
	letters[publish(plain)] = "crash"  // wrong: it killed nobody
	letters[publish(plain)] = "handle" // wrong: no reason
	got[publish(keyless)] = 1          // wrong: must be buried; and done
	publish(plain, func(e *entry) { e.unsure = true })
	lose := func(what loss) *entry {
		e := l.all[publish(plain)-1]
		l.lose(persistence, e, what)
		return e
	}
	lose(loss{fault: "trim"}) // not reported
	lose(loss{fault: "power cut", unseen: true})
	early, late := time.Unix(1, 0), time.Unix(3, 0)
	reported := lose(loss{fault: "trim", at: time.Unix(2, 0), pending: true})
	before := lose(loss{fault: "trim", at: time.Unix(2, 0)}) // reported before it was lost
	other := lose(loss{fault: "trim"})                       // reported of another group

	a, missing, x := audit(l, persistence, got, letters, reports{
		{at: late, group: persistence, first: reported.id, last: reported.id},
		{at: early, group: persistence, first: before.id, last: before.id},
		{at: late, group: slow, first: other.id, last: other.id},
	})
	want := account{Done: 3, Buried: 1, Unconfirmed: 1, Lost: 1, Unseen: 1, Again: 1, Unreported: 3, Unexplained: 2, Wrong: 4}
	if a != want {
		t.Errorf("got  %+v\nwant %+v", a, want)
	}
	if missing != 1 {
		t.Errorf("%d pending entries are missing, want 1", missing)
	}
	if len(x.list)+x.more != want.Unreported+want.Unexplained+want.Wrong {
		t.Errorf("%d examples: %q", len(x.list), x.list)
	}
}

func TestReports(t *testing.T) {
	t.Parallel()
	trimmed := report{at: time.Unix(1, 0), group: analytics, reason: "trimmed", certain: true, entries: 5}
	possible := report{group: analytics, reason: "deleted", entries: 3}
	unknown := report{group: analytics, reason: "deleted", entries: -1}
	for name, c := range map[string]struct {
		told    reports
		was     taken
		missing int64
		wrong   bool
	}{
		"exact":                    {told: reports{trimmed}, was: taken{undelivered: 5}},
		"fewer":                    {told: reports{trimmed}, was: taken{undelivered: 6}, wrong: true},
		"more":                     {told: reports{trimmed}, was: taken{undelivered: 4}, wrong: true},
		"none":                     {was: taken{undelivered: 1}, wrong: true},
		"nothing lost":             {told: reports{possible}},
		"pending ones are missing": {told: reports{trimmed}, was: taken{undelivered: 3, pending: 4}, missing: 2},
		"and not reported":         {told: reports{trimmed}, was: taken{undelivered: 3, pending: 4}, missing: 3, wrong: true},
		"possible":                 {told: reports{trimmed, possible}, was: taken{undelivered: 7}},
		"beyond what is possible":  {told: reports{trimmed, possible}, was: taken{undelivered: 9}, wrong: true},
		"of unknown number":        {told: reports{unknown}, was: taken{undelivered: 9}},
	} {
		if got := miscounted(analytics, c.told, c.was, c.missing); (got != "") != c.wrong {
			t.Errorf("%s: %q", name, got)
		}
	}
	later := trimmed
	later.at = trimmed.at.Add(2 * takeover)
	if kept, twice := (reports{trimmed, later}).once(); len(kept) != 1 || len(twice) != 0 {
		t.Errorf("told again by another: %v %q", kept, twice)
	}
	if kept, twice := (reports{trimmed, trimmed}).once(); len(kept) != 1 || len(twice) != 1 {
		t.Errorf("told by two: %v %q", kept, twice)
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
