package window

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/sink/internal/sqlstore"
	"example.com/fanout/pkg/stream"
)

// The columns that every table of windows has, and those of them that tell
// windows apart. A batch touches few starts and many keys, so the start comes
// first: its windows lie side by side in the file.
var (
	ownColumns = []sqlstore.Column{
		{Name: "fanout_group", Decl: "TEXT NOT NULL"},
		{Name: "key", Decl: "NOT NULL"}, // no type: "7" and 7 are two keys
		{Name: "window_start", Decl: "INTEGER NOT NULL"},
		{Name: "window_start_utc", Decl: "TEXT GENERATED ALWAYS AS (strftime('%Y-%m-%dT%H:%M:%fZ', window_start / 1000.0, 'unixepoch')) VIRTUAL"},
	}
	primaryKey = []string{"fanout_group", "window_start", "key"}
)

// total is the state of one window while a batch is added to it.
type total struct {
	start int64
	key   key
	cells []cell // one for each measure
	dirty bool   // something was added
}

// totals are the windows that a batch touches.
type totals struct {
	list  []*total
	index map[string]*total // by key.appendTo
	buf   []byte
}

// at returns the window of the observation, new and empty if it has none yet.
func (t *totals) at(o *observation, measures int) *total {
	t.buf = o.key.appendTo(t.buf[:0], o.start)
	if w, ok := t.index[string(t.buf)]; ok {
		return w
	}
	w := &total{start: o.start, key: o.key, cells: make([]cell, measures)}
	t.list = append(t.list, w)
	t.index[string(t.buf)] = w
	return w
}

// find returns a window that is there.
func (t *totals) find(k key, start int64) *total {
	t.buf = k.appendTo(t.buf[:0], start)
	return t.index[string(t.buf)]
}

// table reads and writes windows.
type table struct {
	sqlstore.Table
	group    any // a string; boxed once for all rows
	measures []measure
	load     *sqlstore.Rows
	save     *sqlstore.Rows
	width    int // variables of a saved window, without the group
}

// newTable describes the table. It is prepared when it exists.
func newTable(c *Config, group string, measures []measure) *table {
	t := &table{group: group, measures: measures}
	t.Table = sqlstore.Table{Name: c.Table, Own: ownColumns, Key: primaryKey, Create: c.Create, Suffix: "WITHOUT ROWID"}
	for _, m := range measures {
		t.Data = append(t.Data, m.f.columns(m.name)...)
	}
	return t
}

func (t *table) prepare(store *sqlstore.Store) (err error) {
	var updates string
	saved := []string{"fanout_group", "window_start", "key"}
	for i, col := range t.Data {
		if i > 0 {
			updates += ", "
		}
		updates += sqlstore.Quote(col.Name) + " = excluded." + sqlstore.Quote(col.Name)
		saved = append(saved, col.Name)
	}
	t.width = len(saved) - 1
	if t.load, err = store.Prepare(t.selectWindows(), 1, 2, ")"); err != nil {
		return fmt.Errorf("prepare reading table %s: %w", t.Name, err)
	}
	key := sqlstore.QuoteAll(primaryKey)
	t.save, err = store.PrepareInsert(t.Name, saved, 1, " ON CONFLICT ("+key+") DO UPDATE SET "+updates)
	if err != nil {
		t.load.Close()
		return fmt.Errorf("prepare writing table %s, which must be a table with a primary key or unique constraint on (%s): %w", t.Name, key, err)
	}
	return nil
}

// selectWindows is the statement that reads windows, up to their list.
func (t *table) selectWindows() string {
	columns := []string{"window_start", "key"}
	for _, m := range t.measures {
		columns = append(columns, m.stateColumns()...)
	}
	return "SELECT " + sqlstore.QuoteAll(columns) + " FROM " + sqlstore.Quote(t.Name) +
		" WHERE fanout_group = ? AND (window_start, key) IN (VALUES "
}

func (t *table) close() {
	t.load.Close()
	t.save.Close()
}

// stateColumns are the columns that a cell is made of again.
func (m measure) stateColumns() []string {
	var names []string
	for i, col := range m.f.columns(m.name) {
		if m.f == wavg && i == 0 {
			continue // follows from the others
		}
		names = append(names, col.Name)
	}
	return names
}

// read fills the windows with what the table has of them.
func (t *table) read(ctx context.Context, tx *sql.Tx, all *totals) error {
	args := make([]any, 1, 1+2*len(all.list))
	args[0] = t.group
	for _, w := range all.list {
		args = append(args, w.start, w.key.value())
	}
	for left := len(all.list); left > 0; {
		rows, n, err := t.load.Query(ctx, tx, args, left)
		if err != nil {
			return fmt.Errorf("read windows: %w", err)
		}
		err = t.scan(rows, all)
		if err := errors.Join(err, rows.Close(), rows.Err()); err != nil {
			return fmt.Errorf("read windows: %w", err)
		}
		args = t.load.Rest(args, n)
		left -= n
	}
	return nil
}

// stored is one cell as it is scanned.
type stored struct {
	n, m sql.NullInt64
	id   sql.NullString
}

func (t *table) scan(rows *sql.Rows, all *totals) error {
	var start int64
	var k any
	cells := make([]stored, len(t.measures))
	into := []any{&start, &k}
	for i, m := range t.measures {
		s := &cells[i]
		switch m.f {
		case first, last:
			into = append(into, &s.n, &s.m, &s.id)
		case wavg:
			into = append(into, &s.n, &s.m)
		default:
			into = append(into, &s.n)
		}
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return handler.Unavailable(fmt.Errorf("table %s holds what this handler does not write: %w", t.Name, err))
		}
		w := all.find(keyOf(k), start)
		if w == nil {
			return fmt.Errorf("window %d of key %v was not asked for", start, k)
		}
		for i, s := range cells {
			c, err := s.cell()
			if err != nil {
				return handler.Unavailable(fmt.Errorf("table %s, measure %s: %w", t.Name, t.measures[i].name, err))
			}
			w.cells[i] = c
		}
	}
	return nil
}

func keyOf(column any) key {
	if n, ok := column.(int64); ok {
		return key{n: n, integer: true}
	}
	text, _ := column.(string)
	return key{text: text}
}

func (s stored) cell() (cell, error) {
	c := cell{set: s.n.Valid, n: s.n.Int64, m: s.m.Int64}
	if !s.id.Valid {
		return c, nil
	}
	var err error
	c.id, err = stream.ParseID(s.id.String)
	return c, err
}

// write stores the windows that something was added to.
func (t *table) write(ctx context.Context, tx *sql.Tx, list []*total) error {
	args := make([]any, 1, 1+len(list)*t.width)
	args[0] = t.group
	left := 0
	for _, w := range list {
		if !w.dirty {
			continue
		}
		left++
		args = append(args, w.start, w.key.value())
		for i, m := range t.measures {
			args = m.appendTo(args, w.cells[i])
		}
	}
	for left > 0 {
		n, err := t.save.Exec(ctx, tx, args, left)
		if err != nil {
			return fmt.Errorf("write windows: %w", err)
		}
		args = t.save.Rest(args, n)
		left -= n
	}
	return nil
}
