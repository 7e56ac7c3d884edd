package chaos

import (
	"bytes"
	"sync"
	"time"

	"example.com/fanout/pkg/exchange"
	"example.com/fanout/pkg/stream"
)

// groups are those whose work is accounted for: the shipped ones and two that
// write down each delivery.
var groups = []string{analytics, persistence, notifications, slow, flaky}

const (
	analytics     = "analytics"
	persistence   = "persistence"
	notifications = "notifications"
	slow          = "slow"
	flaky         = "flaky"

	bigStake = 50_000 // what notifications wants

	// hugeBytes is so many that fanout still counts past the huge entries of a
	// round when it looks for losses.
	hugeBytes = 256 << 10
)

// class is what is special about an entry.
type class uint8

const (
	plain   class = iota
	torn          // the JSON ends early
	keyless       // there is no market_id
	huge          // hundreds of kilobytes
	killer        // ends the process in which flaky handles it
)

func (c class) String() string {
	return [...]string{"plain", "torn", "keyless", "huge", "killer"}[c]
}

// entry is one trade as it was published.
type entry struct {
	exchange.Trade
	class  class
	id     stream.ID
	life   int  // of the stream, see ledger.life
	unsure bool // Redis did not confirm it: it may be there or not
	gone   bool // trimmed, deleted, or found not to be there
}

// event is what the entry's field holds.
func (e *entry) event() []byte {
	b := exchange.AppendJSON(nil, e.Trade)
	switch e.class {
	case torn:
		return b[:len(b)-20]
	case keyless:
		return bytes.Replace(b, []byte(`"market_id"`), []byte(`"nothing"`), 1)
	case huge:
		pad := bytes.Repeat([]byte("x"), hugeBytes)
		return append(append(append(b[:len(b)-1], `,"pad":"`...), pad...), `"}`...)
	case killer:
		return append(b[:len(b)-1], `,"chaos":"kill"}`...)
	}
	return b
}

// fate is how an entry should end in a group.
type fate uint8

const (
	handled fate = iota
	buried
	filtered
)

func (e *entry) fate(group string) fate {
	switch {
	case e.class == torn,
		e.class == keyless && (group == persistence || group == analytics),
		e.class == killer && group == flaky:
		return buried
	case group == notifications && e.Stake < bigStake:
		return filtered
	}
	return handled
}

// ledger is what has been published, and what Redis has lost of it.
type ledger struct {
	// mu is held while entries are on their way to Redis, and by whoever takes
	// something from Redis: what is in the ledger and what is in Redis are the
	// same then, but for unsure entries.
	mu sync.Mutex

	all  []*entry // trade_id n at n-1
	life int      // counts the streams of that name, one after the other

	from, to map[int]int               // entries of each life, as indexes of all
	lost     map[string]map[int64]loss // by group and trade_id
}

// loss is what may have cost a group an entry.
type loss struct {
	fault   string
	at      time.Time // before it came about
	pending bool      // it was trimmed or deleted while it was pending

	// unseen: it was gone before fanout had cause to look at the stream, of which
	// nothing tells that it was ever there.
	unseen bool
}

func newLedger() *ledger {
	l := &ledger{from: map[int]int{}, to: map[int]int{}, lost: map[string]map[int64]loss{}}
	for _, g := range groups {
		l.lost[g] = map[int64]loss{}
	}
	return l
}

// add notes an entry that is about to be published.
func (l *ledger) add(e *entry) {
	e.life = l.life
	l.all = append(l.all, e)
	l.to[l.life] = len(l.all)
}

// present are the entries that Redis should have.
func (l *ledger) present() []*entry {
	var list []*entry
	for _, e := range l.all[l.from[l.life]:max(l.from[l.life], l.to[l.life])] {
		if !e.gone {
			list = append(list, e)
		}
	}
	return list
}

// reborn notes that the stream is gone and that another one follows.
func (l *ledger) reborn() {
	l.life++
	l.from[l.life], l.to[l.life] = len(l.all), len(l.all)
}

// lose notes that a fault may have cost a group an entry.
func (l *ledger) lose(group string, e *entry, what loss) { l.lost[group][e.TradeID] = what }

// unsettled are those of the entries that a group had still to settle.
func (p position) unsettled(list []*entry) (pending, undelivered []*entry) {
	for _, e := range list {
		switch {
		case p.last.Before(e.id):
			undelivered = append(undelivered, e)
		case p.pending[e.id]:
			pending = append(pending, e)
		}
	}
	return
}

// position is where a group stands in Redis.
type position struct {
	last    stream.ID
	pending map[stream.ID]bool
}
