package admin

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// Live streams the events of groups. Its method is called from many goroutines
// at once. A name that no group has is [ErrUnknownGroup], a group whose handler
// streams nothing a [*Refused].
type Live interface {
	// Live is what answers requests for the events of a group. It ends soon after
	// the request's context is done.
	Live(group string) (http.Handler, error)
}

// live hands a request on to the group's own stream, which ends with the server,
// with the group, and when the client's token is not valid any more.
func (s *Server) live(w http.ResponseWriter, r *http.Request, _ *query) {
	name := r.PathValue("name")
	stream, err := s.cfg.Live.Live(name)
	if err != nil {
		s.operatorProblem(w, r, err)
		return
	}
	streams := func() bool {
		_, err := s.cfg.Live.Live(name)
		return err == nil
	}
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	go func() {
		check := time.NewTicker(checkEvery)
		defer check.Stop()
		for {
			select {
			case <-check.C:
				if why := s.mayGoOn(r, streams); why != nil {
					cancel(why)
				}
			case <-s.ending:
				cancel(nil)
			case <-ctx.Done():
				return
			}
		}
	}()
	stream.ServeHTTP(w, r.WithContext(ctx))
	if why := context.Cause(ctx); errors.Is(why, errTokenGone) || errors.Is(why, errGroupGone) {
		_ = sendTo(w, farewell(why))
	}
}
