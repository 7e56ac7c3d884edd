package chaos

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"example.com/fanout/pkg/stream"
)

// query reads all rows of a query from one of the stores.
func (r *round) query(file, query string) ([]row, error) {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(r.dir, "data", file)+"?_pragma=busy_timeout(5000)")
	if err != nil {
		return nil, err
	}
	defer db.Close()
	found, err := db.QueryContext(context.Background(), query)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", query, err)
	}
	defer found.Close()
	columns, err := found.Columns()
	if err != nil {
		return nil, err
	}
	var rows []row
	for found.Next() {
		values, targets := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			targets[i] = &values[i]
		}
		if err := found.Scan(targets...); err != nil {
			return nil, fmt.Errorf("%s: %w", query, err)
		}
		one := row{}
		for i, column := range columns {
			one[column] = values[i]
		}
		rows = append(rows, one)
	}
	return rows, found.Err()
}

// stored is how often a group has each trade, by trade_id.
type stored map[int64]int

// trades reads the table of persistence, and which life of the stream each
// epoch stands for: it compares each row with what was published.
func (r *round) trades() (stored, map[string]map[int]bool, error) {
	rows, err := r.query("trades.db", "SELECT trade_id, market_id, odds_ticks, stake, traded_at, fanout_epoch, fanout_id FROM trades")
	if err != nil {
		return nil, nil, err
	}
	times, lives := stored{}, map[string]map[int]bool{}
	for _, t := range rows {
		trade, _ := t["trade_id"].(int64)
		if trade < 1 || trade > int64(len(r.ledger.all)) {
			r.violated("persistence has a row that was never published: %v", t)
			continue
		}
		e := r.ledger.all[trade-1]
		if t["market_id"] != e.MarketID || t["odds_ticks"] != e.OddsTicks || t["stake"] != e.Stake ||
			t["traded_at"] != e.Timestamp || t["fanout_id"] != e.id.String() {
			r.violated("persistence has %v, published was %+v as %v", t, e.Trade, e.id)
		}
		times[trade]++
		epoch, _ := t["fanout_epoch"].(string)
		if lives[epoch] == nil {
			lives[epoch] = map[int]bool{}
		}
		lives[epoch][e.life] = true
	}
	return times, lives, nil
}

// counted reads which entries analytics has counted.
func (r *round) counted(lives map[string]map[int]bool) (stored, error) {
	rows, err := r.query("analytics.db", "SELECT epoch, ms, seq FROM fanout_seen JOIN fanout_sources ON fanout_sources.id = source")
	if err != nil {
		return nil, err
	}
	byID := map[stream.ID][]*entry{}
	for _, e := range r.ledger.all {
		byID[e.id] = append(byID[e.id], e)
	}
	times := stored{}
	for _, s := range rows {
		epoch, _ := s["epoch"].(string)
		ms, _ := s["ms"].(int64)
		seq, _ := s["seq"].(int64)
		id := stream.ID{Ms: uint64(ms), Seq: uint64(seq)}
		e := of(byID[id], lives[epoch])
		if e == nil {
			r.violated("analytics has counted %v in epoch %s, and it cannot be told which of %d entries that was", id, epoch, len(byID[id]))
			continue
		}
		times[e.TradeID]++
	}
	return times, nil
}

// of picks the entry that an ID stands for in the lives of an epoch, nil when
// it could be several.
func of(candidates []*entry, lives map[int]bool) *entry {
	var one *entry
	for _, e := range candidates {
		if len(candidates) > 1 && !lives[e.life] {
			continue
		}
		if one != nil {
			return nil
		}
		one = e
	}
	return one
}

// journal reads what a probe has written down.
func (r *round) journal(group string) (stored, error) {
	files, err := filepath.Glob(filepath.Join(r.dir, "journal", group+".*"))
	if err != nil {
		return nil, err
	}
	times := stored{}
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		lines := bufio.NewReader(f)
		for {
			line, err := lines.ReadString('\n')
			if errors.Is(err, io.EOF) {
				break // what has no newline does not count
			}
			if err != nil {
				return nil, err
			}
			trade, err := strconv.ParseInt(strings.TrimSpace(line), 10, 64)
			if err != nil {
				return nil, fmt.Errorf("read journal %s: %w", name, err)
			}
			times[trade]++
		}
		_ = f.Close()
	}
	return times, nil
}

// notified is what came to the hook.
func (r *round) notified() stored {
	r.hook.mu.Lock()
	defer r.hook.mu.Unlock()
	times := stored{}
	for trade, n := range r.hook.came {
		times[trade] = n
	}
	for _, fault := range r.hook.faults {
		r.violated("hook: %s", fault)
	}
	return times
}
