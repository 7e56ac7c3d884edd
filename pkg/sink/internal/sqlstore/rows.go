package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
)

const (
	maxRows      = 1000   // of one statement: a batch, for each statement costs a goroutine that watches its context
	maxVariables = 32_000 // of one statement, SQLite's default is 32,766
)

// Rows is a statement over a list of rows, prepared for several lengths of
// the list: INSERT … VALUES (…), (…) or SELECT … WHERE (…) IN (VALUES (…), (…)).
// It is safe for concurrent use.
type Rows struct {
	lead  int // variables before the rows
	width int // variables of a row
	stmts []prepared
}

type prepared struct {
	rows int
	stmt *sql.Stmt
}

// Prepare prepares head + a list of rows + tail. head has lead variables, a
// row has width of them, tail has none.
func (s *Store) Prepare(head string, lead, width int, tail string) (*Rows, error) {
	return s.prepareRows(head, "("+variables(width)+")", tail, lead, width)
}

// PrepareInsert prepares INSERT INTO table (columns) VALUES + a list of rows +
// tail. The first shared of the columns have one value for all rows: it is given,
// and bound, once.
func (s *Store) PrepareInsert(table string, columns []string, shared int, tail string) (*Rows, error) {
	var row strings.Builder
	row.WriteByte('(')
	for i := range shared {
		fmt.Fprintf(&row, "?%d,", i+1)
	}
	width := len(columns) - shared
	row.WriteString(variables(width) + ")")
	return s.prepareRows("INSERT INTO "+Quote(table)+" ("+QuoteAll(columns)+") VALUES ", row.String(), tail, shared, width)
}

func variables(n int) string { return strings.Repeat("?,", n-1) + "?" }

func (s *Store) prepareRows(head, row, tail string, lead, width int) (*Rows, error) {
	most := min(maxRows, (maxVariables-lead)/width)
	if most < 1 {
		return nil, fmt.Errorf("prepare statement: %d variables are too many", width)
	}
	r := &Rows{lead: lead, width: width}
	for n := most; ; n = shorter(n) {
		stmt, err := s.PrepareOne(head + strings.Repeat(row+",", n-1) + row + tail)
		if err != nil {
			r.Close()
			return nil, err
		}
		r.stmts = append(r.stmts, prepared{n, stmt})
		if n == 1 {
			return r, nil
		}
	}
}

// shorter is the next shorter length of a list: the power of four below n.
func shorter(n int) int {
	less := 1
	for 4*less < n {
		less *= 4
	}
	return less
}

// Close frees the statements.
func (r *Rows) Close() {
	for _, p := range r.stmts {
		p.stmt.Close() // has nothing to report: it only frees
	}
}

// fit returns the statement for as many of n rows as one statement can take.
func (r *Rows) fit(n int) prepared {
	for _, p := range r.stmts {
		if p.rows <= n {
			return p
		}
	}
	panic("sqlstore: no rows") // the shortest statement takes one
}

// Exec runs the statement for the first of n rows, as many as one statement
// can take, and returns how many those were. args holds the lead variables,
// then the rows.
func (r *Rows) Exec(ctx context.Context, tx *sql.Tx, args []any, n int) (rows int, err error) {
	p := r.fit(n)
	all := list(args[:r.lead+p.rows*r.width])
	_, err = tx.StmtContext(ctx, p.stmt).ExecContext(ctx, &all)
	return p.rows, err
}

// Rest is args without the first n rows, which a statement has taken. Its lead
// variables take the place of the last of those: args is not to be used again but
// for what is left.
func (r *Rows) Rest(args []any, n int) []any {
	rest := args[n*r.width:]
	copy(rest[:r.lead], args[:r.lead])
	return rest
}

// Query is Exec for a statement that returns rows; the caller closes them.
func (r *Rows) Query(ctx context.Context, tx *sql.Tx, args []any, n int) (*sql.Rows, int, error) {
	p := r.fit(n)
	all := list(args[:r.lead+p.rows*r.width])
	rows, err := tx.StmtContext(ctx, p.stmt).QueryContext(ctx, &all)
	return rows, p.rows, err
}
