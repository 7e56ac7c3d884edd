package main

import (
	"database/sql"
	"fmt"
	"strings"
)

// rowList is one statement over a list of rows, prepared for each length that
// comes up: a batch is one statement.
type rowList struct {
	db              *sql.DB
	head, row, tail string
	lead            []any // variables that all rows share
	width           int   // variables of a row besides
	stmts           map[int]*sql.Stmt
	args            []any
}

// newInserter inserts rows into a table. The first columns have the shared values
// in each of them.
func newInserter(db *sql.DB, table string, columns []string, shared []any, tail string) *rowList {
	row := "("
	for i := range shared {
		row += fmt.Sprintf("?%d, ", i+1)
	}
	width := len(columns) - len(shared)
	return &rowList{
		db: db, head: "INSERT INTO " + table + " (" + strings.Join(columns, ", ") + ") VALUES ",
		row: row + strings.Repeat("?, ", width-1) + "?)", tail: tail,
		lead: shared, width: width, stmts: map[int]*sql.Stmt{},
	}
}

// statement returns the statement for the rows in values, and its variables.
func (l *rowList) statement(tx *sql.Tx, values []any) (*sql.Stmt, []any, error) {
	n := len(values) / l.width
	if l.stmts[n] == nil {
		return nil, nil, fmt.Errorf("no statement for %d rows", n)
	}
	l.args = append(append(l.args[:0], l.lead...), values...)
	return tx.Stmt(l.stmts[n]), l.args, nil
}

// prepare makes the statement for the rows in values.
func (l *rowList) prepare(values []any) (err error) {
	n := len(values) / l.width
	if n > 0 && l.stmts[n] == nil {
		l.stmts[n], err = l.db.Prepare(l.head + strings.Repeat(l.row+", ", n-1) + l.row + l.tail)
	}
	if err != nil {
		return fmt.Errorf("prepare for %d rows: %w", n, err)
	}
	return nil
}

func (l *rowList) exec(tx *sql.Tx, values []any) error {
	stmt, args, err := l.statement(tx, values)
	if err == nil {
		_, err = stmt.Exec(args...)
	}
	return err
}

// read runs a query and takes all that it gives.
func (l *rowList) read(tx *sql.Tx, values []any) error {
	stmt, args, err := l.statement(tx, values)
	if err != nil {
		return err
	}
	rows, err := stmt.Query(args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	return scanAll(rows, func([]any) {})
}

// readRows returns the values of all rows one after the other.
func readRows(db *sql.DB, query string) (width int, values []any, err error) {
	rows, err := db.Query(query)
	if err != nil {
		return 0, nil, fmt.Errorf("read rows: %w", err)
	}
	defer rows.Close()
	err = scanAll(rows, func(row []any) {
		width = len(row)
		values = append(values, row...)
	})
	return width, values, err
}

// scanAll hands over each row; it is overwritten by the next one.
func scanAll(rows *sql.Rows, use func(row []any)) error {
	names, err := rows.Columns()
	if err != nil {
		return fmt.Errorf("read rows: %w", err)
	}
	row, into := make([]any, len(names)), make([]any, len(names))
	for i := range row {
		into[i] = &row[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return fmt.Errorf("read rows: %w", err)
		}
		use(row)
	}
	return rows.Err()
}

// plainColumns are the columns of a table that are not computed.
func plainColumns(db *sql.DB, table string) ([]string, error) {
	_, values, err := readRows(db, "SELECT name FROM pragma_table_xinfo('"+table+"') WHERE hidden = 0")
	if err != nil {
		return nil, err
	}
	var columns []string
	for _, v := range values {
		name, _ := v.(string)
		columns = append(columns, `"`+name+`"`)
	}
	return columns, nil
}
