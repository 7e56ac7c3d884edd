package main

import (
	"database/sql"
	"fmt"
	"strings"
)

// inserter is one INSERT, prepared for many rows and for one.
type inserter struct {
	width     int
	many, one *sql.Stmt
}

// rowsAtOnce are those of one statement.
const rowsAtOnce = 250

func newInserter(db *sql.DB, head string, width int, tail string) (*inserter, error) {
	row := "(" + strings.Repeat("?, ", width-1) + "?)"
	one, err := db.Prepare(head + row + tail)
	if err != nil {
		return nil, fmt.Errorf("prepare insert: %w", err)
	}
	many, err := db.Prepare(head + strings.Repeat(row+", ", rowsAtOnce-1) + row + tail)
	if err != nil {
		return nil, fmt.Errorf("prepare insert: %w", err)
	}
	return &inserter{width: width, many: many, one: one}, nil
}

func (in *inserter) insert(tx *sql.Tx, values []any) error {
	for len(values) > 0 {
		stmt, n := in.many, rowsAtOnce*in.width
		if len(values) < n {
			stmt, n = in.one, in.width
		}
		if _, err := tx.Stmt(stmt).Exec(values[:n]...); err != nil {
			return err
		}
		values = values[n:]
	}
	return nil
}

// readRows returns the values of all rows one after the other.
func readRows(db *sql.DB, query string) (width int, values []any, err error) {
	rows, err := db.Query(query)
	if err != nil {
		return 0, nil, fmt.Errorf("read rows: %w", err)
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		return 0, nil, err
	}
	width = len(names)
	row, into := make([]any, width), make([]any, width)
	for i := range row {
		into[i] = &row[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return 0, nil, fmt.Errorf("read rows: %w", err)
		}
		values = append(values, row...)
	}
	return width, values, rows.Err()
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
