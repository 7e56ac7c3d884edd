// Package handler is the contract between the engine and what a group does
// with its entries. Built-in handlers live under pkg/sink; one's own is a type
// with two methods, a Factory, and a main of ten lines that registers it.
package handler

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"example.com/fanout/pkg/event"
	"example.com/fanout/pkg/stream"
)

// Handler does the work of a group. The engine calls Handle from up to
// consumers x concurrency goroutines at once; a Handler must be safe for that.
//
// A nil error settles the whole batch. A *[BatchError] settles the deliveries
// that it does not name. Any other error settles none of them. [Permanent]
// sends deliveries to the dead letters at once; [Unavailable] says that the
// sink is down: the group holds and retries without counting. All others are
// retried until the group's policy is spent; an unmarked error of a call with
// more than one delivery makes the engine split the batch.
//
// When ctx is done Handle must return soon. context.Cause tells why:
// [ErrStopping] counts no attempt, [ErrTimeout] does. The batch belongs to the
// engine: Handle must not keep it, or any bytes of it, after it returns.
//
// Deliveries repeat: after a crash, a lost acknowledgement or a claim the same
// entry comes again, with the same stream, epoch and ID.
type Handler interface {
	Handle(ctx context.Context, batch *Batch) error

	// Close is called once, after the last Handle has returned.
	Close() error
}

// Causes of a done context, see context.Cause.
var (
	ErrStopping = errors.New("group is stopping")
	ErrTimeout  = errors.New("handler call timed out")
)

// Batch is what one call of a handler gets, in order of arrival.
type Batch struct {
	Group      string // as the manifest names it
	Deliveries []Delivery

	// LowWater is the group's low-water mark as last seen: Redis will not by
	// itself deliver an entry at or below it to this group again. It may lag
	// behind, and is zero while it is not known.
	LowWater stream.ID
}

// Delivery is one entry of a batch with the event inside it.
type Delivery struct {
	*stream.Delivery
	Event   *event.Event
	Attempt int // 1 for the first call with this delivery in this process
}

// Env is what the engine gives a handler that it builds.
type Env struct {
	Group   string        // as the manifest names it
	Dedupe  time.Duration // how long a store must know an identity; also see Batch.LowWater
	Version string        // of the program, for those that it talks to; "" is unknown
	Logger  *slog.Logger
}

// Config is a handler's part of the manifest: a pointer to a struct with
// `yaml` tags. The manifest fills it strictly, then calls Check.
type Config interface {
	// Check reports every fault of the values, without I/O. Findings name
	// keys of the struct by their yaml path ("columns.trade_id").
	Check() []Finding

	// New builds the handler. It may open local files; it must not need the
	// network: a handler connects when it is called and answers [Unavailable]
	// while it cannot.
	New(env Env) (Handler, error)
}

// Previewer is implemented by a Config that can say what its handler would do
// with a delivery, without doing it ("fanout eval").
type Previewer interface {
	// Preview describes the effect: for a store the row, for a webhook the
	// request. The result must encode as JSON. env is what New would get; the
	// epoch of d is none that a stream has.
	Preview(env Env, d *Delivery) (any, error)
}

// Redirecter is implemented by a Config whose outward effects can be sent
// elsewhere ("fanout demo"). Built-in handlers that write outward implement it;
// the demo refuses handlers with neither Redirecter nor [Local].
type Redirecter interface {
	// Redirect replaces every store by a SQLite file in dir and every URL by
	// inbox, whose signing secret is secret.
	Redirect(dir, inbox, secret string)
}

// Local is implemented by a Config whose handler has no effect outside the
// process (the log).
type Local interface{ Local() }

// HostBound is implemented by a Config whose handler keeps its effects on the
// host that it runs on. The engine then runs the group on one host at a time, in
// any number of processes.
type HostBound interface {
	// OneHost is called after the Config has been checked.
	OneHost() bool
}

// Finding is one fault or remark of a Config.
type Finding struct {
	Path    string // yaml path below the handler's own key, "" for the handler as a whole
	Message string
	Warning bool // true: worth saying, not a fault
}

// Preferrer is implemented by a Config whose handler works best with other
// sizes than the engine's defaults. What a group's own keys say wins over it;
// it wins over the manifest's defaults.
type Preferrer interface {
	// Prefers is called after the Config has been filled; 0 means no wish.
	Prefers() Preferences
}

// Preferences are the wishes of a handler.
type Preferences struct {
	BatchSize   int
	Concurrency int
}

// Factory makes the Config of one handler type.
type Factory struct {
	Doc    string        // one line, for "fanout handlers"
	Config func() Config // a new Config that holds the defaults
}
