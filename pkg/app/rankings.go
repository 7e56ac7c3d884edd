package app

import (
	"context"
	"maps"
	"time"

	"example.com/fanout/pkg/admin"
	"example.com/fanout/pkg/sink/window"
)

// rankings are the latest lists of busiest keys. Every page of the market asks for
// the same one again and again, and each costs a walk over up to 100,000 windows:
// one is made at a time, and shown to all who ask within two seconds.
type rankings struct {
	turn chan struct{} // holds one while kept is used
	kept map[ranking]ranked
}

// ranking says which list is meant.
type ranking struct {
	config       *window.Config // another one after a reload that changes it
	group, by    string
	since, until time.Time // starts of windows
	limit        int
}

// ranked is such a list.
type ranked struct {
	page admin.KeyPage
	at   time.Time
}

const (
	rankingAge  = 2 * time.Second
	maxRankings = 32 // that are kept
)

func newRankings() *rankings {
	return &rankings{turn: make(chan struct{}, 1), kept: map[ranking]ranked{}}
}

func (s windowStore) ranking(q admin.KeyQuery) ranking {
	r := ranking{config: s.config, group: s.meaning.Group, by: q.By, since: s.reader.Bound(q.Since), limit: q.Limit}
	if !q.Until.IsZero() {
		r.until = s.reader.Bound(q.Until)
	}
	return r
}

// get gives a list that is kept, or that make gives.
func (r *rankings) get(ctx context.Context, want ranking, make func() (admin.KeyPage, error)) (admin.KeyPage, error) {
	select {
	case r.turn <- struct{}{}:
		defer func() { <-r.turn }()
	case <-ctx.Done():
		return admin.KeyPage{}, context.Cause(ctx)
	}
	if have, ok := r.kept[want]; ok && time.Since(have.at) < rankingAge {
		return have.page, nil
	}
	page, err := make()
	if err != nil {
		return page, err
	}
	maps.DeleteFunc(r.kept, func(_ ranking, have ranked) bool { return time.Since(have.at) >= rankingAge })
	if len(r.kept) < maxRankings {
		r.kept[want] = ranked{page, time.Now()}
	}
	return page, nil
}
