package admin

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

const (
	maxFollowers  = 256              // clients of the event feed at once
	followTimeout = 10 * time.Second // of one write to such a client
	checkEvery    = 5 * time.Second  // whether a client may go on; also between two signs of life to it
)

// Why a stream ends that its client wants to go on.
var (
	errTokenGone = errors.New("the token is not valid any more")
	errGroupGone = errors.New("the group has left the manifest")
)

// mayGoOn says why a stream must end, nil while it need not. is looks for the
// group.
func (s *Server) mayGoOn(r *http.Request, is func() bool) error {
	switch {
	case !s.knows(r):
		return errTokenGone
	case !is():
		return errGroupGone
	}
	return nil
}

// farewell is the last event of such a stream.
func farewell(why error) []byte {
	name := "gone"
	if errors.Is(why, errTokenGone) {
		name = "refused"
	}
	return named(name, struct {
		ID    *string `json:"id"` // of no event
		Error string  `json:"error"`
	}{nil, why.Error()})
}

// feedStream is a stream of server-sent events from the feed.
type feedStream struct {
	first  []byte
	group  string // whose events; "": all
	recent int    // events of before
	groups bool   // and all groups again and again
}

// follow sends a stream until the client goes, reads nothing for a while, must not
// go on, or the server ends. All waiting is done here: the feed never waits for a
// client.
func (s *Server) follow(w http.ResponseWriter, r *http.Request, st feedStream) {
	send, leave, ok := s.sends(w)
	if !ok {
		return
	}
	defer leave()
	follower := s.cfg.Feed.Follow(st.group, st.recent)
	defer follower.Close()
	if r.Method == http.MethodHead || send(st.first) != nil {
		return
	}
	check := time.NewTicker(checkEvery)
	defer check.Stop()
	look := time.NewTimer(0)
	defer look.Stop()
	if !st.groups {
		look.Stop()
	}
	for {
		var text []byte
		select {
		case <-follower.Ready():
			text = serverSent(follower.Next())
		case <-look.C:
			shown := s.shown.now(s)
			text = shown.text
			look.Reset(time.Until(shown.next))
		case <-check.C:
			if why := s.mayGoOn(r, func() bool { return st.group == "" || s.hasGroup(st.group) }); why != nil {
				_ = send(farewell(why))
				return
			}
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
	return func(text []byte) error { return sendTo(w, text) }, func() { <-s.followers }, true
}

// sendTo sends a part of a stream.
func sendTo(w http.ResponseWriter, text []byte) error {
	out := http.NewResponseController(w)
	_ = out.SetWriteDeadline(time.Now().Add(followTimeout)) // of this write alone
	if _, err := w.Write(text); err != nil {
		return err
	}
	return out.Flush()
}
