package redisstream

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"example.com/fanout/pkg/stream"
)

// Opened is what Ensure found or did.
type Opened struct {
	Epoch   string    // of the stream; shared by all its groups
	Created bool      // the group was missing
	At      stream.ID // of a created group: it begins after this entry

	Recreated  bool      // the group had existed before: Redis had lost it
	Checkpoint stream.ID // where it stood then; zero when that is lost too
	NewEpoch   bool      // and the stream is another one than it stood in

	// Note is one line on what happened and what it means, "" when nothing did.
	Note string

	// Warning is a fault that did not hinder: the local store was not readable
	// or not writable.
	Warning error
}

// Ensure creates the group where it is missing, and its stream too: at its start
// when it is new, after its checkpoint when Redis has lost it, and before the
// first entry when the stream is another one than the checkpoint was taken of.
// Then, too, the stream's epoch is renewed; all groups and processes that find
// out agree on one.
//
// The stream is taken for another one when it is gone, when its epoch is not
// the checkpoint's, when it ends, began or had as many entries before what the
// checkpoint knows of it, when none of those entries is there and fewer were
// removed, or when nothing of ours is left in Redis.
//
// A group that is there, in another stream than its checkpoint is of, was made by
// somebody else: it goes on where it stands, in a new epoch, and what it had not
// settled is told by Losses.
//
// A group without a checkpoint has existed when it has left something else in
// Redis: its dead letters, its replays, the record of its losses. What was lost
// with a group is told by Losses.
func (g *Group) Ensure(ctx context.Context) (Opened, error) {
	op := g.op("create group")
	server, err := g.client.Server(ctx)
	if err != nil {
		return Opened{}, err
	}
	if err := g.holdHost(ctx); err != nil {
		return Opened{}, err
	}
	local, warning := g.load()
	args := []any{
		g.cfg.Group, g.cfg.Start.String(), rand.Text(), flag(!server.Simulated),
		flag(g.cfg.KeepMissing), string(cmp.Or(g.cfg.WithoutCheckpoint, AtStart)), g.client.token,
	}
	args = append(args, local.args()...)
	keys := append(g.keys(), g.bookKey, g.cfg.DeadLetters, g.replayStream(), g.untakenKey)
	v, err := g.client.run(ctx, op, ensureScript, keys, args...)
	if err != nil {
		return Opened{}, err
	}
	done := v.integer()
	o := Opened{Created: done == 1, At: v.id(), Epoch: v.text(), Recreated: v.flag(), NewEpoch: v.flag(), Checkpoint: v.id()}
	reason := v.text()
	if v.err != nil {
		return Opened{}, v.err
	}
	if done == 2 {
		return Opened{}, g.refused(op, o)
	}
	o.Note = o.note(reason)
	g.mu.Lock()
	g.epoch = o.Epoch
	switch {
	case o.Created || o.NewEpoch:
		g.seen = ""
	case g.seen == "" && local.Epoch == o.Epoch && !local.LastGenerated.IsZero():
		g.seen, g.seenEpoch = local.LastGenerated.String(), o.Epoch
	}
	g.mu.Unlock()
	if o.Created || o.NewEpoch {
		// Stored at once: were the group lost before the first Checkpoint, it
		// would be taken for a new one.
		if _, err := g.Checkpoint(ctx); err != nil {
			warning = errors.Join(warning, err)
		}
	}
	o.Warning = warning
	return o, nil
}

// refused says why a missing group is not created, and what to do.
func (g *Group) refused(op string, o Opened) error {
	stood, at := "no checkpoint of it is left", "0"
	switch {
	case o.NewEpoch:
		stood = fmt.Sprintf("it stood at %s of a stream that is gone or another one now", o.Checkpoint)
	case !o.Checkpoint.IsZero():
		stood, at = "it stood at "+o.Checkpoint.String(), o.Checkpoint.String()
	}
	return fmt.Errorf("%s: %w: %s; create it where it is to go on, such as XGROUP CREATE %s %s %s MKSTREAM",
		op, stream.ErrGroupLost, stood, quoted(g.cfg.Stream), quoted(g.cfg.Group), at)
}

// quoted is a name as redis-cli takes it.
func quoted(name string) string {
	if strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r == '"' || r == '\'' || r == '\\' || r > '~' }) {
		return strconv.Quote(name)
	}
	return name
}

func (o Opened) note(reason string) string {
	switch {
	case o.Recreated && o.Checkpoint.IsZero():
		return fmt.Sprintf("the group had existed (%s) and is gone with its checkpoint: it begins after %s", reason, o.At)
	case o.Recreated && o.NewEpoch:
		return fmt.Sprintf("the group stood at %s and is gone, and the stream is another one (%s): it begins again before the first entry, in a new epoch",
			o.Checkpoint, reason)
	case o.Recreated:
		return fmt.Sprintf("the group stood at %s at least and is gone: it goes on after %s; what it had settled beyond comes again",
			o.Checkpoint, o.At)
	case o.NewEpoch && o.Created:
		return "the stream was deleted: it has a new epoch"
	case o.NewEpoch:
		return fmt.Sprintf("the group stood at %s, and somebody else has made it again in another stream (%s): it goes on where that was, in a new epoch", o.Checkpoint, reason)
	}
	return reason
}

func flag(b bool) string {
	if b {
		return "1"
	}
	return "0"
}
