package window

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/sink/internal/sqlstore"
	"example.com/fanout/pkg/stream"
)

// The tables that remember which entries have been counted. They are small in
// width: a busy stream brings millions of entries a day. IDs are kept as two
// integers; a half beyond 63 bits is kept as a negative number and never
// forgotten.
const identityTables = `
CREATE TABLE IF NOT EXISTS fanout_sources (
	id         INTEGER PRIMARY KEY,
	tbl        TEXT NOT NULL,
	grp        TEXT NOT NULL,
	epoch      TEXT NOT NULL,
	pruned_ms  INTEGER NOT NULL DEFAULT 0,
	pruned_seq INTEGER NOT NULL DEFAULT 0,
	UNIQUE (tbl, grp, epoch)
);
CREATE TABLE IF NOT EXISTS fanout_seen (
	source INTEGER NOT NULL,
	ms     INTEGER NOT NULL,
	seq    INTEGER NOT NULL,
	PRIMARY KEY (source, ms, seq)
) WITHOUT ROWID`

const (
	selectSeen = "SELECT ms, seq FROM fanout_seen WHERE source = ? AND (ms, seq) IN (VALUES "

	upToInSeen = "FROM fanout_seen WHERE source = ? AND ms >= 0 AND seq >= 0 AND (ms, seq) <= (?, ?)"
	oldestSeen = "SELECT ms, seq " + upToInSeen + " ORDER BY ms, seq LIMIT ?"
	deleteSeen = "DELETE " + upToInSeen

	selectSource = "SELECT id, pruned_ms, pruned_seq FROM fanout_sources WHERE tbl = ? AND grp = ? AND epoch = ?"
)

// ledger knows which entries a group has counted in a table. An identity is
// (table, group, epoch, ID). It is safe for concurrent use; whatever it says
// holds for the transaction that it was asked in.
type ledger struct {
	table, group  string
	insert, known *sqlstore.Rows
	source        *sql.Stmt // of an epoch
}

func openLedger(store *sqlstore.Store, table, group string) (_ *ledger, err error) {
	l := &ledger{table: strings.ToLower(table), group: group}
	if l.insert, err = store.PrepareInsert("fanout_seen", []string{"source", "ms", "seq"}, 1, ""); err != nil {
		return nil, fmt.Errorf("prepare identities: %w", err)
	}
	if l.known, err = store.Prepare(selectSeen, 1, 2, ")"); err != nil {
		l.insert.Close()
		return nil, fmt.Errorf("prepare identities: %w", err)
	}
	if l.source, err = store.PrepareOne(selectSource); err != nil {
		l.insert.Close()
		l.known.Close()
		return nil, fmt.Errorf("prepare identities: %w", err)
	}
	return l, nil
}

func (l *ledger) close() {
	l.insert.Close()
	l.known.Close()
	l.source.Close() // has nothing to report: it only frees
}

// source is one epoch of the group's stream.
type source struct {
	id     int64
	pruned stream.ID // greatest ID that was forgotten; 0-0 for none
}

// sourceOf finds or makes the row of an epoch.
func (l *ledger) sourceOf(ctx context.Context, tx *sql.Tx, epoch string) (source, error) {
	var s source
	var ms, seq int64
	err := tx.StmtContext(ctx, l.source).QueryRowContext(ctx, l.table, l.group, epoch).Scan(&s.id, &ms, &seq)
	if errors.Is(err, sql.ErrNoRows) {
		err = tx.QueryRowContext(ctx,
			"INSERT INTO fanout_sources (tbl, grp, epoch) VALUES (?, ?, ?) RETURNING id",
			l.table, l.group, epoch).Scan(&s.id)
	}
	if err != nil {
		return source{}, fmt.Errorf("find epoch: %w", err)
	}
	s.pruned = stream.ID{Ms: uint64(ms), Seq: uint64(seq)}
	return s, nil
}

// errTooOld is the end of an entry that may or may not have been counted.
var errTooOld = errors.New("entry is older than the identities that are remembered: it cannot be told whether it was counted; a longer dedupe remembers more")

// enter notes the identities of the observations and marks as fresh those that
// it did not know. Those that it may have forgotten are named in failed and
// not noted.
func (l *ledger) enter(ctx context.Context, tx *sql.Tx, s source, list []*observation, failed *handler.BatchError) error {
	if !s.pruned.IsZero() {
		var err error
		if list, err = l.sift(ctx, tx, s, list, failed); err != nil {
			return err
		}
	}
	for args := idArgs(s, list); len(list) > 0; {
		n, err := l.insert.Exec(ctx, tx, args, len(list))
		switch {
		case sqlstore.IsRowFault(err):
			// One of the n is known. The statement has left nothing behind.
			err = l.enterUnknown(ctx, tx, s, list[:n])
		case err == nil:
			for _, o := range list[:n] {
				o.fresh = true
			}
		}
		if err != nil {
			return fmt.Errorf("note identities: %w", err)
		}
		args, list = l.insert.Rest(args, n), list[n:]
	}
	return nil
}

// idArgs are the variables of a statement about the identities of the list.
func idArgs(s source, list []*observation) []any {
	args := make([]any, 1, 1+2*len(list))
	args[0] = s.id
	for _, o := range list {
		args = append(args, int64(o.id.Ms), int64(o.id.Seq))
	}
	return args
}

// sift takes out what lies at or below the mark of the forgotten: it is
// either known, and needs nothing, or too old.
func (l *ledger) sift(ctx context.Context, tx *sql.Tx, s source, list []*observation, failed *handler.BatchError) ([]*observation, error) {
	var young, old []*observation
	for _, o := range list {
		if s.pruned.Before(o.id) {
			young = append(young, o)
		} else {
			old = append(old, o)
		}
	}
	known, err := l.lookup(ctx, tx, s, old)
	if err != nil {
		return nil, err
	}
	for _, o := range old {
		if !known[o.id] {
			failed.Fail(o.index, handler.Permanent(errTooOld))
		}
	}
	return young, nil
}

// enterUnknown is the slow way of enter, for lists with known identities or
// with one identity twice.
func (l *ledger) enterUnknown(ctx context.Context, tx *sql.Tx, s source, list []*observation) error {
	known, err := l.lookup(ctx, tx, s, list)
	if err != nil {
		return err
	}
	var unknown []*observation
	for _, o := range list {
		if known[o.id] {
			continue
		}
		known[o.id] = true
		o.fresh = true
		unknown = append(unknown, o)
	}
	args := idArgs(s, unknown)
	for left := len(unknown); left > 0; {
		n, err := l.insert.Exec(ctx, tx, args, left)
		if err != nil {
			return err
		}
		args = l.insert.Rest(args, n)
		left -= n
	}
	return nil
}

// lookup returns which of the identities are known.
func (l *ledger) lookup(ctx context.Context, tx *sql.Tx, s source, list []*observation) (map[stream.ID]bool, error) {
	known := make(map[stream.ID]bool, len(list))
	args := idArgs(s, list)
	for left := len(list); left > 0; {
		rows, n, err := l.known.Query(ctx, tx, args, left)
		if err != nil {
			return nil, fmt.Errorf("look up identities: %w", err)
		}
		for rows.Next() {
			var ms, seq int64
			if err := rows.Scan(&ms, &seq); err != nil {
				rows.Close()
				return nil, fmt.Errorf("look up identities: %w", err)
			}
			known[stream.ID{Ms: uint64(ms), Seq: uint64(seq)}] = true
		}
		if err := rows.Close(); err != nil {
			return nil, fmt.Errorf("look up identities: %w", err)
		}
		if err := rows.Err(); err != nil {
			return nil, fmt.Errorf("look up identities: %w", err)
		}
		args = l.known.Rest(args, n)
		left -= n
	}
	return known, nil
}

// leave takes back an identity that enter has noted in this transaction.
func (l *ledger) leave(ctx context.Context, tx *sql.Tx, s source, id stream.ID) error {
	_, err := tx.ExecContext(ctx, "DELETE FROM fanout_seen WHERE source = ? AND ms = ? AND seq = ?", s.id, int64(id.Ms), int64(id.Seq))
	if err != nil {
		return fmt.Errorf("take back identity: %w", err)
	}
	return nil
}

// forget drops identities up to and with upTo, at most limit of them, the
// oldest first, and moves the mark of the forgotten.
func (l *ledger) forget(ctx context.Context, tx *sql.Tx, epoch string, upTo stream.ID, limit int) error {
	s, err := l.sourceOf(ctx, tx, epoch)
	if err != nil {
		return err
	}
	var ms, seq int64 // the last one that goes
	err = tx.QueryRowContext(ctx,
		"SELECT ms, seq FROM ("+oldestSeen+") ORDER BY ms DESC, seq DESC LIMIT 1",
		s.id, clamp(upTo.Ms), clamp(upTo.Seq), limit).Scan(&ms, &seq)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("find old identities: %w", err)
	}
	if _, err := tx.ExecContext(ctx, deleteSeen, s.id, ms, seq); err != nil {
		return fmt.Errorf("forget identities: %w", err)
	}
	if _, err := tx.ExecContext(ctx,
		"UPDATE fanout_sources SET pruned_ms = ?, pruned_seq = ? WHERE id = ?", ms, seq, s.id); err != nil {
		return fmt.Errorf("note what was forgotten: %w", err)
	}
	return nil
}

// empty drops all identities of the group, and that some were forgotten.
func (l *ledger) empty(ctx context.Context, tx *sql.Tx) error {
	for _, statement := range []string{
		"DELETE FROM fanout_seen WHERE source IN (SELECT id FROM fanout_sources WHERE tbl = ? AND grp = ?)",
		"DELETE FROM fanout_sources WHERE tbl = ? AND grp = ?",
	} {
		if _, err := tx.ExecContext(ctx, statement, l.table, l.group); err != nil {
			return fmt.Errorf("forget identities: %w", err)
		}
	}
	return nil
}

func clamp(n uint64) int64 { return int64(min(n, math.MaxInt64)) }

// horizon is the greatest ID that may be forgotten: Redis does not deliver it
// again by itself, and it is older than dedupe.
func horizon(lowWater stream.ID, now time.Time, dedupe time.Duration) stream.ID {
	oldest := now.Add(-dedupe).UnixMilli()
	if oldest <= 0 {
		return stream.ID{}
	}
	old := stream.ID{Ms: uint64(oldest)}.Prev()
	if lowWater.Before(old) {
		return lowWater
	}
	return old
}
