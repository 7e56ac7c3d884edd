package sqlstore

import (
	"database/sql"
	"path/filepath"
	"strings"
	"testing"
)

// TestListOfVariables: what a list holds arrives as if each variable had been
// given alone, and nothing of it is left for the next statement.
func TestListOfVariables(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, filepath.Join(t.TempDir(), "a.db"))
	show, err := s.Prepare("WITH v(a, b, c, d) AS (VALUES ", 0, 4, ") SELECT quote(a) || ' ' || quote(b) || ' ' || quote(c) || ' ' || quote(d) FROM v")
	if err != nil {
		t.Fatal(err)
	}
	defer show.Close()
	type named string
	tests := []struct {
		args []any
		want string
	}{
		{[]any{int64(1), "it's", nil, 1.5}, "1 'it''s' NULL 1.5"},
		{[]any{[]byte{0, 255}, true, 7, named("y")}, "X'00FF' 1 7 'y'"},
		{[]any{nil, uint8(3), "", int64(-1)}, "NULL 3 '' -1"},
	}
	for _, tt := range tests {
		var got string
		err := s.Update(t.Context(), func(tx *sql.Tx) error {
			rows, _, err := show.Query(t.Context(), tx, tt.args, 1)
			if err != nil {
				return err
			}
			defer rows.Close()
			for rows.Next() {
				if err := rows.Scan(&got); err != nil {
					return err
				}
			}
			return rows.Err()
		})
		if err != nil || got != tt.want {
			t.Errorf("%v: got %s, %v; want %s", tt.args, got, err, tt.want)
		}
	}
	err = s.Update(t.Context(), func(tx *sql.Tx) error {
		_, err := show.Exec(t.Context(), tx, []any{1, struct{}{}, 3, 4}, 1)
		return err
	})
	if err == nil || !strings.Contains(err.Error(), "convert variable 2") {
		t.Errorf("a variable that SQL has no type for: %v", err)
	}
}

// TestPageSize: new files have larger pages, others keep theirs.
func TestPageSize(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, filepath.Join(t.TempDir(), "new.db"))
	if got := ask[int](t, s, "PRAGMA page_size"); got != 8192 {
		t.Errorf("a new file has pages of %d bytes, want 8192", got)
	}
	path := filepath.Join(t.TempDir(), "old.db")
	old, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := old.Exec("CREATE TABLE t (a); INSERT INTO t VALUES (7)"); err != nil {
		t.Fatal(err)
	}
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, path)
	mustRun(t, s, "INSERT INTO t VALUES (8)")
	size, sum, mode := ask[int](t, s, "PRAGMA page_size"), ask[int](t, s, "SELECT sum(a) FROM t"), ask[string](t, s, "PRAGMA journal_mode")
	if size != 4096 || sum != 15 || mode != "wal" {
		t.Errorf("an older file has pages of %d bytes, rows of %d, mode %s; want 4096, 15, wal", size, sum, mode)
	}
}
