package admin

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"example.com/fanout/pkg/telemetry"
)

const (
	maxFollowers  = 256              // clients of the live feed at once
	followTimeout = 10 * time.Second // of one write to such a client
	keepAlive     = 15 * time.Second // between two signs of life to one
	maxRecent     = 500
)

// EventList is the answer of /v1/events to those who want JSON.
type EventList struct {
	Events []telemetry.Event `json:"events"` // oldest first
}

// events answers with the newest events as JSON, or follows them as server-sent
// events: each has the form of a telemetry.Event; one of type "dropped" tells
// how many a client has missed that reads too slowly.
func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	group := query.Get("group")
	if group != "" && !s.hasGroup(group) {
		s.unknownGroup(w, group)
		return
	}
	live := !strings.Contains(r.Header.Get("Accept"), "application/json")
	recent := maxRecent
	if live {
		recent = 0
	}
	if text := query.Get("recent"); text != "" {
		var err error
		if recent, err = strconv.Atoi(text); err != nil || recent < 0 || recent > maxRecent {
			fail(w, http.StatusBadRequest, problem{Error: fmt.Sprintf("recent %.40q", text), Hint: fmt.Sprintf("want a number from 0 to %d", maxRecent)})
			return
		}
	}
	if live {
		s.follow(w, r, group, recent)
		return
	}
	list := EventList{Events: s.cfg.Feed.Recent(group, recent)}
	if list.Events == nil {
		list.Events = []telemetry.Event{}
	}
	answer(w, http.StatusOK, list)
}

func (s *Server) hasGroup(name string) bool {
	for _, g := range s.controller.Groups() {
		if g.Name == name {
			return true
		}
	}
	return false
}

// follow sends events until the client goes, reads nothing for a while, or the
// server ends. All waiting is done here: the feed never waits for a client.
func (s *Server) follow(w http.ResponseWriter, r *http.Request, group string, recent int) {
	send, leave, ok := s.sends(w)
	if !ok {
		return
	}
	defer leave()
	follower := s.cfg.Feed.Follow(group, recent)
	defer follower.Close()
	if r.Method == http.MethodHead || send([]byte(": events follow\n\n")) != nil {
		return
	}
	alive := time.NewTicker(keepAlive)
	defer alive.Stop()
	for {
		var text []byte
		select {
		case <-follower.Ready():
			text = serverSent(follower.Next())
		case <-alive.C:
			text = []byte(": still here\n\n")
		case <-r.Context().Done():
			return
		case <-s.ending:
			return
		}
		if send(text) != nil {
			return
		}
	}
}

// sends begins an answer of server-sent events. A client that does not take one
// within ten seconds is given up: send fails then. leave gives its place to
// another client; there are so many.
func (s *Server) sends(w http.ResponseWriter) (send func([]byte) error, leave func(), ok bool) {
	select {
	case s.followers <- struct{}{}:
	default:
		fail(w, http.StatusServiceUnavailable, problem{
			Error: fmt.Sprintf("%d clients follow the events already", maxFollowers), Hint: "end one of them, or ask for JSON with Accept: application/json",
		})
		return nil, nil, false
	}
	out := http.NewResponseController(w)
	_ = out.SetReadDeadline(time.Time{}) // the request has been read
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // for a proxy in between
	w.WriteHeader(http.StatusOK)
	send = func(text []byte) error {
		_ = out.SetWriteDeadline(time.Now().Add(followTimeout)) // of this write alone
		if _, err := w.Write(text); err != nil {
			return err
		}
		return out.Flush()
	}
	return send, func() { <-s.followers }, true
}

// serverSent is the wire form of events.
func serverSent(events []telemetry.Event, dropped int64) []byte {
	var text []byte
	if dropped > 0 {
		text = fmt.Appendf(text, "event: dropped\ndata: {\"dropped\":%d}\n\n", dropped)
	}
	for _, e := range events {
		data, err := json.Marshal(e)
		if err != nil {
			continue // a time beyond the year 9999
		}
		text = append(append(append(text, "data: "...), data...), "\n\n"...)
	}
	return text
}
