package window

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"strconv"
	"strings"
	"time"

	"example.com/fanout/pkg/sink/internal/sqlstore"
)

// Reader reads the windows of a group, whether the group runs or not. It never
// keeps the handler waiting, and is safe for concurrent use.
type Reader struct {
	c     *Config
	plan  *plan
	group string
}

// ErrNoStore is wrapped by the error about a store that is not there.
var ErrNoStore = errors.New("the store is not there")

// ErrQuery is wrapped by errors about a query that cannot be understood.
var ErrQuery = errors.New("not a query of windows")

// Measured is what a measure means.
type Measured struct {
	Name     string
	Function string // count, sum, min, max, first, last or wavg
	Path     string // "" for count
	Weight   string // of wavg
	Decimals int    // places that its integers are to be shown with
}

// Query says which windows are wanted.
type Query struct {
	Keys  []string  // those alone; one that looks like an integer is that integer too; none: all
	Since time.Time // those that begin then or later
	Until time.Time // and before; zero: no end
	After string    // what next was of the page before
	Limit int       // of windows
}

// Window is one window. Values are in the order of [Reader.Measures]: int64, of
// wavg float64, nil when no event had a value.
type Window struct {
	Key    any // string or int64
	Start  time.Time
	Values []any
}

const (
	// maxStarts bounds the window starts that one page of some keys goes
	// through.
	maxStarts = 2000

	// maxPage bounds a page, and a list of keys, in bytes of JSON; one window is
	// in it whatever its size.
	maxPage = 4 << 20
)

// NewReader reads the windows that a handler of this config makes for a group.
func (c *Config) NewReader(group string) (*Reader, error) {
	p, err := c.plan()
	if err != nil {
		return nil, err
	}
	return &Reader{c: c, plan: p, group: group}, nil
}

// Table is where the windows are.
func (r *Reader) Table() string { return r.c.Table }

// Size is the length of a window.
func (r *Reader) Size() time.Duration { return r.c.Size }

// Key and Time are the paths of the key and the time in the event, "" for none.
func (r *Reader) Key() string  { return r.plan.key.String() }
func (r *Reader) Time() string { return r.plan.time.String() }

// Measures are the measures, in the order of the manifest.
func (r *Reader) Measures() []Measured {
	all := make([]Measured, len(r.plan.measures))
	for i, m := range r.plan.measures {
		d := Measured{Name: m.name, Function: functions[m.f].name}
		if m.f != count {
			path := r.plan.paths[m.value]
			d.Path, d.Decimals = path.String(), r.c.Decimals.of(path)
		}
		if m.f == wavg {
			d.Weight = r.plan.paths[m.weight].String()
		}
		all[i] = d
	}
	return all
}

// Windows returns a page of windows in the order of their start, then their key.
// It may hold fewer than the limit, and none. next is "" after the last one.
func (r *Reader) Windows(ctx context.Context, q Query) (windows []Window, next string, err error) {
	p := page{r: r, limit: q.Limit, size: size{window: r.windowSize()}}
	p.since, p.until = r.between(q.Since, q.Until)
	if q.After != "" {
		if p.after, err = parseCursor(q.After); err != nil {
			return nil, "", err
		}
		p.since = max(p.since, p.after.start)
	}
	err = r.view(ctx, func(tx *sql.Tx) error {
		if len(q.Keys) == 0 {
			return p.all(ctx, tx)
		}
		return p.of(ctx, tx, variants(q.Keys))
	})
	if err != nil {
		return nil, "", fmt.Errorf("read windows: %w", err)
	}
	return p.windows, p.next, nil
}

// between are the bounds of two times for the starts of windows, in ms: windows
// begin at multiples of their size.
func (r *Reader) between(since, until time.Time) (from, to int64) {
	from, to = math.MinInt64, math.MaxInt64
	if !since.IsZero() {
		from = r.Bound(since).UnixMilli()
	}
	if !until.IsZero() {
		to = r.Bound(until).UnixMilli()
	}
	return from, to
}

// Bound is the first start of a window at a time or later. As Since or Until of a
// query it means what the time itself means.
func (r *Reader) Bound(t time.Time) time.Time {
	ms, length := t.UnixMilli(), r.c.Size.Milliseconds()
	return time.UnixMilli(floor(ms+length-1, length)).UTC()
}

// size is how large an answer has become, in bytes of JSON at most.
type size struct {
	window int // without its key
	total  int
}

func (r *Reader) windowSize() int {
	n := 200
	for _, m := range r.plan.measures {
		n += len(m.name) + 28 // with quotes, and the longest number
	}
	return n
}

// add takes one more window or key in, and reports whether it was small enough.
func (s *size) add(k key) bool {
	const escaped = 6 // \u00e9
	s.total += s.window + escaped*len(k.text)
	return s.total <= maxPage
}

// view is sqlstore.View; a table that is not there yet is an empty one.
func (r *Reader) view(ctx context.Context, fn func(*sql.Tx) error) error {
	err := sqlstore.View(ctx, r.c.DSN.Reveal(), func(tx *sql.Tx) error {
		there, err := sqlstore.HasTable(ctx, tx, r.c.Table)
		if err != nil || !there {
			return err
		}
		return fn(tx)
	})
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %w", ErrNoStore, err)
	}
	return err
}

// variants are the keys that a text may mean.
func variants(texts []string) []any {
	var all []any
	for _, text := range texts {
		all = append(all, text)
		if n, err := strconv.ParseInt(text, 10, 64); err == nil && strconv.FormatInt(n, 10) == text {
			all = append(all, n)
		}
	}
	return all
}

// page is a page of windows while it is read.
type page struct {
	r            *Reader
	since, until int64 // ms since 1970
	after        cursor
	limit        int
	size         size
	windows      []Window
	next         string
}

// all reads windows of all keys.
func (p *page) all(ctx context.Context, tx *sql.Tx) error {
	where, args := "fanout_group = ? AND window_start >= ? AND window_start < ?", []any{p.r.group, p.since, p.until}
	if p.after.set {
		where += " AND (window_start, key) > (?, ?)"
		args = append(args, p.after.start, p.after.key)
	}
	return p.read(ctx, tx, where, args)
}

// of reads windows of some keys. A key's windows lie far apart in the table, so
// it goes from one start to the next one and looks there for the keys.
func (p *page) of(ctx context.Context, tx *sql.Tx, keys []any) error {
	find, err := tx.PrepareContext(ctx, "SELECT window_start FROM "+sqlstore.Quote(p.r.c.Table)+
		" WHERE fanout_group = ? AND window_start >= ? AND window_start < ? ORDER BY window_start LIMIT 1")
	if err != nil {
		return err
	}
	defer find.Close()
	where := "fanout_group = ? AND window_start = ? AND key IN (" + strings.TrimSuffix(strings.Repeat("?, ", len(keys)), ", ") + ")"
	from := p.since
	for range maxStarts {
		var start int64
		err := find.QueryRowContext(ctx, p.r.group, from, p.until).Scan(&start)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		args := append([]any{p.r.group, start}, keys...)
		at := where
		if p.after.set && p.after.start == start {
			at += " AND key > ?"
			args = append(args, p.after.key)
		}
		if err := p.read(ctx, tx, at, args); err != nil || p.next != "" {
			return err
		}
		from = start + 1
	}
	p.next = cursor{start: from, key: int64(math.MinInt64)}.String() // more starts follow
	return nil
}

// read appends what a condition means, up to the limit of the page.
func (p *page) read(ctx context.Context, tx *sql.Tx, where string, args []any) (err error) {
	columns := []string{"window_start", "key"}
	for _, m := range p.r.plan.measures {
		columns = append(columns, m.name)
	}
	rows, err := tx.QueryContext(ctx, "SELECT "+sqlstore.QuoteAll(columns)+" FROM "+sqlstore.Quote(p.r.c.Table)+
		" WHERE "+where+" ORDER BY window_start, key LIMIT ?", append(args, p.limit-len(p.windows)+1)...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close(), rows.Err()) }()
	for rows.Next() {
		w := Window{Values: make([]any, len(p.r.plan.measures))}
		var start int64
		into := []any{&start, &w.Key}
		for i := range w.Values {
			into = append(into, &w.Values[i])
		}
		if err := rows.Scan(into...); err != nil {
			return err
		}
		k := keyOf(w.Key)
		if n := len(p.windows); n == p.limit || !p.size.add(k) && n > 0 {
			last := p.windows[n-1]
			p.next = cursor{start: last.Start.UnixMilli(), key: last.Key}.String()
			return nil
		}
		w.Start, w.Key = time.UnixMilli(start).UTC(), k.value()
		for i, v := range w.Values {
			w.Values[i] = numberOf(v)
		}
		p.windows = append(p.windows, w)
	}
	return nil
}

// numberOf keeps what others have put into a column out of the answer.
func numberOf(column any) any {
	switch n := column.(type) {
	case int64:
		return n
	case float64:
		if !math.IsNaN(n) && !math.IsInf(n, 0) {
			return n
		}
	}
	return nil
}
