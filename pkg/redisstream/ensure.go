package redisstream

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"example.com/fanout/pkg/stream"
)

// Opened is what Ensure found or did.
type Opened struct {
	Epoch   string    // of the stream; shared by all its groups
	Created bool      // the group was missing
	At      stream.ID // of a created group: it begins after this entry

	Recreated  bool      // the group had existed before: Redis had lost it
	Checkpoint stream.ID // where it stood then
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
// checkpoint knows of it, or when nothing of ours is left in Redis. A lost group
// without any checkpoint cannot be told from a new one.
func (g *Group) Ensure(ctx context.Context) (Opened, error) {
	op := g.op("create group")
	server, err := g.client.Server(ctx)
	if err != nil {
		return Opened{}, err
	}
	local, warning := g.load()
	args := []any{g.cfg.Group, g.cfg.Start.String(), rand.Text(), flag(!server.Simulated)}
	args = append(args, local.args()...)
	v, err := g.client.run(ctx, op, ensureScript, g.keys(), args...)
	if err != nil {
		return Opened{}, err
	}
	o := Opened{Created: v.flag(), At: v.id(), Epoch: v.text(), Recreated: v.flag(), NewEpoch: v.flag(), Checkpoint: v.id()}
	reason := v.text()
	if v.err != nil {
		return Opened{}, v.err
	}
	o.Note = o.note(reason)
	g.mu.Lock()
	g.epoch = o.Epoch
	g.mu.Unlock()
	if o.Created {
		// Stored at once: were the group lost before the first Checkpoint, it
		// would be taken for a new one.
		if _, err := g.Checkpoint(ctx); err != nil {
			warning = errors.Join(warning, err)
		}
	}
	o.Warning = warning
	return o, nil
}

func (o Opened) note(reason string) string {
	switch {
	case o.Recreated && o.NewEpoch:
		return fmt.Sprintf("the group stood at %s and is gone, and the stream is another one (%s): it begins again before the first entry, in a new epoch",
			o.Checkpoint, reason)
	case o.Recreated:
		return fmt.Sprintf("the group stood at %s at least and is gone: it goes on after %s; what it had settled beyond comes again",
			o.Checkpoint, o.At)
	case o.NewEpoch:
		return "the stream was deleted: it has a new epoch"
	}
	return reason
}

func flag(b bool) string {
	if b {
		return "1"
	}
	return "0"
}
