package live

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"example.com/fanout/pkg/stream"
)

const (
	keepAlive    = 15 * time.Second       // between two signs of life to a client
	pace         = 25 * time.Millisecond  // between two writes at least: many events go out as one
	takeMost     = 512                    // events at once
	takeBytes    = 256 << 10              // of them
	maxRecent    = 1000                   // events that a new client may ask for
	refusedEvery = 500 * time.Millisecond // between two words about a filter that fails
)

// client is one request that is being answered. It holds no event but those that
// are on their way to it, which it shares with the ring.
type client struct {
	hub      *hub
	filter   filter
	out      *line
	next     int64
	last     stream.ID // seen, whether sent or not
	told     stream.ID // the last ID that the client knows
	refused  time.Time // it was told that the filter fails
	events   []held    // room for those at once
	verdicts []verdict // on them
}

// ServeHTTP streams events until the client goes, or the request's context is
// done.
//
//	?where=EXPR   only events for which it is true; the language is the manifest's
//	?mark=EXPR    events for which it is true have the type "marked"
//	?recent=N     begins with the newest N events, before any filter
//	Last-Event-ID begins after that event (or ?after=ID)
//
// Beside the events there are "missed" (events that the client did not get:
// {"count", "after", "before"}) and "refused" (an event that the expression
// cannot judge: {"id", "error"}).
func (h *hub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ok, most := h.join() // before anything that costs
	if !ok {
		problem(w, http.StatusServiceUnavailable, fmt.Sprintf("%d clients follow the group already", most), "come later, or raise clients of the handler live in the manifest")
		return
	}
	defer h.leave()
	c := &client{hub: h, filter: newFilter(h.turns)}
	gone, fault := c.read(r)
	if r.Context().Err() != nil {
		return
	}
	if fault != "" {
		problem(w, http.StatusBadRequest, fault, "correct the request; the README says what where, mark, recent and Last-Event-ID may be")
		return
	}
	c.out = newLine(w)
	if r.Method == http.MethodHead {
		return
	}
	c.out.text(": events follow\n\n")
	if gone != nil {
		c.message("missed", gone)
	}
	c.serve(r.Context())
}

// read takes what the request asks for. gone is what the client may have missed
// before it came back, fault what is wrong with the request.
func (c *client) read(r *http.Request) (gone *missed, fault string) {
	query := r.URL.Query() // which has been checked
	if err := c.filter.compile(r.Context(), query.Get("where"), query.Get("mark")); err != nil {
		return nil, err.Error()
	}
	recent := 0
	if text := query.Get("recent"); text != "" {
		var err error
		if recent, err = strconv.Atoi(text); err != nil || recent < 0 || recent > maxRecent {
			return nil, fmt.Sprintf("recent %.40q: want a number from 0 to %d", text, maxRecent)
		}
	}
	text := r.Header.Get("Last-Event-ID")
	if text == "" {
		text = query.Get("after")
	}
	if text == "" {
		c.next = c.hub.newest(recent)
		return nil, ""
	}
	id, err := stream.ParseID(text)
	if err != nil {
		return nil, "Last-Event-ID: " + err.Error()
	}
	c.last, c.told = id, id
	c.next, gone = c.hub.after(id)
	return gone, ""
}

// serve sends what comes. All waiting is done here, in the goroutine of the
// request: the group knows nothing of it.
func (c *client) serve(ctx context.Context) {
	alive := time.NewTicker(keepAlive)
	defer alive.Stop()
	for ctx.Err() == nil {
		wake := c.some(ctx)
		sent, err := c.out.flush()
		if err != nil {
			return
		}
		if wake == nil { // there is more
			continue
		}
		if sent {
			select {
			case <-time.After(pace):
			case <-ctx.Done():
				return
			}
		}
		select {
		case <-wake:
		case <-alive.C:
			c.signOfLife()
		case <-ctx.Done():
			return
		}
	}
}

// some sends some of the events that are there. wake is closed when there are
// more; nil: there are already.
func (c *client) some(ctx context.Context) (wake <-chan struct{}) {
	t, next := c.hub.take(c.next, c.last, c.events[:0])
	if t.missed.Count != nil {
		c.message("missed", t.missed)
	}
	c.verdicts = c.filter.judge(ctx, t.events, c.verdicts[:0])
	for i, v := range c.verdicts {
		c.send(t.events[i], v)
	}
	left := len(t.events) - len(c.verdicts)
	c.next = next - int64(left)
	clear(t.events) // the ring may drop them
	c.events = t.events
	if left > 0 {
		return nil
	}
	return t.wake
}

// signOfLife also tells the client how far it is when its filter has let nothing
// through: it can come back there.
func (c *client) signOfLife() {
	c.out.text(": still here\n")
	if c.last != c.told {
		c.out.text("id: ", c.last.String(), "\n")
		c.told = c.last
	}
	c.out.text("\n")
}

// send sends an event that the client wants.
func (c *client) send(e held, v verdict) {
	c.last = e.id
	if v.fault != nil {
		c.refuse(e.id, v.fault)
	}
	if !v.wanted {
		return
	}
	c.out.text("id: ", e.id.String(), "\n")
	if v.marked {
		c.out.text("event: marked\n")
	}
	c.out.text("data: ")
	c.out.bytes(e.data)
	c.out.text("\n\n")
	c.told = e.id
}

// refuse tells that an event could not be judged, now and then: it may be all of
// them.
func (c *client) refuse(id stream.ID, err error) {
	if now := time.Now(); now.Sub(c.refused) >= refusedEvery {
		c.refused = now
		c.message("refused", struct {
			ID    stream.ID `json:"id"`
			Error string    `json:"error"`
		}{id, err.Error()})
	}
}

// message sends an event of our own.
func (c *client) message(name string, v any) {
	data, _ := json.Marshal(v) // texts and numbers alone
	c.out.text("event: ", name, "\ndata: ", string(data), "\n\n")
}

// problem answers with an error in the form of the admin server.
func problem(w http.ResponseWriter, status int, text, hint string) {
	body, _ := json.Marshal(struct { // texts alone
		Error string `json:"error"`
		Hint  string `json:"hint"`
	}{text, hint})
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
}
