package integration

import (
	"database/sql"
	"fmt"
	"testing"

	_ "modernc.org/sqlite"
)

// row is one row of a table by its columns.
type row map[string]any

// query reads all rows of a query from a SQLite file of the site.
func (s *site) query(file, query string) []row {
	s.t.Helper()
	db, err := sql.Open("sqlite", "file:"+s.path(file)+"?mode=ro&_pragma=busy_timeout(5000)")
	if err != nil {
		s.t.Fatal(err)
	}
	defer db.Close()
	found, err := db.Query(query)
	if err != nil {
		s.t.Fatalf("%s: %v", query, err)
	}
	defer found.Close()
	columns, err := found.Columns()
	if err != nil {
		s.t.Fatal(err)
	}
	var rows []row
	for found.Next() {
		values, targets := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			targets[i] = &values[i]
		}
		if err := found.Scan(targets...); err != nil {
			s.t.Fatalf("%s: %v", query, err)
		}
		r := row{}
		for i, column := range columns {
			r[column] = values[i]
		}
		rows = append(rows, r)
	}
	if err := found.Err(); err != nil {
		s.t.Fatalf("%s: %v", query, err)
	}
	return rows
}

// change runs a statement on a SQLite file of the site.
func (s *site) change(file, statement string) {
	s.t.Helper()
	db, err := sql.Open("sqlite", "file:"+s.path(file)+"?_pragma=busy_timeout(5000)")
	if err != nil {
		s.t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(statement); err != nil {
		s.t.Fatalf("%s: %v", statement, err)
	}
}

// rows wants a table to have so many rows.
func (s *site) rows(file, table string, want int) {
	s.t.Helper()
	got := s.query(file, fmt.Sprintf("SELECT count(*) AS n FROM %q", table))[0]["n"]
	if got != int64(want) {
		s.t.Errorf("%s has %v rows, want %d", table, got, want)
	}
}

// sameRows compares what a table holds with what it should, by a key.
func sameRows(t *testing.T, table string, got []row, want map[string]row, key func(row) string) {
	t.Helper()
	faults := 0
	fault := func(format string, args ...any) {
		if faults++; faults <= 10 {
			t.Errorf(format, args...)
		}
	}
	seen := map[string]bool{}
	for _, g := range got {
		k := key(g)
		w, ok := want[k]
		switch {
		case !ok:
			fault("%s has a row %s that should not be there: %v", table, k, g)
		case seen[k]:
			fault("%s has the row %s twice", table, k)
		}
		seen[k] = true
		for column, value := range w {
			if g[column] != value {
				fault("%s, row %s: %s is %v (%T), want %v (%T)", table, k, column, g[column], g[column], value, value)
			}
		}
	}
	for k := range want {
		if !seen[k] {
			fault("%s lacks the row %s", table, k)
		}
	}
	if faults > 10 {
		t.Errorf("%s has %d faults in all", table, faults)
	}
}
