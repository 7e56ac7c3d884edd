package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
)

const (
	maxRows      = 256    // of one statement; more gain nothing
	maxVariables = 32_000 // of one statement, SQLite's default is 32,766
)

// Rows is a statement over a list of rows, prepared for several lengths of
// the list: INSERT … VALUES (…), (…) or SELECT … WHERE (…) IN (VALUES (…), (…)).
// It is safe for concurrent use.
type Rows struct {
	lead  int // variables before the list
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
	most := min(maxRows, (maxVariables-lead)/width)
	if most < 1 {
		return nil, fmt.Errorf("prepare statement: %d variables are too many", width)
	}
	row := "(" + strings.Repeat("?,", width-1) + "?)"
	r := &Rows{lead: lead, width: width}
	for n := most; ; n /= 4 {
		stmt, err := s.prepare(head + strings.Repeat(row+",", n-1) + row + tail)
		if err != nil {
			r.Close()
			return nil, err
		}
		r.stmts = append(r.stmts, prepared{n, stmt})
		if n == 1 {
			return r, nil
		}
		if n < 4 {
			n = 4 // the last length is 1
		}
	}
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
	_, err = tx.StmtContext(ctx, p.stmt).ExecContext(ctx, args[:r.lead+p.rows*r.width]...)
	return p.rows, err
}

// Query is Exec for a statement that returns rows; the caller closes them.
func (r *Rows) Query(ctx context.Context, tx *sql.Tx, args []any, n int) (*sql.Rows, int, error) {
	p := r.fit(n)
	rows, err := tx.StmtContext(ctx, p.stmt).QueryContext(ctx, args[:r.lead+p.rows*r.width]...)
	return rows, p.rows, err
}
