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
