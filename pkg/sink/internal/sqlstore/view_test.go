package sqlstore_test

import (
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"example.com/fanout/pkg/sink/internal/sqlstore"
)

// A view sees the store as it was at one moment, changes nothing, and keeps no
// writer waiting.
func TestView(t *testing.T) {
	t.Parallel()
	dsn := "sqlite:" + filepath.Join(t.TempDir(), "a b?.db")
	if sqlstore.CheckDSN(dsn) == nil {
		t.Fatal("an option is taken for a part of the path")
	}
	dsn = "sqlite:" + filepath.Join(t.TempDir(), "a b#%20.db")
	store, err := sqlstore.Open(dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	write := func(query string) {
		t.Helper()
		if err := store.Update(t.Context(), func(tx *sql.Tx) error { _, err := tx.Exec(query); return err }); err != nil {
			t.Fatal(err)
		}
	}
	write("CREATE TABLE t (n INTEGER)")
	write("INSERT INTO t VALUES (1)")
	count := func(tx *sql.Tx) (n int) {
		t.Helper()
		if err := tx.QueryRow("SELECT count(*) FROM t").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if err := sqlstore.View(t.Context(), dsn, func(tx *sql.Tx) error {
		before := count(tx)
		write("INSERT INTO t VALUES (2)") // does not wait
		if after := count(tx); before != 1 || after != 1 {
			t.Errorf("a view sees %d rows, then %d", before, after)
		}
		has, err := sqlstore.HasTable(t.Context(), tx, "T")
		hasNot, err2 := sqlstore.HasTable(t.Context(), tx, "u")
		if !has || hasNot {
			t.Errorf("has t: %v, has u: %v", has, hasNot)
		}
		return errors.Join(err, err2)
	}); err != nil {
		t.Fatal(err)
	}
	if err := sqlstore.View(t.Context(), dsn, func(tx *sql.Tx) error {
		if n := count(tx); n != 2 {
			t.Errorf("%d rows", n)
		}
		if _, err := tx.Exec("INSERT INTO t VALUES (3)"); err == nil {
			t.Error("a view writes")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	boom := errors.New("boom")
	if err := sqlstore.View(t.Context(), dsn, func(*sql.Tx) error { return boom }); !errors.Is(err, boom) {
		t.Errorf("the error of what reads comes as %v", err)
	}
}

func TestViewOfNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	never := func(*sql.Tx) error { t.Error("it is read"); return nil }
	if err := sqlstore.View(t.Context(), "sqlite:"+filepath.Join(dir, "no", "file.db"), never); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a file: %v", err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) > 0 {
		t.Errorf("it has made %v", entries)
	}
	if err := sqlstore.View(t.Context(), "mysql:x", never); err == nil {
		t.Error("a store of another kind is read")
	}
}
