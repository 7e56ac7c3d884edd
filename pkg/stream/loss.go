package stream

import (
	"errors"
	"time"
)

// Reasons of a [Loss].
const (
	LossTrimmed      = "trimmed"       // the stream was trimmed past the group, or past what it had pending
	LossDeleted      = "deleted"       // deleted one by one, before they were delivered or while they were pending
	LossGroupMissing = "group_missing" // gone with the group or with the stream
	LossRolledBack   = "rolled_back"   // Redis came back with an older state of the stream
)

// Unknown is a number of entries that nobody can tell.
const Unknown = -1

// Loss says that Redis has lost entries which a group had not settled.
type Loss struct {
	Reason string

	// Certain: Entries of them are gone, neither more nor fewer. Otherwise at
	// most Entries are, or [Unknown] many.
	Certain bool
	Entries int64

	// First and Last enclose all of them, and are among what may be gone. Both
	// are zero when nothing is: the group was missing, and its entries are there.
	First, Last ID

	// RepeatsFrom and RepeatsTo enclose what may come again to a group that was
	// missing; zero for nothing.
	RepeatsFrom, RepeatsTo ID

	At   time.Time // it was found, by the clock of Redis
	Note string    // what happened, "" where Reason says it all
}

// Gone reports whether entries are, or may be, lost.
func (l Loss) Gone() bool { return !l.Last.IsZero() }

// ErrGroupLost: Redis has lost the group, and it is configured not to be
// created again.
var ErrGroupLost = errors.New("consumer group is lost in Redis and is not created again")
