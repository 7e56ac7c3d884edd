// Package window is the handler "window": it sums up entries by key and
// tumbling time window in a table with one row for each group, key and window.
//
//   - Every entry counts once. Its identity (group, stream epoch, ID) is noted
//     in the transaction that counts it; a repeated entry changes nothing. A
//     new epoch's entries add to the same windows.
//   - An entry counts in the window of its own event time, however late or out
//     of order it comes. first and last go by (event time, entry ID).
//   - Numbers are exact integers of 64 bits. A result that would not fit is a
//     permanent error of the entry that does it, which then counts nowhere. wavg
//     keeps its numerator and denominator; only the quotient is a float.
//   - A measure skips an event whose value is null or missing; count() counts
//     every event. An event without key or time, or with a value that is not
//     an integer, is a permanent error.
//   - A measure that the manifest adds later counts from then on. Size, key,
//     time and the meaning of a measure cannot change under a table's feet:
//     New refuses.
//
// Identities are forgotten when the group's low-water mark has passed them and
// their ID's time is older than the group's dedupe time. An entry at or below
// the greatest forgotten one that is not known is a permanent error: it cannot
// be told whether it was counted. That holds for a replayed dead letter too. A
// first run over old history is not affected, since nothing of it has been
// forgotten when it comes. Identities of an epoch that has ended are kept, for
// it has no low-water mark any more.
package window

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"time"

	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/sink/internal/sqlstore"
	"example.com/fanout/pkg/stream"
	"example.com/fanout/pkg/telemetry"
)

// sink is safe for concurrent use.
type sink struct {
	plan   *plan
	store  *sqlstore.Store
	table  *table
	ledger *ledger
	pruner pruner
	log    *slog.Logger
}

func open(c *Config, env handler.Env) (_ *sink, err error) {
	s := &sink{log: env.Logger}
	if s.plan, err = c.plan(); err != nil {
		return nil, err
	}
	if s.store, err = sqlstore.Open(c.DSN.Reveal()); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.store.Close()
		}
	}()
	s.table = newTable(c, env.Group, s.plan.measures)
	ctx := context.Background()
	if err := s.store.Update(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, identityTables+";"+definitionTable); err != nil {
			return fmt.Errorf("create tables for identities: %w", err)
		}
		created, err := s.table.Ensure(ctx, tx)
		if err != nil {
			return err
		}
		return c.definition(s.plan).agree(ctx, tx, c.Table, env.Group, created)
	}); err != nil {
		return nil, err
	}
	if err := s.table.prepare(s.store); err != nil {
		return nil, err
	}
	if s.ledger, err = openLedger(s.store, c.Table, env.Group); err != nil {
		s.table.close()
		return nil, err
	}
	s.pruner = pruner{dedupe: env.Dedupe, now: time.Now}
	return s, nil
}

// Handle implements [handler.Handler].
func (s *sink) Handle(ctx context.Context, batch *handler.Batch) error {
	var failed handler.BatchError
	b := s.observe(batch, &failed)
	if len(b.seen) > 0 {
		err := s.store.Update(ctx, func(tx *sql.Tx) error { return s.count(ctx, tx, batch, b, &failed) })
		if err != nil {
			return fmt.Errorf("count in table %s: %w", s.table.Name, err)
		}
		s.prune(ctx, batch)
	}
	return failed.Err()
}

// observed is a batch that has been read.
type observed struct {
	seen   []observation
	values []value // len(plan.paths) for each of seen
}

func (s *sink) observe(batch *handler.Batch, failed *handler.BatchError) *observed {
	width := len(s.plan.paths)
	b := &observed{
		seen:   make([]observation, 0, len(batch.Deliveries)),
		values: make([]value, len(batch.Deliveries)*width),
	}
	for i := range batch.Deliveries {
		at := len(b.seen) * width
		o, err := s.plan.observe(&batch.Deliveries[i], b.values[at:at+width])
		if err != nil {
			failed.Fail(i, err)
			continue
		}
		o.index = i
		b.seen = append(b.seen, o)
	}
	return b
}

// count notes the identities and adds what is fresh to the windows.
func (s *sink) count(ctx context.Context, tx *sql.Tx, batch *handler.Batch, b *observed, failed *handler.BatchError) error {
	sources := map[string]source{}
	for _, list := range byEpoch(batch, b) {
		epoch := batch.Deliveries[list[0].index].Epoch
		src, err := s.ledger.sourceOf(ctx, tx, epoch)
		if err != nil {
			return err
		}
		if err := s.ledger.enter(ctx, tx, src, list, failed); err != nil {
			return err
		}
		sources[epoch] = src
	}

	windows := &totals{index: map[string]*total{}}
	for i := range b.seen {
		if b.seen[i].fresh {
			windows.at(&b.seen[i], len(s.table.measures))
		}
	}
	if len(windows.list) == 0 {
		return nil
	}
	if err := s.table.read(ctx, tx, windows); err != nil {
		return s.table.Explain(ctx, tx, err)
	}
	width := len(s.plan.paths)
	scratch := make([]cell, len(s.table.measures))
	for i := range b.seen {
		o := &b.seen[i]
		if !o.fresh {
			continue
		}
		w := windows.find(o.key, o.start)
		if err := s.add(w, o, b.values[i*width:(i+1)*width], scratch); err != nil {
			failed.Fail(o.index, handler.Permanent(err))
			if err := s.ledger.leave(ctx, tx, sources[batch.Deliveries[o.index].Epoch], o.id); err != nil {
				return err
			}
		}
	}
	return s.table.Explain(ctx, tx, s.table.write(ctx, tx, windows.list))
}

// add takes the event into every measure of the window, or into none.
func (s *sink) add(w *total, o *observation, values []value, scratch []cell) error {
	for i, m := range s.table.measures {
		c, err := m.add(w.cells[i], o, values)
		if err != nil {
			return err
		}
		scratch[i] = c
	}
	copy(w.cells, scratch)
	w.dirty = true
	return nil
}

// byEpoch groups the observations by the epoch of their stream. There is one
// nearly always.
func byEpoch(batch *handler.Batch, b *observed) [][]*observation {
	var lists [][]*observation
	index := map[string]int{}
	for i := range b.seen {
		o := &b.seen[i]
		epoch := batch.Deliveries[o.index].Epoch
		at, ok := index[epoch]
		if !ok {
			at = len(lists)
			index[epoch] = at
			lists = append(lists, make([]*observation, 0, len(b.seen)-i))
		}
		lists[at] = append(lists[at], o)
	}
	return lists
}

// prune forgets old identities now and then. What it does not get done, a
// later call does.
func (s *sink) prune(ctx context.Context, batch *handler.Batch) {
	epoch, ok := currentEpoch(batch)
	upTo, limit := s.pruner.due(batch)
	if !ok || limit == 0 || upTo.IsZero() {
		return
	}
	err := s.store.Update(ctx, func(tx *sql.Tx) error { return s.ledger.forget(ctx, tx, epoch, upTo, limit) })
	if err != nil && ctx.Err() == nil {
		s.log.Warn("old identities not forgotten", slog.Any(telemetry.KeyError, err))
	}
}

// currentEpoch is the epoch that the batch's low-water mark is of: that of
// all deliveries that are not replays. It is not known when they differ.
func currentEpoch(batch *handler.Batch) (epoch string, ok bool) {
	for i := range batch.Deliveries {
		d := &batch.Deliveries[i]
		switch {
		case d.Origin == stream.Replayed:
		case !ok:
			epoch, ok = d.Epoch, true
		case d.Epoch != epoch:
			return "", false
		}
	}
	return epoch, ok
}

// Empty implements [handler.Rebuilder]: it deletes the group's windows and the
// identities that they were counted from.
func (s *sink) Empty(ctx context.Context) error {
	err := s.store.Update(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "DELETE FROM "+sqlstore.Quote(s.table.Name)+" WHERE fanout_group = ?", s.ledger.group); err != nil {
			return err
		}
		return s.ledger.empty(ctx, tx)
	})
	if err != nil {
		return fmt.Errorf("empty table %s: %w", s.table.Name, err)
	}
	return nil
}

// Close implements [handler.Handler].
func (s *sink) Close() error {
	s.table.close()
	s.ledger.close()
	return s.store.Close()
}
