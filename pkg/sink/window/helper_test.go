package window_test

import (
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/handler/handlertest"
	"example.com/fanout/pkg/sink/internal/sqlstore"
	"example.com/fanout/pkg/sink/window"
	"example.com/fanout/pkg/stream"
	"example.com/fanout/pkg/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// minutesConfig is the group "analytics" of the shipped groups.yaml, with its
// store in dir.
func minutesConfig(dir string) *window.Config {
	return &window.Config{
		Key: "market_id", Time: "timestamp", TimeUnit: "auto", Size: time.Minute,
		Measures: window.Measures{
			{Name: "trades", Expr: "count()"},
			{Name: "volume", Expr: "sum(stake.value)"},
			{Name: "open", Expr: "first(odds.ticks)"},
			{Name: "high", Expr: "max(odds.ticks)"},
			{Name: "low", Expr: "min(odds.ticks)"},
			{Name: "close", Expr: "last(odds.ticks)"},
			{Name: "vwap", Expr: "wavg(odds.ticks, stake.value)"},
		},
		DSN:    telemetry.Secret("sqlite:" + filepath.Join(dir, "analytics.db")),
		Table:  "market_minutes",
		Create: true,
	}
}

func mustNew(t testing.TB, c *window.Config, group string) handler.Handler {
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

func mustHandle(t *testing.T, h handler.Handler, deliveries ...handler.Delivery) {
	t.Helper()
	if err := h.Handle(t.Context(), handlertest.Batch("g", deliveries...)); err != nil {
		t.Fatal(err)
	}
}

// rows are the rows of a query, their columns joined by bars.
func rows(t *testing.T, dsn telemetry.Secret, query string) []string {
	t.Helper()
	path, _ := sqlstore.Path(dsn.Reveal())
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
			texts[i] = fmt.Sprint(v)
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

// update runs statements through the connection that the handler uses.
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

func delivery(t *testing.T, ms uint64, payload string) handler.Delivery {
	t.Helper()
	return handlertest.Delivery(t, "s", "e", stream.ID{Ms: ms}, payload)
}
