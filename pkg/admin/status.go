package admin

import (
	"fmt"
	"time"

	"example.com/fanout/pkg/stream"
	"example.com/fanout/pkg/telemetry"
)

// GroupStatus is one group as the API shows it. Every key is always there; null
// means unknown or never.
type GroupStatus struct {
	Name       string `json:"name"`        // in the manifest
	RedisGroup string `json:"redis_group"` // in Redis
	Stream     string `json:"stream"`
	Handler    string `json:"handler"` // its type
	Signal     string `json:"signal"`  // that restarts it: a number, USR1, USR2; "" for none

	State       string    `json:"state"` // one of telemetry's State constants
	Since       time.Time `json:"since"` // it is in that state
	Incarnation int64     `json:"incarnation"`

	Verdict Verdict `json:"verdict"`

	Suspended *Suspension `json:"suspended"` // what an operator wants, null for nothing but that it runs

	Restarts       map[string]int64 `json:"restarts"` // by cause, those above 0
	LastRestart    *Restart         `json:"last_restart"`
	LatestRestarts []Restart        `json:"latest_restarts"` // at most 16, oldest first
	NextRetry      *time.Time       `json:"next_retry"`      // when a group that is backing off or tripped starts again
	LastError      *Failure         `json:"last_error"`
	LastSuccess    *time.Time       `json:"last_success"` // of a call of the handler

	Errors      []ErrorCount `json:"errors"`       // the last 32 kinds of errors, the newest first
	DeadLetters *int64       `json:"dead_letters"` // that Redis keeps of the group; null while unknown

	// Problems are what keeps the group from doing its work although it runs,
	// each a sentence for the operator: the sink is unavailable, dead letters
	// are full, entries were lost. They make the group not ready.
	Problems []string `json:"problems"`

	Breaker *Breaker `json:"breaker"` // null while the sink is available

	Rates Rates `json:"rates"`

	Read     map[string]int64 `json:"read"`    // deliveries begun, by source
	Settled  map[string]int64 `json:"settled"` // deliveries ended, by outcome
	Filtered int64            `json:"filtered"`
	Retrying int64            `json:"retrying"`
	InFlight int64            `json:"in_flight"`
	Lost     map[string]int64 `json:"lost"` // by Redis, by reason

	Losses []Loss `json:"losses"` // the last 16 that Redis keeps of the group, oldest first

	LettersDropped int64 `json:"dead_letters_dropped"` // to make room for new ones

	StuckCalls     int64 `json:"stuck_calls"`
	AbandonedCalls int64 `json:"abandoned_calls"`

	// What Redis told, at ObservedAt. While that is null the numbers mean
	// nothing.
	ObservedAt           *time.Time `json:"observed_at"`
	StreamLength         int64      `json:"stream_length"`
	Pending              int64      `json:"pending"`
	OldestPendingSeconds *float64   `json:"oldest_pending_seconds"`
	Lag                  *int64     `json:"lag"`
	LagKnown             bool       `json:"lag_known"`
	LagSeconds           *float64   `json:"lag_seconds"`

	// Backlog is what is neither delivered nor settled: Lag and Pending.
	// DrainSeconds is when nothing of it will be left if all goes on as in the
	// last minute; null when it does not get less.
	Backlog        *int64     `json:"backlog"`
	BacklogHistory []*float64 `json:"backlog_history"` // a number a second of the last minute, oldest first
	DrainSeconds   *float64   `json:"drain_seconds"`

	Consumers []ConsumerStatus `json:"consumers"` // of this process, then those of others
	Server    string           `json:"server"`    // name and version of the Redis server, "" while unknown
}

// Verdict says in one word how a group is.
type Verdict struct {
	Code  string    `json:"code"` // one of telemetry's Verdict constants
	Since time.Time `json:"since"`
	Why   string    `json:"why"` // one sentence
	Do    string    `json:"do"`  // what the operator can do; "" for nothing
}

// Breaker is open while the sink of a group is unavailable.
type Breaker struct {
	Since time.Time  `json:"since"`
	Error string     `json:"error"`
	Next  *time.Time `json:"next"` // try; null when not known
}

// Rates are entries a second.
type Rates struct {
	TenSeconds Rate `json:"ten_seconds"`
	OneMinute  Rate `json:"one_minute"`
}

// Rate is one of them; null is not known yet.
type Rate struct {
	Read    *float64 `json:"read"`    // by this process
	Settled *float64 `json:"settled"` // for good, by this process
	Added   *float64 `json:"added"`   // to the stream
}

// Suspension is the wish that a group does not run.
type Suspension struct {
	State string    `json:"state"` // paused or stopped
	By    string    `json:"by"`    // who asked for it
	Since time.Time `json:"since"`
}

// Loss is what Redis has lost before the group had settled it.
type Loss struct {
	At      time.Time  `json:"at"` // it was found
	Reason  string     `json:"reason"`
	Certain bool       `json:"certain"` // false: at most so many, or perhaps none
	Entries *int64     `json:"entries"`
	First   *stream.ID `json:"first"` // all of them lie from here to Last; null when nothing is gone
	Last    *stream.ID `json:"last"`

	RepeatsFrom *stream.ID `json:"repeats_from"` // what lies from here to RepeatsTo may come again
	RepeatsTo   *stream.ID `json:"repeats_to"`

	Note string `json:"note"` // what happened
}

// LossOf gives a loss the form of the API.
func LossOf(l stream.Loss) Loss {
	id := func(id stream.ID) *stream.ID {
		if id.IsZero() {
			return nil
		}
		return &id
	}
	out := Loss{
		At: l.At, Reason: l.Reason, Certain: l.Certain, First: id(l.First), Last: id(l.Last),
		RepeatsFrom: id(l.RepeatsFrom), RepeatsTo: id(l.RepeatsTo), Note: l.Note,
	}
	if l.Entries != stream.Unknown {
		out.Entries = &l.Entries
	}
	return out
}

// Restart is one restart of a group.
type Restart struct {
	Cause string    `json:"cause"`
	Error string    `json:"error"` // that led to it; "" for none
	At    time.Time `json:"at"`
}

// Failure is the latest error of a group.
type Failure struct {
	Error string    `json:"error"`
	At    time.Time `json:"at"`
}

// ErrorCount is an error that the group has met, since the process started.
// Texts that differ in their numbers alone are one.
type ErrorCount struct {
	Kind  string    `json:"kind"`  // one of telemetry's Error constants
	Error string    `json:"error"` // as it came last
	Count int64     `json:"count"`
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
}

// ConsumerStatus is one consumer of a group.
type ConsumerStatus struct {
	Name         string      `json:"name"`       // in Redis
	State        string      `json:"state"`      // Elsewhere for one of another process, of which the rest is not known
	Pending      *int64      `json:"pending"`    // in Redis, as seen within the last seconds; null when not known
	InFlight     int64       `json:"in_flight"`  //
	Connection   *Connection `json:"connection"` // that it reads over; null while there is none
	LastActivity *time.Time  `json:"last_activity"`
}

// Elsewhere is the state of a consumer of another process.
const Elsewhere = "elsewhere"

// Connection is what CLIENT LIST of Redis shows of a consumer.
type Connection struct {
	ID   int64  `json:"id"`   // of the client; 0 when not known
	Addr string `json:"addr"` // of this end
}

// Health tells whether the loops of the process itself go round.
type Health struct {
	Alive   bool     `json:"alive"`
	Reasons []string `json:"reasons"` // why it is not
}

// Count fills in all that telemetry counts of the group, the state included.
func (s *GroupStatus) Count(g *telemetry.Group) {
	s.State = g.State()
	s.Restarts = g.Restarts()
	s.Read, s.Settled, s.Lost = map[string]int64{}, map[string]int64{}, map[string]int64{}
	for i := range g.Read {
		s.Read[stream.Origin(i).String()] = g.Read[i].Load()
	}
	for i := range g.Settled {
		s.Settled[telemetry.Outcome(i).String()] = g.Settled[i].Load()
	}
	for i := range g.Lost {
		s.Lost[telemetry.Loss(i).String()] = g.Lost[i].Load()
	}
	s.Filtered, s.Retrying, s.InFlight = g.Filtered.Load(), g.Retrying.Load(), g.InFlight.Load()
	s.LettersDropped = g.LettersDropped.Load()
	s.StuckCalls, s.AbandonedCalls = g.StuckCalls.Load(), g.AbandonedCalls.Load()
	s.StreamLength, s.Pending = count(&g.StreamLength), count(&g.Pending)
	s.OldestPendingSeconds, s.LagSeconds = known(&g.OldestPending), known(&g.LagSeconds)
	s.Lag, s.LagKnown = nil, false
	if lag := known(&g.Lag); lag != nil {
		s.Lag, s.LagKnown = new(int64(*lag)), true
	}
	s.DeadLetters = nil
	if n := known(&g.LettersKept); n != nil {
		s.DeadLetters = new(int64(*n))
	}
	s.Errors = nil
	for _, e := range g.Errors.List() {
		s.Errors = append(s.Errors, ErrorCount{Kind: e.Kind, Error: e.Text, Count: e.Count, First: e.First, Last: e.Last})
	}
	s.LastSuccess = nil
	if at := g.LastSuccess.Load(); !at.IsZero() {
		s.LastSuccess = &at
	}
}

// count is a number of entries, 0 while it is not known.
func count(m *telemetry.Maybe) int64 {
	n, _ := m.Load()
	return int64(n)
}

func known(m *telemetry.Maybe) *float64 {
	if v, ok := m.Load(); ok {
		return &v
	}
	return nil
}

// NotReady says why the group does not do its work, and nothing when it does or
// when an operator has paused or stopped it.
func (s *GroupStatus) NotReady() []string {
	var reasons []string
	switch s.State {
	case telemetry.StateRunning, telemetry.StatePaused:
	case telemetry.StateStopped:
		if s.Suspended == nil { // else it is wanted so
			reasons = append(reasons, s.why())
		}
	case "":
		reasons = append(reasons, "not started")
	default:
		reasons = append(reasons, s.why())
	}
	if s.StuckCalls > 0 {
		reasons = append(reasons, fmt.Sprintf("%d calls of the handler run past their deadline", s.StuckCalls))
	}
	if s.AbandonedCalls > 0 {
		reasons = append(reasons, fmt.Sprintf("%d calls of the handler outlived a restart", s.AbandonedCalls))
	}
	return append(reasons, s.Problems...)
}

// why is the state with what is known about it.
func (s *GroupStatus) why() string {
	text := s.State
	if !s.Since.IsZero() {
		text += " since " + s.Since.UTC().Format(time.RFC3339)
	}
	if s.NextRetry != nil {
		text += ", next try at " + s.NextRetry.UTC().Format(time.RFC3339)
	}
	if s.LastError != nil {
		text += ": " + s.LastError.Error
	}
	return text
}

// complete puts empty lists and maps where nil ones are, which JSON would show
// as null.
func (s *GroupStatus) complete() {
	for _, m := range []*map[string]int64{&s.Restarts, &s.Read, &s.Settled, &s.Lost} {
		if *m == nil {
			*m = map[string]int64{}
		}
	}
	if s.Losses == nil {
		s.Losses = []Loss{}
	}
	if s.Errors == nil {
		s.Errors = []ErrorCount{}
	}
	if s.LatestRestarts == nil {
		s.LatestRestarts = []Restart{}
	}
	if s.BacklogHistory == nil {
		s.BacklogHistory = []*float64{}
	}
	if s.Problems == nil {
		s.Problems = []string{}
	}
	if s.Consumers == nil {
		s.Consumers = []ConsumerStatus{}
	}
}
