package stream

import "errors"

// Page is a part of a pending list.
type Page struct {
	Deliveries []Delivery
	Vanished   []ID // were pending, Redis has lost their data; no longer pending
	Next       ID   // where to go on in the next call
	Done       bool // the end of the list was reached
}

// Hold is what is done to one pending entry to keep it, or to give it back.
// Touching is Hold{Ref: id, Count: KeepCount}.
type Hold struct {
	Ref   ID
	Count int64 // the delivery count to set; KeepCount leaves it
	Free  bool  // make it claimable at once by anybody; otherwise idle starts again at 0
}

// KeepCount as Hold.Count leaves the delivery count as it is.
const KeepCount = -1

// Burial is what came of burying an entry.
type Burial uint8

// The results.
const (
	Buried     Burial = iota // the letter is written, the entry acknowledged
	NotPending               // nothing done: the entry is not pending (any more) in the group
	NotOurs                  // nothing done: the entry is pending under another name
)

var burialNames = [...]string{"buried", "not pending", "not ours"}

func (b Burial) String() string { return burialNames[b] }

// Errors that callers tell apart.
var (
	// ErrNoGroup: the stream or the group is missing in Redis.
	ErrNoGroup = errors.New("consumer group is missing in Redis")

	// ErrOtherHost: the group belongs on one host, and another one has it.
	ErrOtherHost = errors.New("another host runs the group")

	// ErrDeadLettersFull: the entry stays pending until there is room.
	ErrDeadLettersFull = errors.New("dead letters full")
)
