package telemetry

import (
	"slices"
	"strings"
)

// The values of every label but group, stream and handler are closed sets. An
// array index stands for each, and the names stand here alone.

// sourceNames are the values of source, in the order of stream.Origin.
var sourceNames = [...]string{"new", "own", "claimed", "stranded", "replayed"}

const claimed = 2 // index in sourceNames

// Outcome is how a delivery ended for this process.
type Outcome uint8

// The outcomes.
const (
	Acked     Outcome = iota // acknowledged: handled, or not wanted by `where`
	Buried                   // dead letter written, then acknowledged
	Released                 // left pending for others
	Vanished                 // Redis no longer has it
	LeaseLost                // another consumer holds it now
	NumOutcomes
)

var outcomeNames = [NumOutcomes]string{"acked", "buried", "released", "vanished", "lease_lost"}

func (o Outcome) String() string { return outcomeNames[o] }

// Reason says how a call of a handler failed.
type Reason uint8

// The reasons.
const (
	ReasonError       Reason = iota // unmarked
	ReasonPermanent                 // marked as permanent
	ReasonUnavailable               // the sink is down
	ReasonTimeout                   // the call exceeded the group's timeout
	ReasonPanic                     // the handler panicked
	NumReasons
)

var reasonNames = [NumReasons]string{"error", "permanent", "unavailable", "timeout", "panic"}

// Stage says at which step a buried entry failed; the names are those of
// deadletter.Stage.
type Stage uint8

// The stages.
const (
	StageDecode Stage = iota
	StageFilter
	StageHandle
	StageTimeout
	StagePanic
	StageCrash
	NumStages
)

var stageNames = [NumStages]string{"decode", "filter", "handle", "timeout", "panic", "crash"}

func (s Stage) String() string { return stageNames[s] }

// StageOf returns the stage of that name, StageHandle for a name that is none.
func StageOf(name string) Stage {
	if i := slices.Index(stageNames[:], name); i >= 0 {
		return Stage(i)
	}
	return StageHandle
}

// Loss says why Redis lost entries before the group had settled them.
type Loss uint8

// The losses.
const (
	LostTrimmed      Loss = iota // the stream was trimmed past the group, or past what it had pending
	LostDeleted                  // deleted before it was delivered, or while it was pending
	LostGroupMissing             // gone with the group or the stream
	LostRolledBack               // Redis came back with an older state
	NumLosses
)

var lossNames = [NumLosses]string{"trimmed", "deleted", "group_missing", "rolled_back"}

func (l Loss) String() string { return lossNames[l] }

// LossOf returns the loss of that name, LostTrimmed for a name that is none.
func LossOf(name string) Loss { return Loss(max(0, slices.Index(lossNames[:], name))) }

// States of a group.
const (
	StateStarting   = "starting"
	StateRunning    = "running"
	StatePaused     = "paused"
	StateBackingOff = "backing-off" // failed, waits for its restart
	StateTripped    = "tripped"     // failed too often, waits longer
	StateDraining   = "draining"
	StateStopped    = "stopped"
)

var stateNames = [...]string{
	StateStarting, StateRunning, StatePaused, StateBackingOff, StateTripped, StateDraining, StateStopped,
}

// Verdicts on a group.
const (
	VerdictOK       = "ok"
	VerdictLagging  = "lagging"   // moves, but falls behind
	VerdictStalled  = "stalled"   // does not move with work waiting
	VerdictStopped  = "stopped"   // as somebody wants it
	VerdictTripped  = "tripped"   // failed too often
	VerdictSinkDown = "sink-down" //
	VerdictLosing   = "losing"    // Redis loses entries before they are settled
)

var verdictNames = [...]string{
	VerdictOK, VerdictLagging, VerdictStalled, VerdictStopped, VerdictTripped, VerdictSinkDown, VerdictLosing,
}

// VerdictName is a verdict as people read it: SINK DOWN.
func VerdictName(verdict string) string {
	return strings.ToUpper(strings.ReplaceAll(verdict, "-", " "))
}

// Causes of a restart of a group.
const (
	CauseFailed       = "failed"        // an error ended the incarnation
	CausePanic        = "panic"         // a panic of ours did
	CauseSignal       = "signal"        // its restart_signal
	CauseRequest      = "request"       // fanout restart
	CauseLease        = "lease"         // the instance name was lost to another process
	CauseGroupMissing = "group-missing" // Redis had lost the group
	causeOther        = "other"         // a cause that is none of these
)

var causeNames = [...]string{
	CauseFailed, CausePanic, CauseSignal, CauseRequest, CauseLease, CauseGroupMissing, causeOther,
}

// Operations on Redis.
const (
	OpCreate     = "create"
	OpRead       = "read"
	OpOwn        = "own"
	OpClaim      = "claim"
	OpAck        = "ack"
	OpHold       = "hold"
	OpBury       = "bury"
	OpInfo       = "info"
	OpCheckpoint = "checkpoint"
	OpReap       = "reap"
	OpLease      = "lease"
	OpTrim       = "trim"
	opOther      = "other" // an operation that is none of these
)

var opNames = [...]string{
	OpCreate, OpRead, OpOwn, OpClaim, OpAck, OpHold, OpBury, OpInfo, OpCheckpoint, OpReap, OpLease, OpTrim, opOther,
}

// indexOf returns the index of name in a closed set whose last name is the one
// for all that are not in it.
func indexOf(names []string, name string) int {
	if i := slices.Index(names, name); i >= 0 {
		return i
	}
	return len(names) - 1
}
