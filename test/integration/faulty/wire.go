// Package faulty is a handler that does what a test tells it, and the board
// with which the test tells it: every call of the handler, in whatever process,
// asks the board over a unix socket and carries out the verdict. A call that
// ends well is recorded on the board before the handler returns, without any
// dedupe, so that the test sees what was handled, how often and when.
package faulty

// Act is what a call of the handler does.
type Act string

// The acts.
const (
	Succeed     Act = "succeed" // the deliveries are recorded as handled
	Fail        Act = "fail"    // an unmarked error
	Permanent   Act = "permanent"
	Unavailable Act = "unavailable"
	Panic       Act = "panic"
	Crash       Act = "crash" // the whole process ends at once
)

// Call is one call of the handler.
type Call struct {
	Group      string     `json:"group"`
	PID        int        `json:"pid"`
	Deliveries []Delivery `json:"deliveries"`
}

// Delivery is one entry of a call.
type Delivery struct {
	Stream  string `json:"stream"`
	Epoch   string `json:"epoch"`
	ID      string `json:"id"`
	Origin  string `json:"origin"`
	Attempt int    `json:"attempt"`
	Count   int64  `json:"count"`
	Event   []byte `json:"event"`
}

// Verdict is the board's answer to a call. The zero Verdict lets it succeed.
type Verdict struct {
	Act Act `json:"act"`

	// Only names the deliveries that Act is for; the others succeed. Empty: the
	// whole call.
	Only []int `json:"only,omitempty"`

	// Hold keeps the call waiting until it is closed; nil does not. The call
	// ends by itself when its context does, unless it is Deaf.
	Hold <-chan struct{} `json:"-"`
	Deaf bool            `json:"-"`
}

// The talk over one connection, which serves one call: the handler sends a
// Call, the board a prelude and, after the hold, a Verdict. Where something
// succeeds the handler then sends commit true and waits for the board's
// confirmation: what the board has recorded, the handler does not take back.
type (
	prelude struct {
		Deaf bool `json:"deaf"`
	}
	commit struct {
		Commit bool `json:"commit"`
	}
)

// Never is a Hold that never ends.
var Never = make(chan struct{})
