package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"example.com/fanout/pkg/stream"
)

// Operator steers single groups and looks into them. Its methods are called from
// many goroutines at once; most of them ask Redis. A name that no group has is
// [ErrUnknownGroup], a request that cannot be understood [ErrRequest], and one
// that cannot be met as things stand a [*Refused].
type Operator interface {
	// Steer brings a group into the state that a verb means, waits until it is
	// in that state, and returns its status. The error of ctx means that it is
	// on its way there. by says who asks.
	Steer(ctx context.Context, group string, verb Verb, by string) (GroupStatus, error)

	// Position tells where a group stands in Redis.
	Position(ctx context.Context, group string) (Position, error)

	// Seek moves a group that is paused or stopped; a dry run says what that
	// would come to.
	Seek(ctx context.Context, group string, r SeekRequest) (Seek, error)

	// Pending lists what a group has pending.
	Pending(ctx context.Context, group string, q PendingQuery) (PendingPage, error)

	// Explain tells what every group of the streams has made of an entry; a
	// stream of "" is all streams of the manifest.
	Explain(ctx context.Context, id stream.ID, stream string) (Explanation, error)
}

// Refused is the error about something that cannot be done as things stand.
type Refused struct {
	Reason string
	Hint   string // what to do
}

func (e *Refused) Error() string { return e.Reason }

// Verb is what an operator wants of a group.
type Verb string

// The verbs.
const (
	Pause  Verb = "pause"  // take nothing new, keep what is begun
	Resume Verb = "resume" // go on after a pause
	Stop   Verb = "stop"   // take nothing new, give back what is begun
	Start  Verb = "start"  // go on after a pause or a stop
)

// Steered is the answer to a verb.
type Steered struct {
	Done   bool        `json:"done"` // false: the group is on its way; ask again to wait on
	Status GroupStatus `json:"status"`
}

// Position is where a group stands in Redis. null is unknown.
type Position struct {
	Group         string     `json:"group"`
	RedisGroup    string     `json:"redis_group"`
	Stream        string     `json:"stream"`
	LastDelivered *stream.ID `json:"last_delivered"` // null: Redis does not have the group
	LowWater      *stream.ID `json:"low_water"`      // everything up to it is settled
	EntriesRead   *int64     `json:"entries_read"`
	Pending       int64      `json:"pending"`
	OldestPending *stream.ID `json:"oldest_pending"` // null: nothing is pending
	Lag           *int64     `json:"lag"`
	FirstEntry    *stream.ID `json:"first_entry"` // null: the stream is empty
	LastGenerated *stream.ID `json:"last_generated"`
	Length        int64      `json:"length"` // entries in the stream
}

// SeekRequest says where a group is to go on.
type SeekRequest struct {
	To      string `json:"to"` // earliest, latest, an entry ID (after it), a time (from it on), or -1h: a time ago
	DryRun  bool   `json:"dry_run"`
	Rebuild bool   `json:"rebuild"` // empty what the handler has made, and begin with the first entry
}

// Seek is what a move of a group comes to.
type Seek struct {
	Group   string     `json:"group"`
	DryRun  bool       `json:"dry_run"`
	Rebuild bool       `json:"rebuild"`
	From    *stream.ID `json:"from"` // null: Redis does not have the group; it is created
	To      stream.ID  `json:"to"`   // it goes on after this entry

	Repeats int64 `json:"repeats"` // entries that come again
	Skips   int64 `json:"skips"`   // entries that never come
	Exact   bool  `json:"exact"`   // false: at least as many
	Gone    int64 `json:"gone"`    // entries after To that the stream does not have any more; -1: some, nobody knows how many
	Pending int64 `json:"pending"` // entries that stay pending and are handled as ever

	Effect string   `json:"effect"` // what the handler makes of a repeated entry, after these words; "" unknown
	Notes  []string `json:"notes"`  // what else to know, each a sentence
}

// PendingQuery says what of a pending list is wanted.
type PendingQuery struct {
	Consumer string        // "": of all
	MinIdle  time.Duration // idle for at least so long
	After    stream.ID     // from the first ID after it on
	Limit    int           // entries of a page
}

// PendingPage is a part of a pending list, with the totals of the whole.
type PendingPage struct {
	Group     string            `json:"group"`
	Stream    string            `json:"stream"`
	Total     int64             `json:"total"`
	Oldest    *stream.ID        `json:"oldest"`
	Newest    *stream.ID        `json:"newest"`
	Consumers []PendingConsumer `json:"consumers"`
	Entries   []PendingEntry    `json:"entries"`
	Next      *stream.ID        `json:"next"` // what after is to be for the next page; null: this was the last
}

// PendingConsumer is how much is pending under one name.
type PendingConsumer struct {
	Name    string `json:"name"`
	Pending int64  `json:"pending"`
}

// PendingEntry is one pending entry.
type PendingEntry struct {
	ID          stream.ID `json:"id"`
	Consumer    string    `json:"consumer"`
	IdleSeconds float64   `json:"idle_seconds"`
	Deliveries  int64     `json:"deliveries"`
}

// Explanation is what became of an entry.
type Explanation struct {
	ID      stream.ID      `json:"id"`
	Streams []StreamOfID   `json:"streams"`
	Groups  []EntryInGroup `json:"groups"`
}

// StreamOfID is a stream that may have had an entry.
type StreamOfID struct {
	Stream string `json:"stream"`
	There  bool   `json:"there"` // it holds the entry
	Note   string `json:"note"`  // why not
}

// EntryInGroup is what a group has made of an entry.
type EntryInGroup struct {
	Group       string     `json:"group"` // in the manifest; "" for one that it does not know
	RedisGroup  string     `json:"redis_group"`
	Stream      string     `json:"stream"`
	State       string     `json:"state"` // see Explanation's constants
	Detail      string     `json:"detail"`
	Consumer    string     `json:"consumer,omitempty"`     // pending
	Since       *time.Time `json:"since,omitempty"`        // pending: the consumer has it; absent where that is another process's
	IdleSeconds float64    `json:"idle_seconds,omitempty"` // pending: nobody has touched it
	Deliveries  int64      `json:"deliveries,omitempty"`   // pending
	Attempts    int        `json:"attempts,omitempty"`     // pending, that failed since then
	Next        *time.Time `json:"next,omitempty"`         // pending: the next attempt
	Letter      *stream.ID `json:"letter,omitempty"`       // dead, replaying
	Reason      string     `json:"reason,omitempty"`       // dead, replaying
}

// States of an entry in a group.
const (
	EntryWaiting   = "not delivered" // it will be
	EntryPending   = "pending"
	EntrySettled   = "settled" // delivered, and nothing is left of it
	EntryDead      = "dead"
	EntryReplaying = "replaying" // dead, and sent back to the group
	EntryGone      = "gone"      // never delivered, and not in the stream any more
	EntryUnknown   = "unknown"   // it cannot be told
)

const (
	steerTimeout  = 5 * time.Second // of one request; the client asks again
	lookTimeout   = 20 * time.Second
	maxPendingAsk = 1000
	defPendingAsk = 100
)

// operatorRoutes adds the paths of an Operator.
func (s *Server) operatorRoutes(table map[string]methods) {
	for _, verb := range []Verb{Pause, Resume, Stop, Start} {
		table["/v1/groups/{name}/"+string(verb)] = methods{"POST": plain(s.steer(verb))}
	}
	table["/v1/groups/{name}/position"] = methods{"GET": plain(s.position), "PUT": plain(s.seek)}
	table["/v1/groups/{name}/pending"] = methods{"GET": takes(s.pending, "consumer", "min_idle", "after", "limit")}
	table["/v1/explain/{id}"] = methods{"GET": takes(s.explain, "stream")}
}

func (s *Server) steer(verb Verb) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			By string `json:"by"`
		}
		if !s.body(w, r, &body) {
			return
		}
		if body.By == "" {
			body.By = "a request from " + r.RemoteAddr
		}
		ctx, cancel := context.WithTimeout(r.Context(), steerTimeout)
		defer cancel()
		status, err := s.cfg.Operator.Steer(ctx, r.PathValue("name"), verb, short(body.By))
		status.complete()
		switch {
		case err == nil:
			answer(w, http.StatusOK, Steered{true, status})
		case ctx.Err() != nil && status.Name != "":
			answer(w, http.StatusAccepted, Steered{false, status})
		default:
			s.operatorProblem(w, r, err)
		}
	}
}

// short makes a text fit for a line of a status.
func short(text string) string {
	const longest = 100
	runes := []rune(text)
	for i, c := range runes[:min(len(runes), longest)] {
		runes[i] = printable(c)
	}
	return string(runes[:min(len(runes), longest)])
}

func (s *Server) position(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), lookTimeout)
	defer cancel()
	p, err := s.cfg.Operator.Position(ctx, r.PathValue("name"))
	s.answerOperator(w, r, p, err)
}

func (s *Server) seek(w http.ResponseWriter, r *http.Request) {
	var q SeekRequest
	if !s.body(w, r, &q) {
		return
	}
	takesLong(w)
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{}) // the request has been read
	done, err := s.cfg.Operator.Seek(r.Context(), r.PathValue("name"), q)
	done.Notes = orEmpty(done.Notes)
	s.answerOperator(w, r, done, err)
}

func (s *Server) pending(w http.ResponseWriter, r *http.Request, asked *query) {
	q := PendingQuery{
		Consumer: asked.text("consumer"), MinIdle: asked.duration("min_idle"), After: asked.id("after"),
		Limit: asked.number("limit", defPendingAsk, 1, maxPendingAsk),
	}
	if asked.refused(w) {
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), lookTimeout)
	defer cancel()
	page, err := s.cfg.Operator.Pending(ctx, r.PathValue("name"), q)
	page.Consumers, page.Entries = orEmpty(page.Consumers), orEmpty(page.Entries)
	s.answerOperator(w, r, page, err)
}

func (s *Server) explain(w http.ResponseWriter, r *http.Request, asked *query) {
	id, err := stream.ParseID(r.PathValue("id"))
	if err != nil {
		s.operatorProblem(w, r, fmt.Errorf("%w: %w", ErrRequest, err))
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), lookTimeout)
	defer cancel()
	e, err := s.cfg.Operator.Explain(ctx, id, asked.text("stream"))
	e.Streams, e.Groups = orEmpty(e.Streams), orEmpty(e.Groups)
	s.answerOperator(w, r, e, err)
}

// orEmpty makes of a list that is not there one that JSON shows as empty.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// body decodes what the client has sent; no body leaves into as it is.
func (s *Server) body(w http.ResponseWriter, r *http.Request, into any) bool {
	in := json.NewDecoder(r.Body)
	in.DisallowUnknownFields()
	if err := in.Decode(into); err != nil && !errors.Is(err, io.EOF) {
		s.operatorProblem(w, r, fmt.Errorf("%w: %w", ErrRequest, err))
		return false
	}
	return true
}

func (s *Server) answerOperator(w http.ResponseWriter, r *http.Request, v any, err error) {
	if err != nil {
		s.operatorProblem(w, r, err)
		return
	}
	answer(w, http.StatusOK, v)
}

func (s *Server) operatorProblem(w http.ResponseWriter, r *http.Request, err error) {
	var refused *Refused
	switch {
	case errors.Is(err, ErrUnknownGroup):
		s.unknownGroup(w, r.PathValue("name"))
	case errors.As(err, &refused):
		fail(w, http.StatusConflict, problem{Error: err.Error(), Hint: refused.Hint})
	case errors.Is(err, ErrRequest):
		fail(w, http.StatusBadRequest, problem{Error: err.Error(), Hint: "correct the request; fanout help seek, pending and explain say what there is"})
	default:
		fail(w, http.StatusBadGateway, problem{Error: err.Error(), Hint: "see whether redis answers, then try again"})
	}
}
