package admin

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"example.com/fanout/pkg/telemetry"
)

const maxRecent = 500 // events of before

// EventList is the answer of /v1/events to those who want JSON.
type EventList struct {
	Events []telemetry.Event `json:"events"` // oldest first
}

// events answers with the newest events as JSON, or follows them as server-sent
// events: each has the form of a telemetry.Event; one of type "dropped" tells
// how many a client has missed that reads too slowly.
func (s *Server) events(w http.ResponseWriter, r *http.Request, asked *query) {
	group := asked.text("group")
	if group != "" && !s.hasGroup(group) {
		s.unknownGroup(w, group)
		return
	}
	live := !strings.Contains(r.Header.Get("Accept"), "application/json")
	absent := maxRecent
	if live {
		absent = 0
	}
	recent := asked.number("recent", absent, 0, maxRecent)
	if asked.refused(w) {
		return
	}
	if live {
		s.follow(w, r, feedStream{first: []byte(": events follow\n\n"), group: group, recent: recent})
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
