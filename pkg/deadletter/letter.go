// Package deadletter is the form of a dead letter in Redis.
//
// A letter is one entry of the group's dead-letter stream. Its first field is
// named "letter" and holds a JSON object (see [Letter]); all fields after it
// are those of the original entry, unchanged and in order.
//
// An entry of more than [MaxFields] fields does not fit a script call field by
// field. Its letter has one field "packed" after the first, and "packed": true
// in the JSON object: the names and values in turn, each as its length (an
// unsigned varint, see encoding/binary) and its bytes.
package deadletter

import (
	"time"

	"example.com/fanout/pkg/stream"
)

// Stage says in which step of its way the entry failed.
type Stage string

// The stages.
const (
	Decode  Stage = "decode"
	Filter  Stage = "filter"
	Handle  Stage = "handle"
	Timeout Stage = "timeout"
	Panic   Stage = "panic"
	Crash   Stage = "crash" // its deliveries ended with the process, max_deliveries times
)

// The error classes that are not the name of a stage: [Timeout], [Panic] and
// [Crash] are classes too.
const (
	ClassPermanent = "permanent" // no retry can mend it
	ClassError     = "error"     // tried again until the attempts were spent
)

// Letter is what is known of a buried entry.
type Letter struct {
	Entry stream.Entry `json:"-"` // as it was published

	Stream       string    `json:"stream"`
	ID           stream.ID `json:"id"`
	Epoch        string    `json:"epoch"`
	Group        string    `json:"group"`
	Consumer     string    `json:"consumer"`
	Handler      string    `json:"handler"`
	Stage        Stage     `json:"stage"`
	Error        string    `json:"error"`
	Class        string    `json:"class"` // of the error; empty in letters of old
	Attempts     int       `json:"attempts"`
	Deliveries   int64     `json:"deliveries"`
	FirstFailure time.Time `json:"first_failure"`
	LastFailure  time.Time `json:"last_failure"`
	Replays      int       `json:"replays"` // how often it was sent back to the group before
}
