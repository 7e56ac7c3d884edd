package window

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"example.com/fanout/pkg/event"
)

const definitionTable = `
CREATE TABLE IF NOT EXISTS fanout_windows (
	tbl        TEXT NOT NULL,
	grp        TEXT NOT NULL,
	definition TEXT NOT NULL,
	PRIMARY KEY (tbl, grp)
) WITHOUT ROWID`

// definition is what a group's windows in a table mean. Windows of another
// size or key, or a measure of something else under the same name, would make
// numbers that are true of nothing.
type definition struct {
	Size     string            `json:"size"`
	Key      string            `json:"key"`
	Time     string            `json:"time"`
	TimeUnit event.TimeUnit    `json:"time_unit"`
	Measures map[string]string `json:"measures"` // lower case name → expression; those of the past too
}

func (c *Config) definition(p *plan) definition {
	d := definition{
		Size:     c.Size.String(),
		Key:      c.Key,
		Time:     c.Time,
		TimeUnit: cmp.Or(c.TimeUnit, event.Auto),
		Measures: map[string]string{},
	}
	for _, m := range p.measures {
		d.Measures[strings.ToLower(m.name)] = m.expr(p.paths)
	}
	return d
}

// agree compares the definition with the one that the table was filled by, and
// keeps the measures that are new. A table that was just made has none: what
// is remembered of an older table of that name goes, its identities too.
func (d definition) agree(ctx context.Context, tx *sql.Tx, table, group string, created bool) error {
	tbl := strings.ToLower(table)
	if created {
		if err := begin(ctx, tx, tbl); err != nil {
			return err
		}
	}
	var text string
	err := tx.QueryRowContext(ctx, "SELECT definition FROM fanout_windows WHERE tbl = ? AND grp = ?", tbl, group).Scan(&text)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("read definition of the windows: %w", err)
	}
	if err == nil {
		var old definition
		if err := json.Unmarshal([]byte(text), &old); err != nil {
			return fmt.Errorf("read definition of the windows: %w", err)
		}
		if err := d.differs(old); err != nil {
			return fmt.Errorf("table %s: %w; name another table, or drop this one", table, err)
		}
		for name, expr := range old.Measures {
			d.Measures[name] = expr
		}
	}
	encoded, err := json.Marshal(d)
	if err != nil {
		return fmt.Errorf("encode definition of the windows: %w", err)
	}
	if _, err := tx.ExecContext(ctx,
		"INSERT INTO fanout_windows (tbl, grp, definition) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET definition = excluded.definition",
		tbl, group, string(encoded)); err != nil {
		return fmt.Errorf("write definition of the windows: %w", err)
	}
	return nil
}

func (d definition) differs(old definition) error {
	for _, x := range []struct{ what, was, is string }{
		{"size", old.Size, d.Size},
		{"key", old.Key, d.Key},
		{"time", old.Time, d.Time},
		{"time_unit", string(old.TimeUnit), string(d.TimeUnit)},
	} {
		if x.was != x.is {
			return fmt.Errorf("its windows were made with %s %q, not %q", x.what, x.was, x.is)
		}
	}
	for name, expr := range d.Measures {
		if was, ok := old.Measures[name]; ok && was != expr {
			return fmt.Errorf("its measure %s was made with %s, not %s", name, was, expr)
		}
	}
	return nil
}

// begin drops what is remembered of a table.
func begin(ctx context.Context, tx *sql.Tx, tbl string) error {
	for _, statement := range []string{
		"DELETE FROM fanout_seen WHERE source IN (SELECT id FROM fanout_sources WHERE tbl = ?)",
		"DELETE FROM fanout_sources WHERE tbl = ?",
		"DELETE FROM fanout_windows WHERE tbl = ?",
	} {
		if _, err := tx.ExecContext(ctx, statement, tbl); err != nil {
			return fmt.Errorf("forget an older table: %w", err)
		}
	}
	return nil
}
