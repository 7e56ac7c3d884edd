package sqldb_test

import (
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/handler/handlertest"
	"example.com/fanout/pkg/sink/internal/sqlstore"
	"example.com/fanout/pkg/sink/sqldb"
	"example.com/fanout/pkg/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// tradesConfig is the group "persistence" of the shipped groups.yaml, with its
// store in dir.
func tradesConfig(dir string) *sqldb.Config {
	return &sqldb.Config{
		DSN:   telemetry.Secret("sqlite:" + filepath.Join(dir, "trades.db")),
		Table: "trades",
		Columns: sqldb.Columns{
			{Name: "trade_id", Path: "trade_id"},
			{Name: "market_id", Path: "market_id"},
			{Name: "odds_ticks", Path: "odds.ticks"},
			{Name: "stake", Path: "stake.value"},
			{Name: "traded_at", Path: "timestamp"},
		},
		Required: []string{"trade_id", "market_id"},
		Create:   true,
	}
}

func mustNew(t *testing.T, c *sqldb.Config, group string) handler.Handler {
	t.Helper()
	if faults := c.Check(); len(faults) > 0 {
		t.Fatalf("check: %v", faults)
	}
	h, err := c.New(handlertest.Env(t, group))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}

func mustHandle(t *testing.T, h handler.Handler, b *handler.Batch) {
	t.Helper()
	if err := h.Handle(t.Context(), b); err != nil {
		t.Fatal(err)
	}
}

// rows are the rows of a query in the form 1|'text'|NULL.
func rows(t *testing.T, dsn telemetry.Secret, query string) []string {
	t.Helper()
	path, ok := sqlstore.Path(dsn.Reveal())
	if !ok {
		t.Fatal("not a path")
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	list, err := db.Query(query)
	if err != nil {
		t.Fatal(err)
	}
	defer list.Close()
	names, err := list.Columns()
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for list.Next() {
		values, into := make([]any, len(names)), make([]any, len(names))
		for i := range values {
			into[i] = &values[i]
		}
		if err := list.Scan(into...); err != nil {
			t.Fatal(err)
		}
		texts := make([]string, len(values))
		for i, v := range values {
			switch v := v.(type) {
			case nil:
				texts[i] = "NULL"
			case string:
				texts[i] = "'" + v + "'"
			default:
				texts[i] = fmt.Sprint(v)
			}
		}
		all = append(all, strings.Join(texts, "|"))
	}
	if err := list.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

func wantRows(t *testing.T, dsn telemetry.Secret, query string, want ...string) {
	t.Helper()
	got := rows(t, dsn, query)
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%s\ngot  %s\nwant %s", query, strings.Join(got, "\n     "), strings.Join(want, "\n     "))
	}
}

// update runs a statement through the connection that the handler uses.
func update(t *testing.T, dsn telemetry.Secret, statements ...string) {
	t.Helper()
	s, err := sqlstore.Open(dsn.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Update(t.Context(), func(tx *sql.Tx) error {
		for _, q := range statements {
			if _, err := tx.Exec(q); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// failures are the errors of a BatchError by index.
func failures(t *testing.T, err error) map[int]error {
	t.Helper()
	var b *handler.BatchError
	if !errors.As(err, &b) {
		t.Fatalf("error %v, want a batch error", err)
	}
	return b.Failed
}

func wantPermanent(t *testing.T, err error, text string) {
	t.Helper()
	if handler.MarkOf(err) != handler.MarkPermanent || !strings.Contains(err.Error(), text) {
		t.Errorf("error %v with mark %d, want permanent with %q", err, handler.MarkOf(err), text)
	}
}
