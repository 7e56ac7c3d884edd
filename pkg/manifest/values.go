package manifest

import (
	"example.com/fanout/pkg/stream"
)

// Size is a number of bytes, written as 4MiB, 64KiB, 1GiB or plain bytes.
type Size int64

// StartKind is the form of a Start.
type StartKind uint8

// The forms.
const (
	StartEarliest StartKind = iota
	StartLatest
	StartAfter // after the entry ID
)

// Start is where a group begins. A time t is StartAfter the last ID before t.
type Start struct {
	Kind StartKind
	ID   stream.ID
}

// Signal is a signal number; 0 is none.
type Signal int
