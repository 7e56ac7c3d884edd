// Package sqldb is the handler "sql": each entry becomes a row of a table.
//
//   - A row and its entry's identity are one: the primary key is (fanout_group,
//     fanout_epoch, fanout_id). A repeated entry changes nothing; other groups
//     and other epochs of the stream keep rows of their own in the same table.
//   - A batch is one transaction of a few multi-row statements. It is on disk
//     when Handle returns nil.
//   - Values stay exact: see the columns' storage in [Config]. Columns have no
//     type, so that SQLite keeps what it is given: an integer is an INTEGER
//     and the string "0012" stays a TEXT. A number that is not an integer of
//     64 bits is kept as the TEXT that was published (2.45 as '2.45'); cast it
//     where a float will do.
//   - An entry that can never become a row (a required value is missing, a
//     constraint of the table refuses it) fails alone and permanently.
package sqldb

import (
	"context"
	"database/sql"
	"fmt"
	"sync"

	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/sink/internal/sqlstore"
)

// identity are the columns that make a repeated entry visible.
var identity = []string{"fanout_group", "fanout_epoch", "fanout_id"}

// sink is safe for concurrent use: it changes nothing of its own but the pool.
type sink struct {
	store   *sqlstore.Store
	table   sqlstore.Table
	fields  fields
	insert  *sqlstore.Rows
	group   any       // a string; boxed once
	scratch sync.Pool // of *rows
}

// shared is how many columns of the identity are the same in all rows of a
// statement: group and epoch.
const shared = 2

// rows are the rows of one batch, ready to be inserted.
type rows struct {
	args  []any // of all runs
	texts texts // what the strings in args are made of
	index []int // of the delivery that each row came from
	runs  []run
}

// run is a list of rows of one epoch. There is one nearly always.
type run struct {
	args int // where it begins: group, epoch, rows
	rows int
}

func open(c *Config, env handler.Env) (_ *sink, err error) {
	s := &sink{group: env.Group}
	if s.fields, err = c.fields(); err != nil {
		return nil, err
	}
	s.table = sqlstore.Table{Name: c.Table, Key: identity, Create: c.Create, Suffix: "WITHOUT ROWID"}
	names := append([]string(nil), identity...)
	for _, name := range identity {
		s.table.Own = append(s.table.Own, sqlstore.Column{Name: name, Decl: "TEXT NOT NULL"})
	}
	for _, col := range c.Columns {
		s.table.Data = append(s.table.Data, sqlstore.Column{Name: col.Name})
		names = append(names, col.Name)
	}

	if s.store, err = sqlstore.Open(c.DSN.Reveal()); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.store.Close()
		}
	}()
	ctx := context.Background()
	if err := s.store.Update(ctx, func(tx *sql.Tx) error {
		_, err := s.table.Ensure(ctx, tx)
		return err
	}); err != nil {
		return nil, err
	}
	key := sqlstore.QuoteAll(identity)
	s.insert, err = s.store.PrepareInsert(c.Table, names, shared, " ON CONFLICT ("+key+") DO NOTHING")
	if err != nil {
		return nil, fmt.Errorf("prepare insert into %s, which must be a table with a primary key or unique constraint on (%s): %w", c.Table, key, err)
	}
	s.scratch.New = func() any { return new(rows) }
	return s, nil
}

// Handle implements [handler.Handler].
func (s *sink) Handle(ctx context.Context, batch *handler.Batch) error {
	r := s.scratch.Get().(*rows)
	defer s.put(r)

	var failed handler.BatchError
	epoch := ""
	for i := range batch.Deliveries {
		d := &batch.Deliveries[i]
		if len(r.runs) == 0 || epoch != d.Epoch {
			epoch = d.Epoch
			r.runs = append(r.runs, run{args: len(r.args)})
			r.args = append(r.args, s.group, epoch)
		}
		begin := len(r.args)
		args, err := s.fields.appendTo(append(r.args, r.texts.keep(d.ID.Append(r.texts.scratch[:0]))), d, &r.texts)
		if err != nil {
			failed.Fail(i, err)
			clear(args[begin:])
			r.args = args[:begin]
			continue
		}
		r.args = args
		r.index = append(r.index, i)
		r.runs[len(r.runs)-1].rows++
	}
	if len(r.index) > 0 {
		err := s.store.Update(ctx, func(tx *sql.Tx) error { return s.write(ctx, tx, r, &failed) })
		if err != nil {
			return fmt.Errorf("write to table %s: %w", s.table.Name, err)
		}
	}
	return failed.Err()
}

// write inserts the rows and names those that the table refuses.
func (s *sink) write(ctx context.Context, tx *sql.Tx, r *rows, failed *handler.BatchError) error {
	index := r.index
	for _, run := range r.runs {
		args := r.args[run.args:]
		for left := run.rows; left > 0; {
			n, err := s.insert.Exec(ctx, tx, args, left)
			if sqlstore.IsRowFault(err) {
				// The statement has left nothing behind; row by row all but the
				// refused ones come in.
				args, err = s.writeEach(ctx, tx, args, index[:n], failed)
			} else if err == nil {
				args = s.insert.Rest(args, n)
			}
			if err != nil {
				return s.table.Explain(ctx, tx, err)
			}
			index = index[n:]
			left -= n
		}
	}
	return nil
}

// writeEach inserts the first rows of args, of the deliveries in index, one by
// one and returns the rest of args.
func (s *sink) writeEach(ctx context.Context, tx *sql.Tx, args []any, index []int, failed *handler.BatchError) ([]any, error) {
	for _, i := range index {
		_, err := s.insert.Exec(ctx, tx, args, 1)
		if sqlstore.IsRowFault(err) {
			failed.Fail(i, handler.Permanent(fmt.Errorf("table %s refuses the row: %w", s.table.Name, err)))
		} else if err != nil {
			return nil, err
		}
		args = s.insert.Rest(args, 1)
	}
	return args, nil
}

// Empty implements [handler.Rebuilder]: it deletes the group's rows, those of
// earlier epochs too.
func (s *sink) Empty(ctx context.Context) error {
	err := s.store.Update(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "DELETE FROM "+sqlstore.Quote(s.table.Name)+" WHERE fanout_group = ?", s.group)
		return err
	})
	if err != nil {
		return fmt.Errorf("empty table %s: %w", s.table.Name, err)
	}
	return nil
}

// put gives scratch space back without the values, which may be large.
func (s *sink) put(r *rows) {
	clear(r.args)
	r.texts.drop()
	r.args, r.index, r.runs = r.args[:0], r.index[:0], r.runs[:0]
	s.scratch.Put(r)
}

// Close implements [handler.Handler].
func (s *sink) Close() error {
	s.insert.Close()
	return s.store.Close()
}
