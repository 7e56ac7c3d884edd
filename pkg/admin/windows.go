package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// Windows reads what groups have summed up by key and time. Its methods are
// called from many goroutines at once; they read the group's store and never
// keep its writer waiting. A name that no group has is [ErrUnknownGroup], a
// request that cannot be understood [ErrRequest], a group that keeps no windows a
// [*Refused], one whose store is away an [*Away].
type Windows interface {
	// Windows returns windows in the order of their start, then their key.
	Windows(ctx context.Context, group string, q WindowQuery) (WindowPage, error)

	// Keys returns the keys whose windows come to the most, that one first.
	Keys(ctx context.Context, group string, q KeyQuery) (KeyPage, error)
}

// Away is the error about something that is not there now.
type Away struct {
	Reason string
	Hint   string // what to do
}

func (e *Away) Error() string { return e.Reason }

// WindowQuery says which windows are wanted.
type WindowQuery struct {
	Keys  []string  // those alone; none: all
	Since time.Time // those that begin then or later
	Until time.Time // and before; zero: no end
	After string    // what Next of the page before said; "" from the beginning
	Limit int       // windows of a page
}

// KeyQuery says which keys are wanted.
type KeyQuery struct {
	By    string    // the measure that they are ordered by; "" is the first sum, else the first count
	Since time.Time // of windows that begin then or later
	Until time.Time // and before; zero: no end
	Limit int
}

// WindowMeaning says what the windows of a group are.
type WindowMeaning struct {
	Group       string          `json:"group"`
	Stream      string          `json:"stream"`
	Table       string          `json:"table"`
	SizeSeconds float64         `json:"size_seconds"`
	Key         string          `json:"key"`  // path of the key in the event; "": all windows have the key ""
	Time        string          `json:"time"` // path of the time in the event; "": the time in the entry's ID
	Measures    []WindowMeasure `json:"measures"`
}

// WindowMeasure is a number that is kept of each window.
type WindowMeasure struct {
	Name     string `json:"name"`
	Function string `json:"function"` // count, sum, min, max, first, last or wavg
	Path     string `json:"path"`     // in the event; "" for count
	Weight   string `json:"weight"`   // path of the weight of wavg
	Decimals int    `json:"decimals"` // places that the integer is to be shown with: 2 shows 245 as 2.45
}

// WindowPage is a part of the windows of a group.
type WindowPage struct {
	WindowMeaning
	Windows []Window `json:"windows"`
	Next    string   `json:"next"` // what after is to be for the next page; "" after the last one
}

// Window is one window.
type Window struct {
	Key    any            `json:"key"` // a text or an integer; one beyond 2^53 is a text too
	Start  time.Time      `json:"start"`
	Values map[string]any `json:"values"` // by measure; null: no event had a value
}

// KeyPage are the busiest keys of a group.
type KeyPage struct {
	WindowMeaning
	By       string      `json:"by"`       // the measure that they are ordered by
	Complete bool        `json:"complete"` // false: only the newest windows were looked at
	Keys     []WindowKey `json:"keys"`     // the busiest first
}

// WindowKey is what the windows of one key come to.
type WindowKey struct {
	Key     any            `json:"key"`
	Windows int64          `json:"windows"` // of them
	First   time.Time      `json:"first"`   // window's start
	Last    time.Time      `json:"last"`
	Values  map[string]any `json:"values"` // sums of counts and sums, by measure; beyond 2^53 they are rounded
}

const (
	windowReads    = 3                // at once
	windowWait     = 2 * time.Second  // for a turn
	windowTimeout  = 10 * time.Second // of a read
	defWindows     = 500
	maxWindows     = 5000
	maxWindowKeys  = 100
	defKeys        = 20
	maxKeys        = 1000
	defWindowsTime = time.Hour // before now
)

func (s *Server) windows(w http.ResponseWriter, r *http.Request, asked *query) {
	q := WindowQuery{
		Keys:  asked.texts("key", maxWindowKeys),
		Since: asked.moment("since", time.Now().Add(-defWindowsTime)),
		Until: asked.moment("until", time.Time{}),
		After: asked.text("after"),
		Limit: asked.number("limit", defWindows, 1, maxWindows),
	}
	if asked.refused(w) {
		return
	}
	s.readWindows(w, r, asked, func(ctx context.Context, group string) (any, error) {
		page, err := s.cfg.Windows.Windows(ctx, group, q)
		page.Windows, page.Measures = orEmpty(page.Windows), orEmpty(page.Measures)
		return page, err
	})
}

func (s *Server) windowKeys(w http.ResponseWriter, r *http.Request, asked *query) {
	q := KeyQuery{
		By:    asked.text("by"),
		Since: asked.moment("since", time.Now().Add(-defWindowsTime)),
		Until: asked.moment("until", time.Time{}),
		Limit: asked.number("limit", defKeys, 1, maxKeys),
	}
	if asked.refused(w) {
		return
	}
	s.readWindows(w, r, asked, func(ctx context.Context, group string) (any, error) {
		page, err := s.cfg.Windows.Keys(ctx, group, q)
		page.Keys, page.Measures = orEmpty(page.Keys), orEmpty(page.Measures)
		return page, err
	})
}

// readWindows answers with what read gives. A few reads run at once, so that they
// leave memory and processors to the groups; others wait a while for their turn.
func (s *Server) readWindows(w http.ResponseWriter, r *http.Request, asked *query, read func(ctx context.Context, group string) (any, error)) {
	body, err := s.read(r.Context(), func(ctx context.Context) ([]byte, error) {
		page, err := read(ctx, r.PathValue("name"))
		if err != nil {
			return nil, err
		}
		return encode(page)
	})
	var away *Away
	switch {
	case err == nil:
		write(w, http.StatusOK, "application/json", body)
	case errors.Is(err, ErrRequest):
		asked.fault = err
		asked.refused(w)
	case errors.As(err, &away):
		unavailable(w, err.Error(), away.Hint)
	case errors.Is(err, errBusy), errors.Is(err, context.DeadlineExceeded):
		unavailable(w, err.Error(), "try again in a moment, or ask for less")
	default:
		s.operatorProblem(w, r, err)
	}
}

// read runs fn when it is its turn.
func (s *Server) read(ctx context.Context, fn func(context.Context) ([]byte, error)) ([]byte, error) {
	waiting, cancel := context.WithTimeout(ctx, windowWait)
	defer cancel()
	select {
	case s.reads <- struct{}{}:
		defer func() { <-s.reads }()
	case <-waiting.Done():
		return nil, errBusy
	}
	ctx, cancel = context.WithTimeout(ctx, windowTimeout)
	defer cancel()
	body, err := fn(ctx)
	if err != nil && ctx.Err() != nil {
		return nil, fmt.Errorf("read windows: %w", ctx.Err())
	}
	return body, err
}

var errBusy = errors.New("others read windows already")

// unavailable answers that it may be better later.
func unavailable(w http.ResponseWriter, fault, hint string) {
	w.Header().Set("Retry-After", "1")
	fail(w, http.StatusServiceUnavailable, problem{Error: fault, Hint: hint})
}
