package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"example.com/fanout/pkg/handler"
)

// Reserved begins the names of our own columns and tables.
const Reserved = "fanout_"

// CheckName reports why a table or column cannot have that name. Every other
// name works, also one that needs quotes.
func CheckName(name string) error {
	switch {
	case name == "":
		return errors.New("is empty")
	case len(name) > 128:
		return errors.New("is longer than 128 bytes")
	case strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\uFFFD' }):
		return errors.New("holds a control character or bytes that are not UTF-8")
	case hasPrefixFold(name, Reserved):
		return fmt.Errorf("begins with %q, which is reserved", Reserved)
	}
	return nil
}

// CheckTable is [CheckName] for a table.
func CheckTable(name string) error {
	switch {
	case hasPrefixFold(name, "sqlite_"):
		return errors.New(`begins with "sqlite_", which SQLite reserves`)
	case strings.Contains(name, "."):
		return errors.New("holds a dot; schemas are not supported")
	}
	return CheckName(name)
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// Quote makes an identifier of any name.
func Quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// QuoteAll is a list of identifiers.
func QuoteAll(names []string) string {
	var b strings.Builder
	for i, name := range names {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(Quote(name))
	}
	return b.String()
}

// Column is a column of a table that a handler needs.
type Column struct {
	Name string
	Decl string // what follows its name in CREATE TABLE
}

// Table is a table that a handler needs.
type Table struct {
	Name   string
	Own    []Column // the handler's; a table without them was made by others
	Data   []Column // the manifest's; they may be added later
	Suffix string   // what follows the columns in CREATE TABLE
	Key    []string // the columns that tell rows apart
	Create bool     // make what is missing; otherwise report it
}

// Ensure makes the table as it should be, or says what is missing. It reports
// whether the table is new.
func (t Table) Ensure(ctx context.Context, tx *sql.Tx) (created bool, err error) {
	have, err := columns(ctx, tx, t.Name)
	if err != nil {
		return false, err
	}
	if len(have) == 0 {
		if !t.Create {
			return false, fmt.Errorf("table %s does not exist; create it or set create: true", t.Name)
		}
		if _, err := tx.ExecContext(ctx, t.ddl()); err != nil {
			return false, fmt.Errorf("create table %s: %w", t.Name, err)
		}
		return true, nil
	}
	for _, c := range t.Own {
		if !have[fold(c.Name)] {
			return false, fmt.Errorf("table %s lacks column %s: it was not made for this handler; name another table", t.Name, c.Name)
		}
	}
	for _, c := range t.Data {
		if have[fold(c.Name)] {
			continue
		}
		if !t.Create {
			return false, fmt.Errorf("table %s lacks column %s; add it or set create: true", t.Name, c.Name)
		}
		if _, err := tx.ExecContext(ctx, "ALTER TABLE "+Quote(t.Name)+" ADD COLUMN "+c.ddl()); err != nil {
			return false, fmt.Errorf("add column %s to table %s: %w", c.Name, t.Name, err)
		}
	}
	return false, nil
}

// Explain looks into an error of a statement on the table: when the table, or
// a column of it, has gone meanwhile, no delivery is to blame.
func (t Table) Explain(ctx context.Context, tx *sql.Tx, err error) error {
	if !isRefused(err) {
		return err
	}
	have, lookErr := columns(ctx, tx, t.Name)
	if lookErr != nil {
		return err
	}
	for _, c := range slices.Concat(t.Own, t.Data) {
		if !have[fold(c.Name)] {
			return handler.Unavailable(fmt.Errorf("table %s, or its column %s, is gone; restart the group to make it anew: %w", t.Name, c.Name, err))
		}
	}
	return err
}

func (t Table) ddl() string {
	var b strings.Builder
	b.WriteString("CREATE TABLE " + Quote(t.Name) + " (")
	for _, c := range slices.Concat(t.Own, t.Data) {
		b.WriteString(c.ddl() + ", ")
	}
	b.WriteString("PRIMARY KEY (" + QuoteAll(t.Key) + ")) " + t.Suffix)
	return b.String()
}

func (c Column) ddl() string { return strings.TrimSpace(Quote(c.Name) + " " + c.Decl) }

// columns returns the names of a table's columns, folded; none when there is
// no such table.
func columns(ctx context.Context, tx *sql.Tx, table string) (map[string]bool, error) {
	rows, err := tx.QueryContext(ctx, "SELECT name FROM pragma_table_xinfo(?)", table)
	if err != nil {
		return nil, fmt.Errorf("read columns of table %s: %w", table, err)
	}
	defer rows.Close()
	names := map[string]bool{}
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, fmt.Errorf("read columns of table %s: %w", table, err)
		}
		names[fold(name)] = true
	}
	return names, rows.Err()
}

// fold makes names equal that SQLite takes for one.
func fold(name string) string { return strings.ToLower(name) }
