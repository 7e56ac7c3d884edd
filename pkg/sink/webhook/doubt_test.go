package webhook_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"example.com/fanout/pkg/handler"
)

// poisoned answers 500 to the trades of that ID while it is set, and to all
// while it is negative.
func poisoned(t *testing.T) (*server, *atomic.Int64) {
	t.Helper()
	poison := new(atomic.Int64)
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		p := poison.Load()
		if p < 0 || strings.Contains(string(body), fmt.Sprintf(`"trade_id": %d,`, p)) {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}), poison
}

// A 500 counts no attempt until another entry has succeeded since the first one.
func TestDoubt(t *testing.T) {
	t.Parallel()
	s, poison := poisoned(t)
	poison.Store(-1)
	h := open(t, config(s.URL))
	first, second := trades(t, 0, 1), trades(t, 1, 1)

	for range 3 {
		wantMark(t, h.Handle(t.Context(), first), handler.MarkUnavailable)
		wantMark(t, h.Handle(t.Context(), second), handler.MarkUnavailable)
	}
	poison.Store(1)
	if err := h.Handle(t.Context(), second); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		wantMark(t, h.Handle(t.Context(), first), handler.Unmarked)
	}

	// Its own success is none of another's.
	poison.Store(0)
	if err := h.Handle(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	poison.Store(-1)
	wantMark(t, h.Handle(t.Context(), first), handler.MarkUnavailable)
	wantMark(t, h.Handle(t.Context(), first), handler.MarkUnavailable)
}

// An event in doubt is named, so that it does not hold the group.
func TestDoubtNamesTheEvent(t *testing.T) {
	t.Parallel()
	s, poison := poisoned(t)
	poison.Store(2)
	h := open(t, config(s.URL))
	var named *handler.BatchError
	err := h.Handle(t.Context(), trades(t, 1, 1))
	if !errors.As(err, &named) || handler.MarkOf(named.Failed[0]) != handler.MarkUnavailable {
		t.Errorf("one event: %v does not name it as unavailable", err)
	}
	err = h.Handle(t.Context(), trades(t, 0, 4)) // the trade before it succeeds
	named = nil
	if !errors.As(err, &named) || len(named.Failed) != 1 || named.Failed[1] == nil ||
		handler.MarkOf(named.Failed[1]) != handler.Unmarked {
		t.Errorf("several events: %v, want the second one alone to count an attempt", err)
	}
}

// A batch that fails in doubt is split, and what is left at the end counts at
// once where its neighbours have succeeded.
func TestDoubtSplitsBatches(t *testing.T) {
	t.Parallel()
	s, poison := poisoned(t)
	poison.Store(3)
	h := open(t, config(s.URL, inBatches))
	wantMark(t, h.Handle(t.Context(), trades(t, 0, 4)), handler.Unmarked)
	wantMark(t, h.Handle(t.Context(), trades(t, 2, 2)), handler.Unmarked)
	wantMark(t, h.Handle(t.Context(), trades(t, 2, 1)), handler.MarkUnavailable)
	if err := h.Handle(t.Context(), trades(t, 0, 2)); err != nil {
		t.Fatal(err)
	}
	wantMark(t, h.Handle(t.Context(), trades(t, 2, 1)), handler.Unmarked)
}

// A refused event is forgotten: what fails later is a new doubt.
func TestDoubtEndsWithARefusal(t *testing.T) {
	t.Parallel()
	codes := make(chan int, 4)
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(<-codes) })
	h := open(t, config(s.URL))
	codes <- 500
	wantMark(t, h.Handle(t.Context(), trades(t, 0, 1)), handler.MarkUnavailable)
	codes <- 422
	wantMark(t, h.Handle(t.Context(), trades(t, 0, 1)), handler.MarkPermanent)
	codes <- 200
	if err := h.Handle(t.Context(), trades(t, 1, 1)); err != nil {
		t.Error(err)
	}
	codes <- 500 // sent back from the dead letters
	wantMark(t, h.Handle(t.Context(), trades(t, 0, 1)), handler.MarkUnavailable)
}

// A slow answer is doubtful: it may be the event's fault.
func TestNoAnswer(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if body, _ := io.ReadAll(r.Body); strings.Contains(string(body), `"trade_id": 1,`) {
			<-release
		}
	})
	t.Cleanup(func() { close(release) })
	h := open(t, config(s.URL, impatient))
	err := h.Handle(t.Context(), trades(t, 0, 1))
	wantMark(t, err, handler.MarkUnavailable)
	if err == nil || !strings.Contains(err.Error(), "no answer within 50ms") {
		t.Errorf("error is %v", err)
	}
	if err := h.Handle(t.Context(), trades(t, 1, 1)); err != nil {
		t.Fatal(err)
	}
	wantMark(t, h.Handle(t.Context(), trades(t, 0, 1)), handler.Unmarked)
}
