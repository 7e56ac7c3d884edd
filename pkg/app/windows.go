package app

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"example.com/fanout/pkg/admin"
	"example.com/fanout/pkg/sink/window"
	"example.com/fanout/pkg/telemetry"
)

// windows shows the admin server what groups with the handler window have summed
// up.
type windows struct{ app *App }

func (w windows) Windows(ctx context.Context, group string, q admin.WindowQuery) (admin.WindowPage, error) {
	s, err := w.store(group)
	if err != nil {
		return admin.WindowPage{}, err
	}
	page := admin.WindowPage{WindowMeaning: s.meaning}
	found, next, err := s.reader.Windows(ctx, window.Query(q))
	if err != nil {
		return page, w.problem(group, err)
	}
	page.Next = next
	for _, one := range found {
		page.Windows = append(page.Windows, admin.Window{Key: keyOf(one.Key), Start: one.Start, Values: byName(s.meaning, one.Values, false)})
	}
	return page, nil
}

func (w windows) Keys(ctx context.Context, group string, q admin.KeyQuery) (admin.KeyPage, error) {
	s, err := w.store(group)
	if err != nil {
		return admin.KeyPage{}, err
	}
	return w.app.ranked.get(ctx, s.ranking(q), func() (admin.KeyPage, error) {
		page := admin.KeyPage{WindowMeaning: s.meaning}
		by, keys, complete, err := s.reader.Keys(ctx, window.KeyQuery(q))
		if err != nil {
			return page, w.problem(group, err)
		}
		page.By, page.Complete = by, complete
		for _, k := range keys {
			page.Keys = append(page.Keys, admin.WindowKey{
				Key: keyOf(k.Key), Windows: k.Windows, First: k.First, Last: k.Last, Values: byName(s.meaning, k.Totals, true),
			})
		}
		return page, nil
	})
}

// windowStore is where the windows of a group are, and what they mean.
type windowStore struct {
	config  *window.Config
	reader  *window.Reader
	meaning admin.WindowMeaning
}

func (w windows) store(group string) (windowStore, error) {
	g, err := operator(w).declared(group)
	if err != nil {
		return windowStore{}, err
	}
	config, ok := g.Handler.Config.(*window.Config)
	if !ok {
		return windowStore{}, &admin.Refused{
			Reason: "group " + group + " keeps no windows: its handler is " + g.Handler.Type,
			Hint:   "ask a group whose handler is window",
		}
	}
	reader, err := config.NewReader(g.Name)
	if err != nil {
		return windowStore{}, err
	}
	meaning := admin.WindowMeaning{
		Group: g.Name, Stream: g.Stream, Table: reader.Table(), SizeSeconds: reader.Size().Seconds(), Key: reader.Key(), Time: reader.Time(),
	}
	for _, m := range reader.Measures() {
		meaning.Measures = append(meaning.Measures, admin.WindowMeasure(m))
	}
	return windowStore{config, reader, meaning}, nil
}

// keyOf is a key as every client reads it: integers that a float64 does not have
// are texts.
func keyOf(key any) any {
	if n, ok := key.(int64); ok && (n > 1<<53 || n < -1<<53) {
		return strconv.FormatInt(n, 10)
	}
	return key
}

// byName are values by the names of their measures; with known those that are
// nil are left out.
func byName(meaning admin.WindowMeaning, values []any, known bool) map[string]any {
	named := make(map[string]any, len(values))
	for i, v := range values {
		if v != nil || !known {
			named[meaning.Measures[i].Name] = v
		}
	}
	return named
}

// problem gives the reader's errors in the admin server's words. A store that is
// not there has no windows as long as its group has not run yet.
func (w windows) problem(group string, err error) error {
	hint := "see whether this process can read the store"
	switch {
	case errors.Is(err, window.ErrQuery):
		return fmt.Errorf("%w: %w", admin.ErrRequest, err)
	case errors.Is(err, window.ErrNoStore):
		if !w.hasRun(group) {
			return nil
		}
		hint = "it was there when the group began; put it back, or restart the group to make a new one"
	}
	return &admin.Away{Reason: err.Error(), Hint: hint}
}

// hasRun reports whether a group has made its store, as far as this process
// knows.
func (w windows) hasRun(group string) bool {
	for _, g := range controller(w).Groups() {
		if g.Name == group {
			return g.State != telemetry.StateStarting
		}
	}
	return false
}
