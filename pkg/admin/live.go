package admin

import (
	"context"
	"net/http"
)

// Live streams the events of groups. Its method is called from many goroutines
// at once. A name that no group has is [ErrUnknownGroup], a group whose handler
// streams nothing a [*Refused].
type Live interface {
	// Live is what answers requests for the events of a group. It ends soon after
	// the request's context is done.
	Live(group string) (http.Handler, error)
}

// live hands a request on to the group's own stream, which ends with the
// server.
func (s *Server) live(w http.ResponseWriter, r *http.Request) {
	stream, err := s.cfg.Live.Live(r.PathValue("name"))
	if err != nil {
		s.operatorProblem(w, r, err)
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	go func() {
		select {
		case <-s.ending:
			cancel()
		case <-ctx.Done():
		}
	}()
	stream.ServeHTTP(w, r.WithContext(ctx))
}
