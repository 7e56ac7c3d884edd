package window

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"example.com/fanout/pkg/sink/internal/sqlstore"
)

// maxRanked bounds the windows that a ranking of keys goes through.
const maxRanked = 100_000

// KeyTotal is what the windows of one key come to. Totals are those of counts and
// sums, in the order of [Reader.Measures]; others are nil.
type KeyTotal struct {
	Key         any
	Windows     int64
	First, Last time.Time
	Totals      []any // int64, or float64 beyond 2^53
}

// KeyQuery says which keys are wanted.
type KeyQuery struct {
	By    string    // the measure that they are ranked by; "": the first sum, else the first count
	Since time.Time // windows that begin then or later
	Until time.Time // and before; zero: no end
	Limit int       // of keys
}

// Keys ranks the keys by the total of a measure over some windows; ranked is its
// name. complete is false when only the newest windows were looked at, because
// there are too many.
func (r *Reader) Keys(ctx context.Context, q KeyQuery) (ranked string, keys []KeyTotal, complete bool, err error) {
	rank, err := r.rankedBy(q.By)
	if err != nil {
		return "", nil, false, err
	}
	columns, order := "", "count(*)"
	for i, m := range r.plan.measures {
		total := "NULL"
		if m.f == count || m.f == sum {
			total = "total(" + sqlstore.Quote(m.name) + ")"
		}
		if i == rank {
			order = total
		}
		columns += ", " + total
	}
	complete = true
	from, to := r.between(q.Since, q.Until)
	taken := size{window: r.windowSize()}
	err = r.view(ctx, func(tx *sql.Tx) (err error) {
		rows, err := tx.QueryContext(ctx, "SELECT key, count(*), min(window_start), max(window_start), sum(count(*)) OVER ()"+columns+
			" FROM (SELECT * FROM "+sqlstore.Quote(r.c.Table)+" WHERE fanout_group = ? AND window_start >= ? AND window_start < ? ORDER BY window_start DESC LIMIT ?)"+
			" GROUP BY key ORDER BY "+order+" DESC, key LIMIT ?", r.group, from, to, maxRanked, q.Limit)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, rows.Close(), rows.Err()) }()
		for rows.Next() {
			k := KeyTotal{Totals: make([]any, len(r.plan.measures))}
			var first, last, seen int64
			into := []any{&k.Key, &k.Windows, &first, &last, &seen}
			for i := range k.Totals {
				into = append(into, &k.Totals[i])
			}
			if err := rows.Scan(into...); err != nil {
				return err
			}
			of := keyOf(k.Key)
			if !taken.add(of) && len(keys) > 0 {
				return nil
			}
			k.Key, k.First, k.Last = of.value(), time.UnixMilli(first).UTC(), time.UnixMilli(last).UTC()
			for i, v := range k.Totals {
				k.Totals[i] = whole(v)
			}
			complete = seen < maxRanked
			keys = append(keys, k)
		}
		return nil
	})
	if err != nil {
		return "", nil, false, fmt.Errorf("rank keys: %w", err)
	}
	if rank >= 0 {
		ranked = r.plan.measures[rank].name
	}
	return ranked, keys, complete, nil
}

// rankedBy is the index of the measure that keys are ranked by; -1: by the number
// of their windows.
func (r *Reader) rankedBy(name string) (int, error) {
	for _, f := range []function{sum, count} {
		if i := slices.IndexFunc(r.plan.measures, func(m measure) bool { return m.f == f && (name == "" || m.name == name) }); i >= 0 {
			return i, nil
		}
	}
	if name != "" {
		return 0, fmt.Errorf("%w: by %.60q: want a measure that is a sum or a count", ErrQuery, name)
	}
	return -1, nil
}

// whole makes an integer of a float that is one exactly.
func whole(column any) any {
	if f, ok := column.(float64); ok && math.Abs(f) <= 1<<53 && f == math.Trunc(f) {
		return int64(f)
	}
	return numberOf(column)
}
