package handler

import "context"

// Repeater is implemented by a Config that can say what its handler makes of
// entries that it has had before: those that a group repeats which was set back
// ("fanout seek").
type Repeater interface {
	Repeats() Repetition
}

// Repetition is what a handler makes of an entry that it has had before.
type Repetition struct {
	// Effect follows the words "a repeated entry": "changes nothing".
	Effect string

	// Forgets says that the handler knows entries for as long as Env.Dedupe and
	// takes none that is older and not known.
	Forgets bool
}

// Rebuilder is implemented by a Handler whose effects can be taken back as a
// whole, so that the group may build them anew from its first entry ("fanout
// seek --rebuild").
type Rebuilder interface {
	// Empty removes all that handlers of the group have made, and all that they
	// know of its entries, in one step: after an error nothing is removed. No
	// Handle runs meanwhile. What other groups have made stays.
	Empty(ctx context.Context) error
}
