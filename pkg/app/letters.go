package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"example.com/fanout/pkg/admin"
	"example.com/fanout/pkg/redisstream"
	"example.com/fanout/pkg/stream"
)

// letters shows the dead letters of the running groups to the admin server.
type letters struct{ app *App }

// open finds the letters of a group, over the connections of the process.
func (l letters) open(group string, q admin.LetterQuery) (*DeadLetters, Choice, error) {
	m, _ := l.app.state()
	only, err := Only(m, []string{group})
	if err != nil {
		return nil, Choice{}, fmt.Errorf("%w: %w", admin.ErrUnknownGroup, err)
	}
	choice, err := ChooseLetters(q, time.Now())
	if err != nil {
		return nil, Choice{}, fmt.Errorf("%w: %w", admin.ErrRequest, err)
	}
	return deadLetters(l.app.redis, only.Groups[0]), choice, nil
}

var errEnough = errors.New("enough letters")

func (l letters) List(ctx context.Context, group string, q admin.LetterQuery, limit int) (admin.LetterPage, error) {
	d, choice, err := l.open(group, q)
	if err != nil {
		return admin.LetterPage{}, err
	}
	page := admin.LetterPage{Group: d.Group, Stream: d.Stream}
	err = d.Each(ctx, choice, func(found redisstream.Letter) error {
		if len(page.Letters) == limit {
			page.Next = found.ID.String()
			return errEnough
		}
		page.Letters = append(page.Letters, ShowLetter(found, nil))
		return ctx.Err()
	})
	if err != nil && !errors.Is(err, errEnough) {
		return admin.LetterPage{}, err
	}
	return page, nil
}

func (l letters) Show(ctx context.Context, group, id string) (any, error) {
	d, choice, err := l.open(group, admin.LetterQuery{IDs: []string{id}})
	if err != nil {
		return nil, err
	}
	letter, entry, err := d.Get(ctx, choice.IDs[0])
	if errors.Is(err, redisstream.ErrNoLetter) {
		return nil, fmt.Errorf("%w: %s of %s", admin.ErrNoLetter, choice.IDs[0], group)
	}
	if err != nil {
		return nil, err
	}
	return ShowLetter(letter, entry.Fields), nil
}

func (l letters) Replay(ctx context.Context, group string, q admin.LetterQuery, rate float64, dryRun bool) (admin.LetterCount, error) {
	return l.change(ctx, group, q, dryRun,
		func(s Survey, _ bool) int64 { return s.Letters },
		func(d *DeadLetters, c Choice) (int64, error) { return d.Replay(ctx, c, rate, func(int64) {}) })
}

func (l letters) Purge(ctx context.Context, group string, q admin.LetterQuery, dryRun bool) (admin.LetterCount, error) {
	return l.change(ctx, group, q, dryRun,
		func(s Survey, named bool) int64 {
			if named {
				return s.Letters + s.Replaying + s.Foreign
			}
			return s.Letters
		},
		func(d *DeadLetters, c Choice) (int64, error) { return d.Purge(ctx, c, func(int64) {}) })
}

// change counts the letters that are meant, and then does something to those
// and to none that come later. IDs that are not there are an error before
// anything is done.
func (l letters) change(ctx context.Context, group string, q admin.LetterQuery, dryRun bool,
	count func(s Survey, named bool) int64, do func(*DeadLetters, Choice) (int64, error),
) (admin.LetterCount, error) {
	d, choice, err := l.open(group, q)
	if err != nil {
		return admin.LetterCount{}, err
	}
	survey, choice, err := d.Survey(ctx, choice)
	if err != nil {
		return admin.LetterCount{}, err
	}
	if len(survey.Missing) > 0 {
		return admin.LetterCount{}, fmt.Errorf("%w: %s of %s; nothing was done", admin.ErrNoLetter, idList(survey.Missing), group)
	}
	n := count(survey, len(choice.IDs) > 0)
	if !dryRun && n > 0 {
		if n, err = do(d, choice); err != nil {
			return admin.LetterCount{}, err
		}
	}
	counted := admin.LetterCount{DryRun: dryRun, Letters: n}
	if survey.any() {
		counted.Last = choice.To.String()
	}
	return counted, nil
}

// idList names a few IDs.
func idList(ids []stream.ID) string {
	const few = 5
	text := ""
	for i, id := range ids[:min(few, len(ids))] {
		if i > 0 {
			text += ", "
		}
		text += id.String()
	}
	if more := len(ids) - few; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
