package sqlstore

import (
	"database/sql"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"example.com/fanout/pkg/handler"
)

func TestCheckName(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"trades", "Ärger", "with space", `q"uote`, "select", "key", "fanout"} {
		if err := CheckTable(name); err != nil {
			t.Errorf("CheckTable(%q) = %v", name, err)
		}
	}
	for name, want := range map[string]string{
		"":                       "empty",
		"a\x00b":                 "control character",
		"a\nb":                   "control character",
		"\xff":                   "UTF-8",
		"fanout_seen":            "reserved",
		"FANOUT_x":               "reserved",
		"SQLite_master":          "reserves",
		"public.trades":          "dot",
		strings.Repeat("x", 129): "longer",
	} {
		if err := CheckTable(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("CheckTable(%q) = %v, want %q in it", name, err, want)
		}
	}
}

func TestQuotedNamesAreNamesOnly(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, filepath.Join(t.TempDir(), "a.db"))
	odd := `x"); DROP TABLE y; --`
	table := Table{Name: odd, Own: []Column{{Name: "select", Decl: "TEXT NOT NULL"}}, Data: []Column{{Name: odd}, {Name: "a b"}}, Key: []string{"select"}, Create: true}
	mustRun(t, s, "CREATE TABLE y (a)")
	if err := s.Update(t.Context(), func(tx *sql.Tx) error { _, err := table.Ensure(t.Context(), tx); return err }); err != nil {
		t.Fatal(err)
	}
	if got := ask[int](t, s, "SELECT count(*) FROM sqlite_schema WHERE type = 'table'"); got != 2 {
		t.Errorf("%d tables, want 2", got)
	}
}

func TestEnsure(t *testing.T) {
	t.Parallel()
	wanted := func(create bool) Table {
		return Table{
			Name: "t", Own: []Column{{Name: "id", Decl: "TEXT NOT NULL"}}, Key: []string{"id"}, Suffix: "WITHOUT ROWID",
			Data: []Column{{Name: "a", Decl: "INTEGER"}, {Name: "B"}}, Create: create,
		}
	}
	tests := []struct {
		name    string
		exists  string // how the table was made, "" for not
		create  bool
		created bool
		want    string // part of the error, "" for none
	}{
		{"new", "", true, true, ""},
		{"missing", "", false, false, "table t does not exist; create it or set create: true"},
		{"as it should be", "CREATE TABLE t (id TEXT PRIMARY KEY, a, b, more)", false, false, ""},
		{"in other letters", "CREATE TABLE T (ID TEXT PRIMARY KEY, A, B)", false, false, ""},
		{"lacks a column", "CREATE TABLE t (id TEXT PRIMARY KEY, a)", false, false, "table t lacks column B; add it or set create: true"},
		{"gets a column", "CREATE TABLE t (id TEXT PRIMARY KEY, a)", true, false, ""},
		{"made by others", "CREATE TABLE t (a, b)", true, false, "lacks column id: it was not made for this handler"},
		{"with a generated column", "CREATE TABLE t (id TEXT PRIMARY KEY, a, b AS (a + 1))", false, false, ""},
	}
	for _, tt := range tests {
		s := mustOpen(t, filepath.Join(t.TempDir(), "a.db"))
		if tt.exists != "" {
			mustRun(t, s, tt.exists)
		}
		var created bool
		err := s.Update(t.Context(), func(tx *sql.Tx) (err error) {
			created, err = wanted(tt.create).Ensure(t.Context(), tx)
			return err
		})
		switch {
		case tt.want != "":
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s: error %v, want %q in it", tt.name, err, tt.want)
			}
			continue
		case err != nil || created != tt.created:
			t.Errorf("%s: created %v, %v; want %v", tt.name, created, err, tt.created)
			continue
		}
		if got := ask[int](t, s, "SELECT count(*) FROM pragma_table_xinfo('t') WHERE lower(name) IN ('id', 'a', 'b')"); got != 3 {
			t.Errorf("%s: %d of the 3 columns are there", tt.name, got)
		}
	}
}

func TestExplain(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, filepath.Join(t.TempDir(), "a.db"))
	table := Table{Name: "t", Own: []Column{{Name: "id"}}, Data: []Column{{Name: "a"}}}
	insert := func(query string) error {
		return s.Update(t.Context(), func(tx *sql.Tx) error {
			_, err := tx.Exec(query)
			return table.Explain(t.Context(), tx, err)
		})
	}
	wantUnavailable(t, insert("INSERT INTO t VALUES (1, 2)"), "is gone; restart the group to make it anew")
	mustRun(t, s, "CREATE TABLE t (id)")
	wantUnavailable(t, insert("INSERT INTO t (id, a) VALUES (1, 2)"), "column a")
	mustRun(t, s, "ALTER TABLE t ADD COLUMN a CHECK (json_extract(a, '$.x') IS NOT NULL)")
	if err := insert("INSERT INTO t VALUES (1, 'no json')"); err == nil || handler.MarkOf(err) != handler.Unmarked {
		t.Errorf("error %v with mark %d, want one without a mark: the row may be to blame", err, handler.MarkOf(err))
	}
	if err := insert(`INSERT INTO t VALUES (1, '{"x": 1}')`); err != nil {
		t.Error(err)
	}
}

func TestRecordKeepsItsOrder(t *testing.T) {
	t.Parallel()
	got, err := json.Marshal(Record{{"z", int64(9007199254740993)}, {`a"`, nil}, {"m", "<x>"}})
	if want := `{"z":9007199254740993,"a\"":null,"m":"\u003cx\u003e"}`; err != nil || string(got) != want {
		t.Errorf("got %s, %v; want %s", got, err, want)
	}
	if got, err := json.Marshal(Record(nil)); err != nil || string(got) != "{}" {
		t.Errorf("got %s, %v; want {}", got, err)
	}
}
