package sqlstore

import (
	"database/sql"
	"path/filepath"
	"testing"
)

func TestRows(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, filepath.Join(t.TempDir(), "a.db"))
	mustRun(t, s, "CREATE TABLE t (n INTEGER PRIMARY KEY, m)")
	insert, err := s.Prepare("INSERT INTO t (n, m) VALUES ", 0, 2, " ON CONFLICT DO NOTHING")
	if err != nil {
		t.Fatal(err)
	}
	defer insert.Close()
	find, err := s.Prepare("SELECT n FROM t WHERE m = ? AND n IN (VALUES ", 1, 1, ")")
	if err != nil {
		t.Fatal(err)
	}
	defer find.Close()

	next := 0
	for _, n := range []int{1, 2, 3, 4, 5, 15, 16, 17, 63, 64, 65, 255, 256, 257, 1000} {
		args := []any{}
		for range n {
			args = append(args, next, next%2)
			next++
		}
		err := s.Update(t.Context(), func(tx *sql.Tx) error {
			for left := n; left > 0; {
				done, err := insert.Exec(t.Context(), tx, args, left)
				if err != nil {
					return err
				}
				left -= done
				args = args[2*done:]
			}
			if len(args) != 0 {
				t.Errorf("%d rows: %d variables are left", n, len(args))
			}
			return nil
		})
		if err != nil {
			t.Fatalf("%d rows: %v", n, err)
		}
		if got := ask[int](t, s, "SELECT count(*) FROM t"); got != next {
			t.Fatalf("after %d more rows the table holds %d, want %d", n, got, next)
		}
	}

	var found []int
	err = s.Update(t.Context(), func(tx *sql.Tx) error {
		rows, n, err := find.Query(t.Context(), tx, []any{1, 3, 4, 5, 999999}, 4)
		if err != nil {
			return err
		}
		defer rows.Close()
		if n != 4 {
			t.Errorf("took %d of 4", n)
		}
		for rows.Next() {
			var v int
			if err := rows.Scan(&v); err != nil {
				return err
			}
			found = append(found, v)
		}
		return rows.Err()
	})
	if err != nil || len(found) != 2 || found[0] != 3 || found[1] != 5 {
		t.Errorf("found %v, %v; want 3 and 5", found, err)
	}
}

// TestInsertOfSharedColumns: what the rows share is given once and stands in each
// of them, whatever number of statements they take.
func TestInsertOfSharedColumns(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, filepath.Join(t.TempDir(), "a.db"))
	mustRun(t, s, `CREATE TABLE "a ""t" (g, e, n INTEGER PRIMARY KEY, m)`)
	insert, err := s.PrepareInsert(`a "t`, []string{"g", "e", "n", "m"}, 2, " ON CONFLICT DO NOTHING")
	if err != nil {
		t.Fatal(err)
	}
	defer insert.Close()
	next := 0
	for _, rows := range []int{1, 2, 3, 5, 256, 999, 1000, 1001, 2303} {
		args := []any{"group", "epoch"}
		for range rows {
			args = append(args, next, -next)
			next++
		}
		if err := s.Update(t.Context(), func(tx *sql.Tx) error {
			for left := rows; left > 0; {
				n, err := insert.Exec(t.Context(), tx, args, left)
				if err != nil {
					return err
				}
				args = insert.Rest(args, n)
				left -= n
			}
			if len(args) != 2 {
				t.Errorf("%d rows: %d variables are left, want the shared ones", rows, len(args))
			}
			return nil
		}); err != nil {
			t.Fatalf("%d rows: %v", rows, err)
		}
		good := ask[int](t, s, `SELECT count(*) FROM "a ""t" WHERE g = 'group' AND e = 'epoch' AND m = -n`)
		if all := ask[int](t, s, `SELECT count(*) FROM "a ""t"`); good != next || all != next {
			t.Fatalf("after %d more rows %d of %d are as they were given, want %d", rows, good, all, next)
		}
	}
}

func TestRowsOfAnyWidth(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, filepath.Join(t.TempDir(), "a.db"))
	table := Table{Name: "wide", Own: []Column{{Name: "c0"}}, Key: []string{"c0"}, Create: true}
	for i := range 1000 {
		table.Data = append(table.Data, Column{Name: "d" + string(rune('a'+i%26)) + string(rune('a'+i/26%26)) + string(rune('a'+i/676))})
	}
	if err := s.Update(t.Context(), func(tx *sql.Tx) error { _, err := table.Ensure(t.Context(), tx); return err }); err != nil {
		t.Fatal(err)
	}
	insert, err := s.Prepare("INSERT INTO wide VALUES ", 0, 1001, "")
	if err != nil {
		t.Fatal(err)
	}
	defer insert.Close()
	if got := insert.stmts[0].rows; got != maxVariables/1001 {
		t.Errorf("a statement takes %d rows, want %d", got, maxVariables/1001)
	}
	if _, err := s.Prepare("INSERT INTO wide VALUES ", 0, maxVariables+1, ""); err == nil {
		t.Error("a row of too many variables is accepted")
	}
}
