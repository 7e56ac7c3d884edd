package admin

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
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
}

// watch sends server-sent events until the client goes: "server" once (Watched),
// "groups" each second (GroupList with the time), "dropped", and without a name
// those of /v1/events.
func (s *Server) watch(w http.ResponseWriter, r *http.Request) {
	recent := 0
	if text := r.URL.Query().Get("recent"); text != "" {
		var err error
		if recent, err = strconv.Atoi(text); err != nil || recent < 0 || recent > maxRecent {
			fail(w, http.StatusBadRequest, problem{Error: fmt.Sprintf("recent %.40q", text), Hint: fmt.Sprintf("want a number from 0 to %d", maxRecent)})
			return
		}
	}
	send, leave, ok := s.sends(w)
	if !ok {
		return
	}
	defer leave()
	follower := s.cfg.Feed.Follow("", recent)
	defer follower.Close()
	hello := named("server", Watched{Version: s.cfg.Version, ReadOnly: s.cfg.ReadOnly, Time: time.Now()})
	if r.Method == http.MethodHead || send(hello) != nil {
		return
	}
	look := time.NewTimer(0)
	defer look.Stop()
	for {
		var text []byte
		select {
		case <-follower.Ready():
			text = serverSent(follower.Next())
		case <-look.C:
			text = named("groups", s.groupsNow())
			look.Reset(max(watchEvery, time.Duration(len(text))*time.Second/watchPace))
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

// watchedGroups is what watch sends each second.
type watchedGroups struct {
	Time   time.Time     `json:"time"`
	Groups []GroupStatus `json:"groups"`
}

func (s *Server) groupsNow() watchedGroups {
	groups := slices.Clone(s.controller.Groups())
	for i := range groups {
		groups[i].complete()
	}
	return watchedGroups{Time: time.Now(), Groups: orEmpty(groups)}
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
