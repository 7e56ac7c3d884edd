package main

import (
	"database/sql"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"modernc.org/sqlite" // the driver that fanout uses

	"example.com/fanout/pkg/exchange"
)

// storeBatch is how many entries sql and window ask for.
const storeBatch = 2000

// runBare writes what a group of fanout has written, with the same driver, the
// same tables, the same pragmas, batches of the same size and the same kind of
// statements: one over all rows of a batch, which binds once what they share, and
// one transaction a batch. For windows it also reads those of a batch before it
// writes them, as whoever counts must. All rows are in memory before it begins. It
// prints what it took.
func runBare(args []string) error {
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	from := flags.String("from", "", "database that fanout has written")
	into := flags.String("into", "", "database to write")
	table := flags.String("table", "", "table that fanout has written")
	skip := flags.Int("skip", 0, "trades before the first one")
	entries := flags.Int("entries", 0, "trades")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	source, err := sql.Open("sqlite", "file:"+*from)
	if err != nil {
		return err
	}
	defer source.Close()
	var batches []func(*sql.Tx) error
	target, err := openBare(*into)
	if err != nil {
		return err
	}
	defer target.Close()
	if err := copySchema(source, target); err != nil {
		return err
	}
	if *table == "market_minutes" {
		batches, err = windowBatches(source, target, *skip, *entries)
	} else {
		batches, err = rowBatches(source, target, *table, *entries)
	}
	if err != nil {
		return err
	}
	result, err := timed(target, batches, *entries)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(result)
}

func openBare(name string) (*sql.DB, error) {
	_, _ = sqlite.Fdatasync(true) // as fanout does
	db, err := sql.Open("sqlite", "file:"+name+"?_pragma=page_size(8192)&_journal_mode=WAL&_pragma=synchronous(FULL)&_pragma=temp_store(MEMORY)&_txlock=immediate")
	if err == nil {
		db.SetMaxOpenConns(1)
	}
	return db, err
}

func copySchema(source, target *sql.DB) error {
	rows, err := source.Query("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'")
	if err != nil {
		return fmt.Errorf("read the schema: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var ddl string
		if err := rows.Scan(&ddl); err != nil {
			return err
		}
		if _, err := target.Exec(ddl); err != nil {
			return fmt.Errorf("make the tables: %w", err)
		}
	}
	return rows.Err()
}

// timed runs each batch in a transaction.
func timed(db *sql.DB, batches []func(*sql.Tx) error, entries int) (stored, error) {
	usedBefore, err := ownCPU()
	if err != nil {
		return stored{}, err
	}
	start := time.Now()
	for _, batch := range batches {
		tx, err := db.Begin()
		if err != nil {
			return stored{}, err
		}
		if err := errors.Join(batch(tx), tx.Commit()); err != nil {
			return stored{}, fmt.Errorf("write a batch: %w", err)
		}
	}
	seconds := time.Since(start).Seconds()
	used, err := ownCPU()
	if err != nil {
		return stored{}, err
	}
	return stored{
		Rate: float64(entries) / seconds,
		CPU:  (used - usedBefore).Seconds() / float64(entries) * 1e6,
	}, nil
}

func ownCPU() (time.Duration, error) {
	text, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return 0, err
	}
	return parseCPU(string(text))
}

// rowBatches are the rows of a table in batches, in the order of their
// entries.
func rowBatches(source, target *sql.DB, table string, entries int) ([]func(*sql.Tx) error, error) {
	columns, err := plainColumns(source, table)
	if err != nil {
		return nil, err
	}
	const shared = 2 // group and epoch
	_, identity, err := readRows(source, "SELECT DISTINCT fanout_group, fanout_epoch FROM "+table)
	if err != nil {
		return nil, err
	}
	if len(identity) != shared {
		return nil, fmt.Errorf("table %s has rows of %d groups or epochs, want 1", table, len(identity)/shared)
	}
	width, rows, err := readRows(source, "SELECT "+strings.Join(columns[shared:], ", ")+" FROM "+table+" ORDER BY trade_id")
	if err != nil {
		return nil, err
	}
	if len(rows) != entries*width {
		return nil, fmt.Errorf("table %s has %d rows, want %d", table, len(rows)/width, entries)
	}
	in := newInserter(target, table, columns, identity, " ON CONFLICT DO NOTHING")
	var batches []func(*sql.Tx) error
	for len(rows) > 0 {
		part := rows[:min(storeBatch*width, len(rows))]
		rows = rows[len(part):]
		if err := in.prepare(part); err != nil {
			return nil, err
		}
		batches = append(batches, func(tx *sql.Tx) error { return in.exec(tx, part) })
	}
	return batches, nil
}

// windowBatches are the identities of the entries in batches, each with the
// windows that its entries are in, which are read and written. The totals are
// those of the end: what they are makes no difference to the driver.
func windowBatches(source, target *sql.DB, skip, entries int) ([]func(*sql.Tx) error, error) {
	columns, err := plainColumns(source, "market_minutes") // fanout_group, key, window_start and the measures
	if err != nil {
		return nil, err
	}
	list := strings.Join(columns[1:], ", ")
	width, totals, err := readRows(source, "SELECT "+list+" FROM market_minutes")
	if err != nil {
		return nil, err
	}
	windows := map[string][]any{}
	for at := 0; at < len(totals); at += width {
		windows[fmt.Sprint(totals[at], totals[at+1])] = totals[at : at+width]
	}
	_, seen, err := readRows(source, "SELECT ms, seq FROM fanout_seen ORDER BY ms, seq")
	if err != nil {
		return nil, err
	}
	if len(seen) != 2*entries {
		return nil, fmt.Errorf("%d entries are counted, want %d", len(seen)/2, entries)
	}
	var updates []string
	for _, c := range columns[3:] {
		updates = append(updates, c+" = excluded."+c)
	}
	group := []any{"analytics"}
	identities := newInserter(target, "fanout_seen", []string{"source", "ms", "seq"}, []any{int64(1)}, "")
	load := &rowList{db: target, head: "SELECT " + list + " FROM market_minutes WHERE fanout_group = ? AND (window_start, key) IN (VALUES ",
		row: "(?, ?)", tail: ")", lead: group, width: 2, stmts: map[int]*sql.Stmt{}}
	save := newInserter(target, "market_minutes", columns, group,
		" ON CONFLICT (fanout_group, window_start, key) DO UPDATE SET "+strings.Join(updates, ", "))
	x := exchange.New(exchange.Config{Seed: seed})
	for range skip {
		x.Next()
	}
	var batches []func(*sql.Tx) error
	for len(seen) > 0 {
		part := seen[:min(2*storeBatch, len(seen))]
		seen = seen[len(part):]
		touched := map[string]bool{}
		var keys, rows []any
		for range len(part) / 2 {
			trade := x.Next()
			name := fmt.Sprint(trade.MarketID, trade.Timestamp/60_000*60_000)
			row, ok := windows[name]
			if !ok {
				return nil, fmt.Errorf("window %s is missing", name)
			}
			if !touched[name] {
				touched[name] = true
				keys, rows = append(keys, row[1], row[0]), append(rows, row...)
			}
		}
		if err := errors.Join(identities.prepare(part), load.prepare(keys), save.prepare(rows)); err != nil {
			return nil, err
		}
		batches = append(batches, func(tx *sql.Tx) error {
			return errors.Join(identities.exec(tx, part), load.read(tx, keys), save.exec(tx, rows))
		})
	}
	return batches, nil
}
