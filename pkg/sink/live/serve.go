package live

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"example.com/fanout/pkg/event"
	"example.com/fanout/pkg/stream"
)

const (
	writeTimeout = 10 * time.Second       // of one write to a client
	keepAlive    = 15 * time.Second       // between two signs of life to one
	pace         = 25 * time.Millisecond  // between two writes at least: many events go out as one
	takeMost     = 512                    // events of one write
	maxRecent    = 1000                   // events that a new client may ask for
	refusedEvery = 500 * time.Millisecond // between two words about a filter that fails
)

// client is one request that is being answered.
type client struct {
	hub         *hub
	where, mark *event.Expr // nil: none
	decoder     event.Decoder
	event       event.Event // of the filter
	refused     time.Time   // it was told that the filter fails
	next        int64
	last        stream.ID // seen, whether sent or not
	told        stream.ID // the last ID that the client knows
	buf         []byte
	out         func([]byte) error
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
	c := &client{hub: h, decoder: event.Decoder{Field: "event", Format: event.JSON}}
	gone, fault := c.read(r)
	if fault != "" {
		problem(w, http.StatusBadRequest, fault, "correct the request; the README says what where, mark, recent and Last-Event-ID may be")
		return
	}
	ok, most := h.join()
	if !ok {
		problem(w, http.StatusServiceUnavailable, fmt.Sprintf("%d clients follow the group already", most), "come later, or raise clients of the handler live in the manifest")
		return
	}
	defer h.leave()

	controller := http.NewResponseController(w)
	_ = controller.SetReadDeadline(time.Time{}) // the request has been read
	head := w.Header()
	head.Set("Content-Type", "text/event-stream")
	head.Set("X-Accel-Buffering", "no") // for a proxy in between
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return
	}
	c.out = func(text []byte) error {
		_ = controller.SetWriteDeadline(time.Now().Add(writeTimeout)) // of this write alone
		if _, err := w.Write(text); err != nil {
			return err
		}
		return controller.Flush()
	}
	c.buf = append(c.buf, ": events follow\n\n"...)
	if gone != nil {
		c.message("missed", gone)
	}
	c.serve(r)
}

// read takes what the request asks for. gone is what the client may have missed
// before it came back, fault what is wrong with the request.
func (c *client) read(r *http.Request) (gone *missed, fault string) {
	query := r.URL.Query()
	for _, part := range []struct {
		name string
		into **event.Expr
	}{{"where", &c.where}, {"mark", &c.mark}} {
		source := query.Get(part.name)
		if source == "" {
			continue
		}
		x, err := event.Compile(source)
		if err != nil {
			return nil, part.name + ": " + err.Error()
		}
		*part.into = x
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
func (c *client) serve(r *http.Request) {
	alive := time.NewTicker(keepAlive)
	defer alive.Stop()
	rest := time.NewTimer(0)
	defer rest.Stop()
	for {
		t, next := c.hub.take(c.next, c.last, takeMost)
		if t.missed.Count != nil {
			c.message("missed", t.missed)
		}
		for _, e := range t.events {
			if r.Context().Err() != nil {
				return
			}
			c.judge(e)
		}
		c.next = next
		if len(c.buf) > 0 {
			if c.out(c.buf) != nil {
				return
			}
			c.buf = c.buf[:0]
			rest.Reset(pace)
			select {
			case <-rest.C:
			case <-r.Context().Done():
				return
			}
		}
		if t.wake == nil {
			if r.Context().Err() != nil {
				return
			}
			continue
		}
		select {
		case <-t.wake:
		case <-alive.C:
			c.signOfLife()
		case <-r.Context().Done():
			return
		}
	}
}

// signOfLife also tells the client how far it is when its filter has let nothing
// through: it can come back there.
func (c *client) signOfLife() {
	c.buf = append(c.buf, ": still here\n"...)
	if c.last != c.told {
		c.buf = fmt.Appendf(c.buf, "id: %s\n", c.last)
		c.told = c.last
	}
	c.buf = append(c.buf, '\n')
}

// judge appends an event that the client wants.
func (c *client) judge(e held) {
	c.last = e.id
	if c.where != nil || c.mark != nil {
		c.event.Reset()
		format := event.JSON
		if e.opaque {
			format = event.Raw
		}
		d := event.Decoder{Field: c.decoder.Field, Format: format}
		if err := d.DecodeInto(&c.event, stream.Entry{Fields: []stream.Field{{Name: []byte(c.decoder.Field), Value: e.data}}}); err != nil {
			c.refuse(e.id, err)
			return
		}
	}
	if c.where != nil {
		wanted, err := c.where.Match(&c.event)
		if err != nil {
			c.refuse(e.id, err)
		}
		if !wanted {
			return
		}
	}
	marked := false
	if c.mark != nil {
		var err error
		if marked, err = c.mark.Match(&c.event); err != nil {
			c.refuse(e.id, err)
		}
	}
	c.buf = fmt.Appendf(c.buf, "id: %s\n", e.id)
	if marked {
		c.buf = append(c.buf, "event: marked\n"...)
	}
	c.buf = append(append(append(c.buf, "data: "...), e.data...), "\n\n"...)
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

// message appends an event of our own.
func (c *client) message(name string, v any) {
	data, _ := json.Marshal(v) // texts and numbers alone
	c.buf = fmt.Appendf(c.buf, "event: %s\ndata: %s\n\n", name, data)
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
