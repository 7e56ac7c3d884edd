package app

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"example.com/fanout/pkg/admin"
	"example.com/fanout/pkg/deadletter"
	"example.com/fanout/pkg/stream"
)

// ChooseLetters is what a query means at the time now.
func ChooseLetters(q admin.LetterQuery, now time.Time) (Choice, error) {
	ids, err := letterIDs(q.IDs)
	if err != nil {
		return Choice{}, err
	}
	if len(ids) > 0 && (len(q.Reasons) > 0 || q.Since+q.Until+q.From+q.To+q.Error != "") {
		return Choice{}, fmt.Errorf("letters are chosen by their IDs or by filters, not by both")
	}
	s := deadletter.Selection{Reasons: q.Reasons, Error: q.Error, To: stream.MaxID}
	for _, r := range q.Reasons {
		if !slices.Contains(deadletter.Reasons(), r) {
			return Choice{}, fmt.Errorf("reason %.80s: want one of %s", r, strings.Join(deadletter.Reasons(), ", "))
		}
	}
	// A letter's ID begins with the time when it was written.
	bounds := []struct {
		name, text string
		parse      func(string) (stream.ID, error)
		upper      bool
	}{
		{"since", q.Since, func(s string) (stream.ID, error) { return idAt(s, now) }, false},
		{"until", q.Until, func(s string) (stream.ID, error) { id, err := idAt(s, now); return id.Prev(), err }, true},
		{"from", q.From, stream.ParseID[string], false},
		{"to", q.To, stream.ParseID[string], true},
	}
	for _, b := range bounds {
		if b.text == "" {
			continue
		}
		id, err := b.parse(b.text)
		switch {
		case err != nil:
			return Choice{}, fmt.Errorf("%s %.80s: %w", b.name, b.text, err)
		case b.upper && id.Before(s.To):
			s.To = id
		case !b.upper && s.From.Before(id):
			s.From = id
		}
	}
	if s.To.Before(s.From) {
		return Choice{}, fmt.Errorf("nothing lies between %s and %s", s.From, s.To)
	}
	return Choice{IDs: ids, Selection: s}, nil
}

// idAt is the first ID of a time, or of a duration ago.
func idAt(text string, now time.Time) (stream.ID, error) {
	at := now
	if d, err := time.ParseDuration(strings.TrimPrefix(text, "-")); err == nil {
		at = now.Add(-d)
	} else {
		for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", time.DateTime, time.DateOnly} {
			if at, err = time.ParseInLocation(layout, text, time.Local); err == nil {
				break
			}
		}
		if err != nil {
			return stream.ID{}, fmt.Errorf("want a time as 2006-01-02T15:04:05Z or 2006-01-02, or a duration as 90m")
		}
	}
	return stream.ID{Ms: uint64(max(0, at.UnixMilli()))}, nil
}

// letterIDs reads IDs and drops repeats.
func letterIDs(texts []string) ([]stream.ID, error) {
	var ids []stream.ID
	for _, text := range texts {
		id, err := stream.ParseID(text)
		if err != nil {
			return nil, fmt.Errorf("%.80s: want the ID of a letter as 1763856000123-0", text)
		}
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids, nil
}
