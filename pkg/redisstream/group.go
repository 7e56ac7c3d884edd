package redisstream

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"example.com/fanout/pkg/stream"
)

// GroupConfig names one consumer group and what belongs to it.
type GroupConfig struct {
	Stream string
	Group  string // its name in Redis
	Start  Start  // where it begins when it is new

	DeadLetters    string // the dead-letter stream, in the stream's hash slot
	MaxDeadLetters int64  // letters at most; 0: no limit
	DropOldest     bool   // make room by dropping the oldest instead of holding

	// Dropped is told how many letters were dropped, from the goroutine that
	// buries; nil is not.
	Dropped func(letters int64)

	MinIdle time.Duration // the group's claim.min_idle

	// ReadsApart is how long no consumer of this process waits in Redis after a read
	// that has brought some entries and not all that it asked for; 0: not at all.
	ReadsApart time.Duration

	// KeepMissing leaves a group that Redis has lost as it is: Ensure returns
	// [stream.ErrGroupLost] until somebody has made the group by hand.
	KeepMissing bool

	// WithoutCheckpoint is where a group begins that Redis has lost together with
	// every checkpoint of it; the zero value is Start, as for a new group.
	WithoutCheckpoint WithoutCheckpoint

	// OneHost lets the group run on one host at a time: Ensure and Checkpoint
	// return [stream.ErrOtherHost] on all others. Any number of processes of that
	// host may run it. Checkpoint renews the right; without it, it ends after 30 s.
	OneHost bool

	// Checkpoints keeps the group's checkpoint outside Redis too; nil does not.
	Checkpoints CheckpointStore
}

// Start is where a new group begins: after the entry After, or after the last
// one there is. The zero Start is before the first entry.
type Start struct {
	Latest bool
	After  stream.ID // of no meaning with Latest
}

func (s Start) String() string {
	if s.Latest {
		return "latest"
	}
	return s.After.String()
}

// Group is the Redis side of one consumer group. It is safe for concurrent use.
type Group struct {
	client *Client
	cfg    GroupConfig

	epochKey      string
	checkpointKey string
	bookKey       string // of its losses
	hostKey       string // the right of a host to run it
	untakenKey    string // see ackPlainly

	teller  *teller
	lookout *lookout

	mu        sync.Mutex // guards what follows
	epoch     string     // as last seen; "" before Ensure
	taken     Checkpoint // the last one of this process
	saved     Checkpoint // what the local store was given last
	seen      string     // ID of the last entry in the stream at the last look; "" for none
	seenEpoch string     // in which that was
}

// WithoutCheckpoint says what becomes of a group of which Redis has lost the
// position and all that could tell it.
type WithoutCheckpoint string

// The ways.
const (
	AtStart    WithoutCheckpoint = "start"
	AtEarliest WithoutCheckpoint = "earliest"
	AtLatest   WithoutCheckpoint = "latest"
	Fail       WithoutCheckpoint = "fail" // as GroupConfig.KeepMissing
)

// Group returns the Redis side of a group. It does no I/O.
func (c *Client) Group(cfg GroupConfig) *Group {
	prefix := tagged(cfg.Stream) + ":fanout:"
	t, _ := c.tellers.LoadOrStore(prefix+cfg.Group, &teller{told: map[string]bool{}})
	return &Group{
		client:        c,
		cfg:           cfg,
		epochKey:      prefix + "epoch",
		checkpointKey: prefix + "checkpoint:" + cfg.Group,
		bookKey:       prefix + "losses:" + cfg.Group,
		hostKey:       prefix + "host:" + cfg.Group,
		untakenKey:    prefix + "untaken:" + cfg.Group,
		teller:        t.(*teller),
		lookout:       newLookout(),
	}
}

// tagged makes the stream's name a prefix for keys of the same hash slot: the
// name itself where it has a hash tag, and the name as the tag otherwise.
func tagged(name string) string {
	if _, rest, ok := strings.Cut(name, "{"); ok {
		if tag, _, ok := strings.Cut(rest, "}"); ok && tag != "" {
			return name
		}
	}
	return "{" + name + "}"
}

func (g *Group) keys() []string {
	return []string{g.cfg.Stream, g.epochKey, g.checkpointKey}
}

func (g *Group) op(verb string) string { return verb + " " + g.cfg.Group }

// Consumers lists the group's consumers, those of other processes included.
func (g *Group) Consumers(ctx context.Context) ([]stream.ConsumerInfo, error) {
	v, err := g.client.run(ctx, g.op("list consumers of"), consumersScript, []string{g.cfg.Stream}, g.cfg.Group)
	if err != nil {
		return nil, err
	}
	var list []stream.ConsumerInfo
	for v.more() {
		list = append(list, stream.ConsumerInfo{
			Name:    v.text(),
			Pending: v.integer(),
			Idle:    time.Duration(max(0, v.integer())) * time.Millisecond,
		})
	}
	return list, v.err
}

// Reap deletes consumers that have nothing pending and have been idle for
// longer than idle, except those in keep, and those of the group's replays
// likewise. It returns their names.
func (g *Group) Reap(ctx context.Context, idle time.Duration, keep []string) (deleted []string, err error) {
	args := append(make([]any, 0, len(keep)+2), g.cfg.Group, idle.Milliseconds())
	for _, name := range keep {
		args = append(args, name)
	}
	for _, key := range []string{g.cfg.Stream, g.replayStream()} {
		v, err := g.client.run(ctx, g.op("reap consumers of"), reapScript, []string{key}, args...)
		if errors.Is(err, stream.ErrNoGroup) && key != g.cfg.Stream {
			break // nothing was ever replayed
		}
		if err != nil {
			return deleted, err
		}
		for v.more() {
			deleted = append(deleted, v.text())
		}
		if v.err != nil {
			return deleted, v.err
		}
	}
	return deleted, nil
}
