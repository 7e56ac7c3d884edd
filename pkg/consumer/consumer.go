// Package consumer runs one consumer of a group: it reads entries, hands them
// to the group's handler in batches, and settles them.
//
// Guarantees:
//   - An entry is acknowledged only after the handler has succeeded with it, or
//     its dead letter is written, or `where` does not want it.
//   - Every delivery ends in exactly one outcome: acked, buried, released,
//     vanished, or its lease was lost to another consumer.
//   - While a call of the handler runs, its slot and its deliveries are its own:
//     no verdict is passed on them, and they are touched so that nobody else
//     claims them.
//   - At most Concurrency calls run at once, and no more than three times what they
//     can hold is taken from Redis.
//
// All state of a consumer belongs to the goroutine of [Consumer.Serve] (see
// loop.go). Calls of the handler and of the [Source] run beside it and send
// what came of them back as closures.
package consumer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"example.com/fanout/pkg/event"
	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/retry"
	"example.com/fanout/pkg/stream"
	"example.com/fanout/pkg/telemetry"
)

// Config says what a consumer does. All fields without a stated default are
// needed.
type Config struct {
	Group       string // as the manifest names it
	Name        string // of the consumer in Redis
	HandlerType string // for dead letters

	Source  Source
	Handler handler.Handler
	Decoder event.Decoder
	Where   *event.Expr // nil: every event is wanted

	BatchSize   int           // deliveries in a call at most
	BatchBytes  int           // bytes in a call at most; a larger entry is a call of its own
	MaxBytes    func() int    // held at most, but for one entry that is larger; nil: what two batches a call may have
	Linger      time.Duration // how long a batch waits to fill; 0: not at all
	Concurrency int           // calls at once
	Timeout     time.Duration // of one call

	Retry         retry.Policy
	MaxDeliveries int64         // see the package documentation of suspects
	MinIdle       time.Duration // claim.min_idle; in-flight entries are touched at a third of it
	DrainTimeout  time.Duration // how long a stop waits for calls before it cancels them
	AuditInterval time.Duration // how often the own pending list is compared with what is in flight; 0: only after read errors
	ReadWait      time.Duration // longest blocking read; 0: one second

	Suspects *Gate            // one for the whole process
	LowWater func() stream.ID // the group's low-water mark as last seen

	// Vanished is told of pending entries that Redis no longer has. It must not
	// block; nil is not told.
	Vanished func(ids []stream.ID)

	// Abandon takes over what is left of a consumer whose calls have outlived its
	// stop, before Serve returns. It must not block; the remnant must be served.
	Abandon func(*Remnant)

	Logger    *slog.Logger
	Logs      *Logs // of the group
	Telemetry *telemetry.Group
}

// budget is how many bytes are held at most.
func (c *Config) budget() int {
	n := 2 * c.Concurrency * c.BatchBytes
	if c.MaxBytes != nil {
		n = min(n, c.MaxBytes())
	}
	return n
}

// Consumer is one consumer of a group. Its methods are safe for concurrent use.
type Consumer struct {
	cfg   Config
	claim chan struct{} // capacity 1: a claim sweep is wanted
	asked chan question // answered by the loop
	beat  atomic.Int64  // unix nanoseconds of the loop's last turn; 0 while it does not run

	shapes sync.Pool // of *event.Shapes, for reads that are decoded at the same time

	mu     sync.Mutex
	status Status
}

// State is what a consumer is doing.
type State string

// The states.
const (
	Starting   State = "starting"
	Recovering State = "recovering" // handles what was pending under its name first
	Reading    State = "reading"
	BackingOff State = "backing off" // Redis fails
	Draining   State = "draining"
	Stopped    State = "stopped"
)

// Status is a consumer as others see it.
type Status struct {
	Name         string
	State        State
	InFlight     int // deliveries held: in a call, waiting for one, or not yet settled
	Stuck        int // calls that have outlived their timeout
	LastActivity time.Time
	Connection   Connection // that it reads over

	RedisError   string // why it backs off: the newest that it heard; empty when Redis answers
	RedisErrorAt time.Time
	Hold         Hold   // why it takes nothing new though Redis answers
	LastFailure  string // of the handler
	FailedAt     time.Time
}

// Hold is why a consumer takes nothing new. The zero Hold is no reason.
type Hold struct {
	Kind  HoldKind
	Error string // "" where Kind says it all
	Since time.Time
	Next  time.Time // try; zero: not known
}

// HoldKind says in some words what is in the way; "" is nothing.
type HoldKind string

// The kinds.
const (
	SinkDown    HoldKind = "sink unavailable"
	NoneThrough HoldKind = "entries wait, none has got through" // the sink refuses single deliveries
	LettersFull HoldKind = "dead letters full"
)

// Text is the reason in words.
func (h Hold) Text() string {
	if h.Error == "" {
		return string(h.Kind)
	}
	return string(h.Kind) + ": " + h.Error
}

// Connection is what the Source of a consumer reads over. The zero Connection is
// none, or one that is not known.
type Connection struct {
	ID   int64  // that the server gave it; 0 unknown
	Addr string // of this end
}

// connected is a Source that tells its connection.
type connected interface{ Connection() Connection }

// Errors of Serve.
var (
	// ErrUnreturned: calls of the handler have not returned.
	ErrUnreturned = errors.New("handler calls did not return")
	// ErrUnconfirmed: Redis did not confirm all acknowledgements in time.
	ErrUnconfirmed = errors.New("acknowledgements were not confirmed")
)

// New returns a consumer that does not run yet.
func New(cfg Config) *Consumer {
	if cfg.ReadWait <= 0 {
		cfg.ReadWait = time.Second
	}
	c := &Consumer{cfg: cfg, claim: make(chan struct{}, 1), asked: make(chan question)}
	c.status = Status{Name: cfg.Name, State: Starting}
	c.shapes.New = func() any { return &event.Shapes{} }
	return c
}

// Serve runs the consumer until ctx is done, then drains: it reads no more,
// lets running calls finish, cancels them with [handler.ErrStopping] after
// DrainTimeout, and gives back what is left. If the cause of ctx is
// [handler.ErrStopping], what is left is claimable by others at once; any other
// cause is a restart, and what is left stays with this consumer's name for its
// successor.
//
// Calls that have not returned a second after they were cancelled are handed
// to Config.Abandon, with the Source; otherwise Serve closes it. Everything
// else is claimable by others at once then, for the successor needs another
// name. Redis is waited for up to ten seconds longer if it is slow, and not if
// it fails. Serve returns nil when it was asked to stop and Redis has confirmed
// everything, else [ErrUnconfirmed]; and the fault when it stopped by itself,
// such as [stream.ErrNoGroup].
func (c *Consumer) Serve(ctx context.Context) error {
	l := newLoop(c, ctx)
	ended := false
	defer func() {
		if !ended { // a panic of ours must not keep the gate
			l.detach()
		}
	}()
	l.run(ctx)
	ended = true
	err := l.err
	if len(l.running) > 0 {
		c.cfg.Abandon(l.abandon()) // from here on the loop is the remnant's
		return err
	}
	return errors.Join(err, l.close())
}

// Claim asks the consumer to take over what others have left behind, as soon
// as it has room.
func (c *Consumer) Claim() {
	select {
	case c.claim <- struct{}{}:
	default:
	}
}

// Status tells how the consumer is.
func (c *Consumer) Status() Status {
	c.mu.Lock()
	s := c.status
	c.mu.Unlock()
	if source, ok := c.cfg.Source.(connected); ok {
		s.Connection = source.Connection()
	}
	return s
}

// Beat is when the consumer's loop last turned, zero while it does not run. A
// healthy loop turns at least every few seconds, whatever the handler does.
func (c *Consumer) Beat() time.Time {
	if n := c.beat.Load(); n != 0 {
		return time.Unix(0, n)
	}
	return time.Time{}
}

// Remnant is what is left of a consumer when calls of its handler outlive a
// restart: it goes on touching their entries and honours their late verdict.
type Remnant struct{ loop *loop }

// Name is that of the consumer in Redis; nobody else may use it until Serve
// has returned.
func (r *Remnant) Name() string { return r.loop.cfg.Name }

// Calls is the number of calls that had not returned when the remnant was made.
func (r *Remnant) Calls() int { return r.loop.abandoned }

// Serve waits for the calls and settles what they say. It returns when the last
// one is settled; when ctx is done it gives up, with [ErrUnreturned] for calls
// that still run and [ErrUnconfirmed] as in Consumer.Serve.
func (r *Remnant) Serve(ctx context.Context) error {
	l := r.loop
	l.lingers = true
	l.run(ctx)
	l.cfg.Telemetry.AbandonedCalls.Add(-int64(l.abandoned))
	err := l.close()
	if n := len(l.running); n > 0 {
		err = errors.Join(fmt.Errorf("%w: %d of consumer %s", ErrUnreturned, n, l.cfg.Name), err)
	}
	return err
}

// Gate lets one suspect run at a time. The zero value is not usable; see [NewGate].
type Gate struct{ c chan struct{} }

// NewGate returns an open gate.
func NewGate() *Gate { return &Gate{make(chan struct{}, 1)} }

// enter waits for the gate. It reports false when done was closed first.
func (g *Gate) enter(done <-chan struct{}) bool {
	select {
	case g.c <- struct{}{}:
		return true
	case <-done:
		return false
	}
}

func (g *Gate) leave() { <-g.c }
