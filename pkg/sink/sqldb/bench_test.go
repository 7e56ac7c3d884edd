package sqldb_test

import (
	"database/sql"
	"path/filepath"
	"strings"
	"testing"

	_ "modernc.org/sqlite"

	"example.com/fanout/pkg/event"
	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/handler/handlertest"
)

const benchBatch = 256

func benchBatches(b *testing.B) []*handler.Batch {
	b.Helper()
	batches := make([]*handler.Batch, b.N)
	for i := range batches {
		batches[i] = handlertest.Trades(b, i*benchBatch, benchBatch)
	}
	return batches
}

func reportRows(b *testing.B) {
	b.Helper()
	b.ReportMetric(float64(b.N*benchBatch)/b.Elapsed().Seconds(), "rows/s")
}

func BenchmarkHandle(b *testing.B) {
	h, err := tradesConfig(b.TempDir()).New(handlertest.Env(b, "persistence"))
	if err != nil {
		b.Fatal(err)
	}
	defer h.Close()
	batches := benchBatches(b)
	b.ReportAllocs()
	b.ResetTimer()
	for _, batch := range batches {
		if err := h.Handle(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
	}
	reportRows(b)
}

// BenchmarkBareLoop is what the driver alone takes for the same rows, with the
// values made before: the measure for BenchmarkHandle.
func BenchmarkBareLoop(b *testing.B) {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(b.TempDir(), "bare.db")+
		"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_txlock=immediate")
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	if _, err := db.Exec(`CREATE TABLE trades (fanout_group TEXT NOT NULL, fanout_epoch TEXT NOT NULL, fanout_id TEXT NOT NULL,
		trade_id, market_id, odds_ticks, stake, traded_at, PRIMARY KEY (fanout_group, fanout_epoch, fanout_id)) WITHOUT ROWID`); err != nil {
		b.Fatal(err)
	}
	stmt, err := db.Prepare("INSERT INTO trades VALUES (?,?,?,?,?,?,?,?)" + strings.Repeat(",(?,?,?,?,?,?,?,?)", benchBatch-1) + " ON CONFLICT DO NOTHING")
	if err != nil {
		b.Fatal(err)
	}
	defer stmt.Close()
	args := make([][]any, b.N)
	for i, batch := range benchBatches(b) {
		for j := range batch.Deliveries {
			args[i] = append(args[i], bareRow(b, &batch.Deliveries[j])...)
		}
	}
	b.ReportAllocs()
	b.ResetTimer()
	for _, values := range args {
		tx, err := db.BeginTx(b.Context(), nil)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := tx.StmtContext(b.Context(), stmt).ExecContext(b.Context(), values...); err != nil {
			b.Fatal(err)
		}
		if err := tx.Commit(); err != nil {
			b.Fatal(err)
		}
	}
	reportRows(b)
}

func bareRow(tb testing.TB, d *handler.Delivery) []any {
	tb.Helper()
	row := []any{"persistence", d.Epoch, d.ID.String()}
	for _, text := range []string{"trade_id", "market_id", "odds.ticks", "stake.value", "timestamp"} {
		path, err := event.ParsePath(text)
		if err != nil {
			tb.Fatal(err)
		}
		v, _ := d.Event.Lookup(path)
		if n, err := v.Int64(); err == nil {
			row = append(row, n)
		} else {
			row = append(row, v.Text())
		}
	}
	return row
}
