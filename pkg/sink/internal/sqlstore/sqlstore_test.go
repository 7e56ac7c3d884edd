package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"example.com/fanout/pkg/handler"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func mustOpen(t *testing.T, path string) *Store {
	t.Helper()
	s, err := Open("sqlite:" + path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// run runs statements in one transaction.
func run(t *testing.T, s *Store, statements ...string) error {
	t.Helper()
	return s.Update(t.Context(), func(tx *sql.Tx) error {
		for _, q := range statements {
			if _, err := tx.ExecContext(t.Context(), q); err != nil {
				return err
			}
		}
		return nil
	})
}

func mustRun(t *testing.T, s *Store, statements ...string) {
	t.Helper()
	if err := run(t, s, statements...); err != nil {
		t.Fatal(err)
	}
}

func ask[T any](t *testing.T, s *Store, query string) (v T) {
	t.Helper()
	if err := s.file.db.QueryRowContext(t.Context(), query).Scan(&v); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return v
}

func wantUnavailable(t *testing.T, err error, text string) {
	t.Helper()
	if handler.MarkOf(err) != handler.MarkUnavailable || !strings.Contains(err.Error(), text) {
		t.Fatalf("error %v with mark %d, want unavailable with %q", err, handler.MarkOf(err), text)
	}
}

func TestOpenCreatesAndKeeps(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a", "b#%41 ?x=1", "events é.db")
	path = strings.ReplaceAll(path, "?", "")
	s := mustOpen(t, path)
	mustRun(t, s, "CREATE TABLE t (a)", "INSERT INTO t VALUES (7)")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatal(err)
	}
	if got := ask[int](t, mustOpen(t, path), "SELECT a FROM t"); got != 7 {
		t.Errorf("got %d, want 7", got)
	}
}

func TestCommitsAreDurable(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, filepath.Join(t.TempDir(), "a.db"))
	if got := ask[int](t, s, "PRAGMA synchronous"); got != 2 {
		t.Errorf("synchronous is %d, want 2 (FULL)", got)
	}
	if got := ask[string](t, s, "PRAGMA journal_mode"); got != "wal" {
		t.Errorf("journal_mode is %s, want wal", got)
	}
}

func TestOneConnectionForAFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "real", "a.db")
	first := mustOpen(t, path)
	if err := os.Symlink(filepath.Join(dir, "real"), filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(path, filepath.Join(dir, "file-link.db")); err != nil {
		t.Fatal(err)
	}
	for _, other := range []string{path, filepath.Join(dir, "link", "a.db"), filepath.Join(dir, "file-link.db"), filepath.Join(dir, "real", "..", "real", "a.db")} {
		if s := mustOpen(t, other); s.file != first.file {
			t.Errorf("%s is opened a second time", other)
		}
	}
	second := mustOpen(t, path)
	for range 3 { // one Close counts, however often it is called
		if err := first.Close(); err != nil {
			t.Fatal(err)
		}
	}
	mustRun(t, second, "CREATE TABLE t (a)")
}

func TestOpenRefusesWhatIsNoDatabase(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text := filepath.Join(dir, "text.db")
	if err := os.WriteFile(text, []byte(strings.Repeat("not a database\n", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string]string{
		text:                       "file is not a SQLite database; name another",
		dir:                        "open " + dir,
		filepath.Join(text, "sub"): "create folder of",
	}
	for path, want := range tests {
		if _, err := Open("sqlite:" + path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Open(%s) = %v, want %q in it", path, err, want)
		}
	}
}

func TestUpdateLeavesNothingAfterAnError(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, filepath.Join(t.TempDir(), "a.db"))
	mustRun(t, s, "CREATE TABLE t (a)")
	boom := errors.New("boom")
	err := s.Update(t.Context(), func(tx *sql.Tx) error {
		if _, err := tx.Exec("INSERT INTO t VALUES (1)"); err != nil {
			return err
		}
		return boom
	})
	if !errors.Is(err, boom) || handler.MarkOf(err) != handler.Unmarked {
		t.Errorf("error %v, want boom without a mark", err)
	}
	func() {
		defer func() { _ = recover() }()
		_ = s.Update(t.Context(), func(tx *sql.Tx) error {
			if _, err := tx.Exec("INSERT INTO t VALUES (2)"); err != nil {
				return err
			}
			panic("in the middle")
		})
	}()
	mustRun(t, s, "INSERT INTO t VALUES (3)")
	if got := ask[string](t, s, "SELECT group_concat(a) FROM t"); got != "3" {
		t.Errorf("table holds %s, want 3 alone", got)
	}
}

func TestUpdateEndsWithItsContext(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, filepath.Join(t.TempDir(), "a.db"))
	mustRun(t, s, "CREATE TABLE t (a)")
	hold := func(t *testing.T, begin func(locked func())) {
		t.Helper()
		begin(func() {
			ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, handler.ErrTimeout)
			defer cancel()
			began := time.Now()
			err := s.Update(ctx, func(tx *sql.Tx) error { _, err := tx.Exec("INSERT INTO t VALUES (1)"); return err })
			if !errors.Is(err, handler.ErrTimeout) || handler.MarkOf(err) != handler.MarkUnavailable {
				t.Errorf("error %v, want the timeout marked as unavailable", err)
			}
			if took := time.Since(began); took > 4*time.Second {
				t.Errorf("returned after %v", took)
			}
		})
	}
	hold(t, func(locked func()) { // another group of this process
		if err := s.Update(t.Context(), func(*sql.Tx) error { locked(); return nil }); err != nil {
			t.Error(err)
		}
	})
	hold(t, func(locked func()) { // another process
		other := stranger(t, s)
		if _, err := other.Exec("BEGIN IMMEDIATE"); err != nil {
			t.Fatal(err)
		}
		locked()
		if _, err := other.Exec("ROLLBACK"); err != nil {
			t.Error(err)
		}
	})
	hold(t, func(locked func()) { // a statement of its own
		ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, handler.ErrTimeout)
		defer cancel()
		err := s.Update(ctx, func(tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) INSERT INTO t SELECT max(i) FROM n")
			return err
		})
		if !errors.Is(err, handler.ErrTimeout) || handler.MarkOf(err) != handler.MarkUnavailable {
			t.Errorf("error %v, want the timeout marked as unavailable", err)
		}
	})
	mustRun(t, s, "INSERT INTO t VALUES (2)")
	if got := ask[string](t, s, "SELECT group_concat(a) FROM t"); got != "2" {
		t.Errorf("table holds %s, want 2 alone", got)
	}
}

// stranger is a connection to the same file as another process has it.
func stranger(t *testing.T, s *Store) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", s.file.path)
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { db.Close() })
	return db
}

func TestOutages(t *testing.T) {
	t.Parallel()
	const fill = "INSERT INTO t SELECT randomblob(100000)"
	tests := []struct {
		name  string
		want  string
		begin func(t *testing.T, s *Store) (end func() error)
	}{
		{"disk full", "full", func(t *testing.T, s *Store) func() error {
			mustRun(t, s, "PRAGMA max_page_count = 4")
			return func() error { return run(t, s, "PRAGMA max_page_count = 1000000") }
		}},
		{"read-only", "readonly", func(t *testing.T, s *Store) func() error {
			mustRun(t, s, "PRAGMA query_only = 1")
			return func() error { _, err := s.file.db.Exec("PRAGMA query_only = 0"); return err }
		}},
		{"busy", "locked", func(t *testing.T, s *Store) func() error {
			mustRun(t, s, "PRAGMA busy_timeout = 20")
			other := stranger(t, s)
			if _, err := other.Exec("BEGIN IMMEDIATE"); err != nil {
				t.Fatal(err)
			}
			return func() error { _, err := other.Exec("ROLLBACK"); return err }
		}},
		{"disk fails", "disk I/O error", func(t *testing.T, s *Store) func() error {
			// The newest page of t alone is in the log, another connection has put
			// it there, and it cannot be read.
			other := stranger(t, s)
			for _, q := range []string{"PRAGMA wal_checkpoint(TRUNCATE)", "INSERT INTO t VALUES (1)", "DELETE FROM t"} {
				if _, err := other.Exec(q); err != nil {
					t.Fatal(err)
				}
			}
			wal := s.file.path + "-wal"
			written, err := os.ReadFile(wal)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Truncate(wal, 0); err != nil {
				t.Fatal(err)
			}
			return func() error { return os.WriteFile(wal, written, 0o600) }
		}},
	}
	for _, tt := range tests {
		s := mustOpen(t, filepath.Join(t.TempDir(), "a.db"))
		mustRun(t, s, "CREATE TABLE t (a)")
		end := tt.begin(t, s)
		for range 3 { // it lasts
			wantUnavailable(t, run(t, s, fill), tt.want)
		}
		if err := end(); err != nil {
			t.Fatal(err)
		}
		if err := run(t, s, fill); err != nil {
			t.Errorf("%s: does not heal: %v", tt.name, err)
		}
		if got := ask[int](t, s, "SELECT count(*) FROM t"); got != 1 {
			t.Errorf("%s: table holds %d rows, want 1", tt.name, got)
		}
	}
}

func TestDamagedFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.db")
	s := mustOpen(t, path)
	mustRun(t, s, "CREATE TABLE t (a)", "INSERT INTO t SELECT randomblob(50000)")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte(strings.Repeat("damage", 2000)), 8192); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	wantUnavailable(t, run(t, mustOpen(t, path), "INSERT INTO t VALUES (1)"), "damaged; stop, move it away or restore a backup")
}

func TestRemovedAndReplacedFile(t *testing.T) {
	t.Parallel()
	for _, replaced := range []bool{false, true} {
		path := filepath.Join(t.TempDir(), "a.db")
		s := mustOpen(t, path)
		mustRun(t, s, "CREATE TABLE t (a)")
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if replaced {
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		wantUnavailable(t, run(t, s, "INSERT INTO t VALUES (1)"), "removed or replaced while in use; restart the group")
		fresh := mustOpen(t, path)
		mustRun(t, fresh, "CREATE TABLE t (a)", "INSERT INTO t VALUES (2)")
		wantUnavailable(t, run(t, s, "INSERT INTO t VALUES (1)"), "removed or replaced")
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if again := mustOpen(t, path); again.file != fresh.file {
			t.Error("the new file is opened a second time")
		}
		if got := ask[string](t, fresh, "SELECT group_concat(a) FROM t"); got != "2" {
			t.Errorf("the new file holds %s, want 2", got)
		}
		if got := ask[string](t, fresh, "PRAGMA integrity_check"); got != "ok" {
			t.Error(got)
		}
	}
}

func TestMark(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, filepath.Join(t.TempDir(), "a.db"))
	mustRun(t, s, "CREATE TABLE t (a PRIMARY KEY, b CHECK (b > 0)) WITHOUT ROWID", "CREATE TABLE strict (a INTEGER) STRICT", "INSERT INTO t VALUES (1, 1)")
	tests := map[string]struct{ rowFault bool }{
		"INSERT INTO t VALUES (1, 1)":                             {true},
		"INSERT INTO t VALUES (2, 0)":                             {true},
		"INSERT INTO t VALUES (NULL, 1)":                          {true},
		"INSERT INTO strict VALUES ('x')":                         {true},
		"INSERT INTO t VALUES (2, zeroblob(2e9))":                 {true},
		"INSERT INTO missing VALUES (1)":                          {false},
		`INSERT INTO t VALUES (3, "not a column")`:                {false},
		"INSERT INTO t VALUES (4, abs(-9223372036854775807 - 1))": {false},
	}
	for query, want := range tests {
		err := run(t, s, query)
		if err == nil || handler.MarkOf(err) != handler.Unmarked || IsRowFault(err) != want.rowFault {
			t.Errorf("%s: %v with mark %d, row fault %v; want no mark, row fault %v", query, err, handler.MarkOf(err), IsRowFault(err), want.rowFault)
		}
	}
	marked := handler.Permanent(errors.New("mine"))
	if got := Mark(t.Context(), marked); got != marked {
		t.Errorf("Mark changed %v to %v", marked, got)
	}
	if got := Mark(t.Context(), sql.ErrConnDone); handler.MarkOf(got) != handler.MarkUnavailable {
		t.Errorf("a lost connection is marked %d", handler.MarkOf(got))
	}
	if Mark(t.Context(), nil) != nil {
		t.Error("Mark(nil) is not nil")
	}
}
