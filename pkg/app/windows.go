package app

import (
	"context"
	"errors"
	"fmt"

	"example.com/fanout/pkg/admin"
	"example.com/fanout/pkg/sink/window"
)

// windows shows the admin server what groups with the handler window have summed
// up.
type windows struct{ app *App }

func (w windows) Windows(ctx context.Context, group string, q admin.WindowQuery) (admin.WindowPage, error) {
	reader, meaning, err := w.reader(group)
	if err != nil {
		return admin.WindowPage{}, err
	}
	page := admin.WindowPage{WindowMeaning: meaning}
	found, next, err := reader.Windows(ctx, window.Query(q))
	if err != nil {
		return page, storeProblem(err)
	}
	page.Next = next
	for _, one := range found {
		page.Windows = append(page.Windows, admin.Window{Key: one.Key, Start: one.Start, Values: byName(meaning, one.Values, false)})
	}
	return page, nil
}

func (w windows) Keys(ctx context.Context, group string, q admin.KeyQuery) (admin.KeyPage, error) {
	reader, meaning, err := w.reader(group)
	if err != nil {
		return admin.KeyPage{}, err
	}
	page := admin.KeyPage{WindowMeaning: meaning}
	by, keys, complete, err := reader.Keys(ctx, q.By, q.Since, q.Limit)
	if err != nil {
		return page, storeProblem(err)
	}
	page.By, page.Complete = by, complete
	for _, k := range keys {
		page.Keys = append(page.Keys, admin.WindowKey{
			Key: k.Key, Windows: k.Windows, First: k.First, Last: k.Last, Values: byName(meaning, k.Totals, true),
		})
	}
	return page, nil
}

// reader reads the windows of a group, and says what they mean.
func (w windows) reader(group string) (*window.Reader, admin.WindowMeaning, error) {
	g, err := operator(w).declared(group)
	if err != nil {
		return nil, admin.WindowMeaning{}, err
	}
	config, ok := g.Handler.Config.(*window.Config)
	if !ok {
		return nil, admin.WindowMeaning{}, &admin.Refused{
			Reason: "group " + group + " keeps no windows: its handler is " + g.Handler.Type,
			Hint:   "ask a group whose handler is window",
		}
	}
	reader, err := config.NewReader(g.Name)
	if err != nil {
		return nil, admin.WindowMeaning{}, err
	}
	meaning := admin.WindowMeaning{
		Group: g.Name, Stream: g.Stream, Table: reader.Table(), SizeSeconds: reader.Size().Seconds(), Key: reader.Key(), Time: reader.Time(),
	}
	for _, m := range reader.Measures() {
		meaning.Measures = append(meaning.Measures, admin.WindowMeasure(m))
	}
	return reader, meaning, nil
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

// storeProblem gives the reader's errors in the admin server's words.
func storeProblem(err error) error {
	if errors.Is(err, window.ErrQuery) {
		return fmt.Errorf("%w: %w", admin.ErrRequest, err)
	}
	return &admin.Refused{Reason: err.Error(), Hint: "see whether the store can be read by this process, then try again"}
}
