package live

import (
	"encoding/json"
	"runtime"
	"sync"

	"example.com/fanout/pkg/stream"
)

// hubs are those of all groups of a process.
type hubs struct {
	turns   chan struct{} // holds one for each filter that is at work
	mu      sync.Mutex
	byGroup map[string]*hub
}

// newHubs lets filters have half of the processors, however many there are.
func newHubs() *hubs {
	return &hubs{byGroup: map[string]*hub{}, turns: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2))}
}

func (h *hubs) of(group string) *hub {
	h.mu.Lock()
	defer h.mu.Unlock()
	one := h.byGroup[group]
	if one == nil {
		one = &hub{turns: h.turns, wake: make(chan struct{}), keep: defaultKeep, keepBytes: defaultKeepBytes, most: defaultClients}
		h.byGroup[group] = one
	}
	return one
}

// forget lets go of a group's events.
func (h *hubs) forget(group string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.byGroup, group)
}

// hub holds the newest events of a group for its clients. The events have
// numbers, from 0; a client knows the number of the next one that it is to get,
// and nothing is kept for it.
type hub struct {
	turns           chan struct{}
	mu              sync.Mutex
	keep, keepBytes int
	ring            []held // those from next-len to next-1, oldest first, beginning at head
	head            int
	n               int // events in the ring
	bytes           int
	next            int64         // number of the next event to come
	wake            chan struct{} // closed, and replaced, when an event has come
	clients, most   int
}

// held is one event as clients get it.
type held struct {
	id     stream.ID
	data   []byte // one line
	opaque bool   // not JSON: nothing is found in it
}

// bound sets the bounds of the ring and of the number of clients.
func (h *hub) bound(keep, keepBytes, clients int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.keep, h.keepBytes, h.most = keep, keepBytes, clients
	h.shrink()
}

// add appends events. It never waits for a client.
func (h *hub) add(events []held) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range events {
		if h.n == len(h.ring) {
			h.grow()
		}
		h.ring[(h.head+h.n)%len(h.ring)] = e
		h.n++
		h.next++
		h.bytes += len(e.data)
		h.shrink()
	}
	close(h.wake)
	h.wake = make(chan struct{})
}

// grow makes room for one more event at least; mu is held.
func (h *hub) grow() {
	larger := make([]held, max(64, 2*len(h.ring)))
	for i := range h.n {
		larger[i] = h.ring[(h.head+i)%len(h.ring)]
	}
	h.ring, h.head = larger, 0
}

// shrink drops the oldest events that are beyond the bounds; mu is held.
func (h *hub) shrink() {
	for h.n > h.keep || h.n > 1 && h.bytes > h.keepBytes {
		oldest := &h.ring[h.head]
		h.bytes -= len(oldest.data)
		*oldest = held{}
		h.head = (h.head + 1) % len(h.ring)
		h.n--
	}
}

// oldest is the number of the oldest event in the ring, or of the next one to
// come; mu is held.
func (h *hub) oldest() int64 { return h.next - int64(h.n) }

// at is the event of a number that is in the ring; mu is held.
func (h *hub) at(number int64) held {
	return h.ring[(h.head+int(number-h.oldest()))%len(h.ring)]
}

// taken is what a client gets at once.
type taken struct {
	events []held
	missed missed          // before them
	wake   <-chan struct{} // closed when there is more; nil: there is more already
}

// missed is what a client did not get.
type missed struct {
	Count *int64     `json:"count"`  // of all events, whatever the client's filter; null: not known
	After *stream.ID `json:"after"`  // the last one that it has got; null: none
	To    *stream.ID `json:"before"` // the one that it gets next; null: none is there yet
}

// take appends to into the events from a number on, at most takeMost of them and
// of takeBytes unless the first one is larger, and gives the number that comes
// next. last is the ID of the event before.
func (h *hub) take(from int64, last stream.ID, into []held) (t taken, next int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if oldest := h.oldest(); from < oldest {
		t.missed = missed{Count: new(oldest - from), After: last.OrNil()}
		if h.n > 0 {
			t.missed.To = new(h.at(oldest).id)
		}
		from = oldest
	}
	t.events = into
	bytes := 0
	for next = from; next < h.next && len(t.events) < takeMost; next++ {
		e := h.at(next)
		if bytes += len(e.data); bytes > takeBytes && next > from {
			break
		}
		t.events = append(t.events, e)
	}
	if next == h.next {
		t.wake = h.wake
	}
	return t, next
}

// newest is the number from which on the newest n events come.
func (h *hub) newest(n int) int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.next - int64(min(n, h.n))
}

// after is the number from which on the events after an ID come. Where the ring
// does not hold that ID it is that of the oldest event, and gone says what may
// be missing.
func (h *hub) after(id stream.ID) (number int64, gone *missed) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for number = h.next - 1; number >= h.oldest(); number-- {
		if h.at(number).id == id {
			return number + 1, nil
		}
	}
	gone = &missed{After: &id}
	if h.n > 0 {
		gone.To = new(h.at(h.oldest()).id)
	}
	return h.oldest(), gone
}

// join lets one more client in, unless there are too many.
func (h *hub) join() (ok bool, most int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.clients >= h.most {
		return false, h.most
	}
	h.clients++
	return true, h.most
}

func (h *hub) leave() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.clients--
}

// quoted is bytes as a JSON text; those that are not UTF-8 are replaced.
func quoted(raw []byte) []byte {
	text, _ := json.Marshal(string(raw)) // a text can always be encoded
	return text
}
