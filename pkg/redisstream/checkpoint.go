package redisstream

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"example.com/fanout/pkg/stream"
)

// Checkpoint is where a group stood, and what tells its stream from another one
// of the same name.
type Checkpoint struct {
	ID            stream.ID `json:"id"` // the low-water mark: everything up to it is settled
	Epoch         string    `json:"epoch"`
	LastGenerated stream.ID `json:"last_generated"`
	EntriesAdded  int64     `json:"entries_added"` // -1 unknown
	FirstEntry    stream.ID `json:"first_entry"`   // zero: the stream was empty
	Open          int64     `json:"open"`          // entries that the group had not settled; -1 unknown
}

// CheckpointStore keeps checkpoints outside Redis. It is used when a group is
// lost together with what Redis had of it. Its methods are called by many
// goroutines at once.
type CheckpointStore interface {
	// Load returns what was saved last under key. A damaged store counts as one
	// that knows nothing, and is an error beside.
	Load(key string) (Checkpoint, bool, error)

	// Save keeps a checkpoint for later processes.
	Save(key string, c Checkpoint) error
}

// storeKey names the group among those of all servers.
func (g *Group) storeKey() string {
	return url.PathEscape(g.client.options.Addr) + fmt.Sprintf("/%d/", g.client.options.DB) +
		url.PathEscape(g.cfg.Stream) + "/" + url.PathEscape(g.cfg.Group)
}

// load gives the checkpoint that is known outside Redis: what this process has
// taken last, or what the local store has where that is later.
func (g *Group) load() (Checkpoint, error) {
	stored, err := g.loadStored()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.taken.Epoch != "" && (stored.Epoch == "" || stored.Epoch == g.taken.Epoch && stored.ID.Before(g.taken.ID)) {
		return g.taken, err
	}
	return stored, err
}

func (g *Group) loadStored() (Checkpoint, error) {
	if g.cfg.Checkpoints == nil {
		return Checkpoint{}, nil
	}
	c, ok, err := g.cfg.Checkpoints.Load(g.storeKey())
	if err != nil {
		err = fmt.Errorf("load checkpoint: %w", err)
	}
	if !ok {
		return Checkpoint{}, err
	}
	return c, err
}

// args are c as ensure.lua takes it.
func (c Checkpoint) args() []any {
	if c.Epoch == "" {
		return []any{"", "", "", -1, "", -1}
	}
	first := ""
	if !c.FirstEntry.IsZero() {
		first = c.FirstEntry.String()
	}
	return []any{c.ID.String(), c.Epoch, c.LastGenerated.String(), c.EntriesAdded, first, c.Open}
}

// Checkpoint takes the group's low-water mark, stores it in Redis and in the
// local store where it has changed, and returns it. The mark is returned beside
// an error of storing it (Redis out of memory, the local disk full).
func (g *Group) Checkpoint(ctx context.Context) (stream.ID, error) {
	if err := g.holdHost(ctx); err != nil {
		return stream.ID{}, err
	}
	op := g.op("checkpoint")
	g.mu.Lock()
	epoch := g.epoch
	g.mu.Unlock()
	v, err := g.client.runTogether(ctx, op, checkpointScript, g.cfg.Stream, g.keys(), g.cfg.Group, epoch)
	if err != nil {
		return stream.ID{}, err
	}
	c := Checkpoint{ID: v.id(), Epoch: v.text(), LastGenerated: v.id(), EntriesAdded: v.integer(), FirstEntry: v.id(), Open: v.integer()}
	failed := v.text()
	if v.err != nil {
		return stream.ID{}, v.err
	}
	if failed != "" {
		err = wrap(op, reply(failed))
	}
	g.mu.Lock()
	g.taken = c
	g.mu.Unlock()
	return c.ID, errors.Join(err, g.save(c))
}

// save gives c to the local store unless that has it.
func (g *Group) save(c Checkpoint) error {
	if g.cfg.Checkpoints == nil || c.Epoch == "" {
		return nil
	}
	g.mu.Lock()
	same := g.saved == c
	g.mu.Unlock()
	if same {
		return nil
	}
	if err := g.cfg.Checkpoints.Save(g.storeKey(), c); err != nil {
		return fmt.Errorf("save checkpoint: %w", err)
	}
	g.mu.Lock()
	g.saved = c
	g.mu.Unlock()
	return nil
}
