package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"time"
)

// Letters are the dead letters of the groups. Its methods are called from many
// goroutines at once; they ask Redis. A group that is not there is
// [ErrUnknownGroup], a query that cannot be understood [ErrRequest].
type Letters interface {
	// List returns the letters that q means, at most limit of them.
	List(ctx context.Context, group string, q LetterQuery, limit int) (LetterPage, error)

	// Show returns one letter with all of its fields; one that is not there is
	// [ErrNoLetter].
	Show(ctx context.Context, group, id string) (any, error)

	// Replay sends the letters that q means back to the group, at most rate a
	// second (0: as fast as Redis takes them); with dryRun it counts them.
	Replay(ctx context.Context, group string, q LetterQuery, rate float64, dryRun bool) (LetterCount, error)

	// Purge deletes the letters that q means; with dryRun it counts them.
	Purge(ctx context.Context, group string, q LetterQuery, dryRun bool) (LetterCount, error)
}

// Errors that a Letters wraps.
var (
	ErrRequest  = errors.New("the request is not understood")
	ErrNoLetter = errors.New("no such dead letter")
)

// LetterQuery says which letters are meant: those of IDs, or those that all the
// other fields allow. The zero LetterQuery means every letter.
type LetterQuery struct {
	IDs     []string `json:"ids,omitempty"`
	Reasons []string `json:"reasons,omitempty"` // stage or error class, any of them
	Since   string   `json:"since,omitempty"`   // written then or later: a time, a date, or a duration ago
	Until   string   `json:"until,omitempty"`   // written before
	From    string   `json:"from,omitempty"`    // the first ID of a letter
	To      string   `json:"to,omitempty"`      // the last one
	Error   string   `json:"error,omitempty"`   // a part of the error's text
}

// LetterPage is a part of the dead letters.
type LetterPage struct {
	Group   string `json:"group"`
	Stream  string `json:"stream"`  // where the letters are
	Letters []any  `json:"letters"` // oldest first
	Next    string `json:"next"`    // what from is to be for the next page; "" after the last one
}

// LetterCount is what became of letters, or with DryRun what would.
type LetterCount struct {
	DryRun  bool   `json:"dry_run"`
	Letters int64  `json:"letters"`
	Last    string `json:"last"` // the last ID that was meant, "" for none: with it as "to" the same request means these, and none that came later
}

// letterRequest is the body of a replay or a purge.
type letterRequest struct {
	LetterQuery
	All    bool    `json:"all"` // needed where nothing else says which
	Rate   float64 `json:"rate"`
	DryRun bool    `json:"dry_run"`
}

const (
	defaultLetters = 100
	maxLetters     = 1000
	letterTimeout  = 20 * time.Second // of a page
)

func (s *Server) letters(w http.ResponseWriter, r *http.Request, asked *query) {
	limit := asked.number("limit", defaultLetters, 1, maxLetters)
	if asked.refused(w) {
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), letterTimeout)
	defer cancel()
	page, err := s.cfg.Letters.List(ctx, r.PathValue("name"), queryOf(asked.values), limit)
	if err != nil {
		s.letterProblem(w, r, err)
		return
	}
	if page.Letters == nil {
		page.Letters = []any{}
	}
	answer(w, http.StatusOK, page)
}

func queryOf(v url.Values) LetterQuery {
	return LetterQuery{
		IDs: v["id"], Reasons: v["reason"], Since: v.Get("since"), Until: v.Get("until"),
		From: v.Get("from"), To: v.Get("to"), Error: v.Get("error"),
	}
}

func (s *Server) letter(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), letterTimeout)
	defer cancel()
	letter, err := s.cfg.Letters.Show(ctx, r.PathValue("name"), r.PathValue("id"))
	if err != nil {
		s.letterProblem(w, r, err)
		return
	}
	answer(w, http.StatusOK, letter)
}

func (s *Server) replay(w http.ResponseWriter, r *http.Request) {
	s.changeLetters(w, r, func(ctx context.Context, group string, q letterRequest) (LetterCount, error) {
		return s.cfg.Letters.Replay(ctx, group, q.LetterQuery, q.Rate, q.DryRun)
	})
}

func (s *Server) purge(w http.ResponseWriter, r *http.Request) {
	s.changeLetters(w, r, func(ctx context.Context, group string, q letterRequest) (LetterCount, error) {
		return s.cfg.Letters.Purge(ctx, group, q.LetterQuery, q.DryRun)
	})
}

// changeLetters does something to the letters that the body means. A client
// that goes away ends it.
func (s *Server) changeLetters(w http.ResponseWriter, r *http.Request, do func(context.Context, string, letterRequest) (LetterCount, error)) {
	var q letterRequest
	in := json.NewDecoder(r.Body)
	in.DisallowUnknownFields()
	if err := in.Decode(&q); err != nil && !errors.Is(err, io.EOF) {
		s.letterProblem(w, r, fmt.Errorf("%w: %w", ErrRequest, err))
		return
	}
	if in.More() {
		s.letterProblem(w, r, fmt.Errorf("%w: something stands behind the object", ErrRequest))
		return
	}
	if q.IDs != nil && len(q.IDs) == 0 || q.Reasons != nil && len(q.Reasons) == 0 {
		// A script whose choice came out empty does not mean all letters.
		s.letterProblem(w, r, fmt.Errorf("%w: ids or reasons is an empty list: leave it out, or name some", ErrRequest))
		return
	}
	if !q.All && reflect.DeepEqual(q.LetterQuery, LetterQuery{}) {
		s.letterProblem(w, r, fmt.Errorf(`%w: say which letters are meant, or {"all": true}`, ErrRequest))
		return
	}
	if q.Rate < 0 {
		s.letterProblem(w, r, fmt.Errorf("%w: rate: want letters a second, 0 for no limit", ErrRequest))
		return
	}
	takesLong(w)
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{}) // the request has been read; a longer wait is no fault of the client
	count, err := do(r.Context(), r.PathValue("name"), q)
	if err != nil {
		s.letterProblem(w, r, err)
		return
	}
	answer(w, http.StatusOK, count)
}

func (s *Server) letterProblem(w http.ResponseWriter, r *http.Request, err error) {
	name := r.PathValue("name")
	switch {
	case errors.Is(err, ErrUnknownGroup):
		s.unknownGroup(w, name)
	case errors.Is(err, ErrNoLetter):
		fail(w, http.StatusNotFound, problem{Error: err.Error(), Hint: "GET /v1/groups/" + name + "/dead shows those that are there"})
	case errors.Is(err, ErrRequest):
		fail(w, http.StatusBadRequest, problem{Error: err.Error(), Hint: "fanout dead --help says what letters can be chosen by"})
	default:
		fail(w, http.StatusBadGateway, problem{Error: err.Error(), Hint: "see whether redis answers, then try again"})
	}
}
