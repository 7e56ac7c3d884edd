package admin

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Windows reads what groups have summed up by key and time. Its methods are
// called from many goroutines at once; they read the group's store and never
// keep its writer waiting. A name that no group has is [ErrUnknownGroup], a
// request that cannot be understood [ErrRequest], a group that keeps no windows a
// [*Refused].
type Windows interface {
	// Windows returns windows in the order of their start, then their key.
	Windows(ctx context.Context, group string, q WindowQuery) (WindowPage, error)

	// Keys returns the keys whose windows come to the most, that one first.
	Keys(ctx context.Context, group string, q KeyQuery) (KeyPage, error)
}

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
	Key    any            `json:"key"` // a text or an integer
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
	windowTimeout  = 10 * time.Second
	defWindows     = 500
	maxWindows     = 5000
	maxWindowKeys  = 100
	defKeys        = 20
	maxKeys        = 1000
	defWindowsTime = time.Hour // before now
)

func (s *Server) windows(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	q := WindowQuery{Keys: query["key"], After: query.Get("after")}
	var err error
	if len(q.Keys) > maxWindowKeys {
		err = fmt.Errorf("%w: %d keys: want %d at most", ErrRequest, len(q.Keys), maxWindowKeys)
	}
	if err == nil {
		q.Since, err = moment(query, "since", time.Now().Add(-defWindowsTime))
	}
	if err == nil {
		q.Until, err = moment(query, "until", time.Time{})
	}
	if err == nil {
		q.Limit, err = limitOf(query, defWindows, maxWindows)
	}
	if err != nil {
		s.operatorProblem(w, r, err)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), windowTimeout)
	defer cancel()
	page, err := s.cfg.Windows.Windows(ctx, r.PathValue("name"), q)
	page.Windows, page.Measures = orEmpty(page.Windows), orEmpty(page.Measures)
	s.answerOperator(w, r, page, err)
}

func (s *Server) windowKeys(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	q := KeyQuery{By: query.Get("by")}
	var err error
	if q.Since, err = moment(query, "since", time.Now().Add(-defWindowsTime)); err == nil {
		q.Limit, err = limitOf(query, defKeys, maxKeys)
	}
	if err != nil {
		s.operatorProblem(w, r, err)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), windowTimeout)
	defer cancel()
	page, err := s.cfg.Windows.Keys(ctx, r.PathValue("name"), q)
	page.Keys, page.Measures = orEmpty(page.Keys), orEmpty(page.Measures)
	s.answerOperator(w, r, page, err)
}

// moment is a time of the query: a time, milliseconds since 1970, or how long
// ago (-1h or 1h).
func moment(query url.Values, name string, absent time.Time) (time.Time, error) {
	text := query.Get(name)
	if text == "" {
		return absent, nil
	}
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return t, nil
	}
	if ms, err := strconv.ParseInt(text, 10, 64); err == nil && ms >= 0 && ms < maxMillis {
		return time.UnixMilli(ms), nil
	}
	if ago, err := time.ParseDuration(strings.TrimPrefix(text, "-")); err == nil && ago >= 0 {
		return time.Now().Add(-ago), nil
	}
	return time.Time{}, fmt.Errorf("%w: %s %.60q: want a time as 2025-11-23T12:00:00Z, milliseconds since 1970, or how long ago as -1h", ErrRequest, name, text)
}

const maxMillis = 253402300800000 // the year 10000

func limitOf(query url.Values, absent, most int) (int, error) {
	text := query.Get("limit")
	if text == "" {
		return absent, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		return 0, fmt.Errorf("%w: limit %.40q: want a number from 1 to %d", ErrRequest, text, most)
	}
	return n, nil
}
