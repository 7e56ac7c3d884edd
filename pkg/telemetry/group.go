package telemetry

import (
	"slices"
	"sync/atomic"
)

// Group holds all numbers of one group. It is safe for concurrent use, and
// meant to be counted into once a batch, not once an entry.
//
// When nothing moves, what was read has ended or is in flight:
//
//	sum(Read) = sum(Settled) + InFlight
//
// Make one with [Metrics.Group]; the zero Group counts too, but shows nowhere.
type Group struct {
	Read     [len(sourceNames)]Counter // deliveries by stream.Origin
	Settled  [NumOutcomes]Counter      // deliveries that ended, by outcome
	Filtered Counter                   // those of Settled[Acked] that `where` did not want
	Retries  Counter                   // deliveries that were handed to the handler again

	HandleErrors [NumReasons]Counter // failed calls of the handler
	DeadLetters  [NumStages]Counter  // letters written
	Lost         [NumLosses]Counter  // entries that Redis lost

	LettersDropped Counter // letters that had to make room for new ones

	AcksOK     Counter // ack commands that Redis confirmed
	AcksFailed Counter // ack commands that it did not

	InFlight         Gauge // deliveries that the process holds
	Retrying         Gauge // those of InFlight that wait for their next attempt
	StuckCalls       Gauge // handler calls that run past their deadline
	AbandonedCalls   Gauge // handler calls that outlived a restart
	ConsumersRunning Gauge
	SinkDown         Gauge // 1 while the sink is unavailable

	Pending       Maybe // of the whole group, as Redis tells
	StreamLength  Maybe
	OldestPending Maybe // age in seconds of the oldest pending entry, 0 when there is none
	LettersKept   Maybe // dead letters that there are
	LettersMax    Gauge // as many as there may be
	Lag           Maybe // entries that were not yet delivered to the group
	LagSeconds    Maybe // age in seconds of the oldest of them
	Drain         Maybe // seconds until nothing waits, 0 for nothing

	LastSuccess Stamp // of a call of the handler

	Errors Errors // that the group has met

	HandleDuration Histogram // seconds of a call of the handler
	EntryAge       Histogram // seconds between an entry's ID and its handling
	BatchEntries   Histogram // entries of a batch

	restarts [len(causeNames)]Counter
	state    atomic.Int32 // index into stateNames, plus one; 0 is none
	verdict  atomic.Int32 // index into verdictNames
}

func newGroup() *Group {
	return &Group{
		HandleDuration: Histogram{bounds: durationBounds},
		EntryAge:       Histogram{bounds: ageBounds},
		BatchEntries:   Histogram{bounds: sizeBounds},
	}
}

// Restarted counts a restart by its cause, one of the Cause constants.
func (g *Group) Restarted(cause string) { g.restarts[indexOf(causeNames[:], cause)].Inc() }

// Restarts returns the number of restarts by cause, without those that are 0.
func (g *Group) Restarts() map[string]int64 {
	m := map[string]int64{}
	for i, cause := range causeNames {
		if n := g.restarts[i].Load(); n > 0 {
			m[cause] = n
		}
	}
	return m
}

// SetState says in which state the group is, one of the State constants. Any
// other text shows the group in none.
func (g *Group) SetState(state string) {
	g.state.Store(int32(slices.Index(stateNames[:], state) + 1))
}

// State returns the state, "" for none.
func (g *Group) State() string {
	if i := g.state.Load(); i > 0 {
		return stateNames[i-1]
	}
	return ""
}

// SetVerdict says which verdict is on the group, one of the Verdict constants;
// at first and for any other text it is VerdictOK.
func (g *Group) SetVerdict(verdict string) {
	g.verdict.Store(int32(max(0, slices.Index(verdictNames[:], verdict))))
}

// Verdict returns the verdict.
func (g *Group) Verdict() string { return verdictNames[g.verdict.Load()] }

// Unaccounted is what was read less what has ended or is in flight. It is 0
// whenever nothing moves; anything else then is a delivery that was lost sight
// of, or ended twice.
func (g *Group) Unaccounted() int64 {
	return sum(g.Read[:]) - sum(g.Settled[:]) - g.InFlight.Load()
}

func sum(counters []Counter) (n int64) {
	for i := range counters {
		n += counters[i].Load()
	}
	return n
}
