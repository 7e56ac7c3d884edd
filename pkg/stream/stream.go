// Package stream is the vocabulary of Redis Streams as the rest of fanout uses
// it: ID, Field, Entry, Delivery and what Redis tells of a group. It does no
// I/O and imports nothing of ours, so that every other package may use it.
package stream

import (
	"bytes"
	"time"
)

// Field is one name and value of an entry, both binary safe. An entry may
// hold the same name more than once.
type Field struct {
	Name  []byte
	Value []byte
}

// Entry is one entry of a stream with its fields in the order of XADD.
type Entry struct {
	ID     ID
	Fields []Field
}

// Get returns the value of the first field of that name.
func (e Entry) Get(name string) ([]byte, bool) {
	for i := range e.Fields {
		if string(e.Fields[i].Name) == name {
			return e.Fields[i].Value, true
		}
	}
	return nil, false
}

// Size is the number of bytes of all names and values.
func (e Entry) Size() int {
	n := 0
	for i := range e.Fields {
		n += len(e.Fields[i].Name) + len(e.Fields[i].Value)
	}
	return n
}

// Clone copies the entry and every byte that it refers to.
func (e Entry) Clone() Entry {
	c := Entry{ID: e.ID, Fields: make([]Field, len(e.Fields))}
	for i, f := range e.Fields {
		c.Fields[i] = Field{Name: bytes.Clone(f.Name), Value: bytes.Clone(f.Value)}
	}
	return c
}

// Origin says how a delivery came to its consumer.
type Origin uint8

// The origins; their names are the values of the label "source" of
// fanout_entries_read_total.
const (
	New      Origin = iota // read as new
	Own                    // found in the consumer's own pending list when it started
	Claimed                // taken over from another consumer
	Stranded               // found in the own pending list while running: its read reply was lost
	Replayed               // a dead letter that was sent back to the group
	NumOrigins
)

var originNames = [NumOrigins]string{"new", "own", "claimed", "stranded", "replayed"}

func (o Origin) String() string { return originNames[o] }

// Delivery is an entry as one consumer holds it. It ends in exactly one
// outcome: acked, buried, released or vanished; a delivery whose lease was
// lost to another consumer is that consumer's to end.
type Delivery struct {
	Entry // ID and Fields as the producer wrote them, for a replayed dead letter too

	Stream string // where the producer appended the entry
	Epoch  string // tells apart streams of the same name; with group and ID the entry's identity
	Ref    ID     // the ID it is pending under: Entry.ID but for replayed dead letters
	Origin Origin

	// Count is Redis' delivery count: how many deliveries of this entry began
	// and did not come back, this one included.
	Count int64
}

// GroupInfo is what Redis tells of one group. Numbers that Redis cannot tell
// are marked as unknown, never guessed.
type GroupInfo struct {
	Stream string
	Group  string

	Length        int64 // entries in the stream
	EntriesAdded  int64 // ever, -1 unknown
	LastGenerated ID    // of the stream
	FirstEntry    ID    // lowest ID in the stream; zero when it is empty
	LastDelivered ID    // of the group
	EntriesRead   int64 // of the group, -1 unknown
	Pending       int64
	OldestPending ID // zero when nothing is pending
	Lag           int64
	LagKnown      bool  // Lag means nothing without it
	DeadLetters   int64 // -1 unknown
	Consumers     []ConsumerInfo
}

// LowWater is the greatest ID at or below which the group has nothing left to
// do: every entry up to it is settled. It is zero when something is pending
// and not known what.
func (g GroupInfo) LowWater() ID {
	if low := g.OldestPending.Prev(); g.Pending > 0 && low.Before(g.LastDelivered) { // not so after it was set back
		return low
	}
	return g.LastDelivered
}

// ConsumerInfo is what Redis tells of one consumer of a group.
type ConsumerInfo struct {
	Name    string
	Pending int64
	Idle    time.Duration
}
