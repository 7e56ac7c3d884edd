package admin

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"
)

const (
	watchEvery = time.Second // between two looks at the groups
	watchPace  = 256 << 10   // bytes a second that a client gets of them; larger lists come less often
)

// Watched is the first message of /v1/watch: what a client must know of the
// server to show it.
type Watched struct {
	Version  string    `json:"version"`
	ReadOnly bool      `json:"read_only"` // it changes nothing
	Time     time.Time `json:"time"`      // by the server's clock
	Pace     int64     `json:"pace_ms"`   // between two lists of groups, as things stand
}

// watch sends server-sent events until the client goes: "server" first (Watched),
// "groups" each second (GroupList with the time and the pace), "dropped", and
// without a name those of /v1/events. "refused" is the last one when the token is
// not valid any more.
func (s *Server) watch(w http.ResponseWriter, r *http.Request, asked *query) {
	recent := asked.number("recent", 0, 0, maxRecent)
	if asked.refused(w) {
		return
	}
	hello := named("server", Watched{Version: s.cfg.Version, ReadOnly: s.cfg.ReadOnly, Time: time.Now(), Pace: s.shown.now(s).pace.Milliseconds()})
	s.follow(w, r, feedStream{first: hello, recent: recent, groups: true})
}

// watchedGroups is what watch sends each second.
type watchedGroups struct {
	Time time.Time `json:"time"`
	Pace int64     `json:"pace_ms"` // until the next one
	GroupList
}

// shownGroups are the groups as all clients of /v1/watch are shown them, at common
// moments: there is one list for all, however many they are.
type shownGroups struct {
	mu   sync.Mutex
	last shown
}

// shown is one list.
type shown struct {
	text []byte        // the whole event
	pace time.Duration // between two
	next time.Time     // when it is out of date
}

func (g *shownGroups) now(s *Server) shown {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	if now.Before(g.last.next) {
		return g.last
	}
	groups := watchedGroups{Time: now, Pace: g.last.pace.Milliseconds(), GroupList: s.groupList()}
	text := named("groups", groups)
	pace := max(watchEvery, (time.Duration(len(text)) * time.Second / watchPace).Truncate(watchEvery))
	if pace != g.last.pace {
		groups.Pace = pace.Milliseconds()
		text = named("groups", groups)
	}
	g.last = shown{text: text, pace: pace, next: now.Add(pace - now.Sub(now.Truncate(pace)))}
	return g.last
}

// named is one server-sent event with a name.
func named(name string, v any) []byte {
	data, err := json.Marshal(v)
	if err != nil { // a number that JSON does not have
		data, _ = json.Marshal(problem{Error: err.Error(), Hint: "report this as a bug"})
		name = "fault"
	}
	return fmt.Appendf(nil, "event: %s\ndata: %s\n\n", name, data)
}
