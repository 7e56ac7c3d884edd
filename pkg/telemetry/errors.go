package telemetry

import (
	"cmp"
	"slices"
	"sync"
	"time"
	"unicode/utf8"
)

// Kinds of the errors of a group.
const (
	ErrorHandler = "handler" // a call of the handler failed
	ErrorSink    = "sink"    // the handler calls its sink unavailable
	ErrorEntry   = "entry"   // an entry cannot be decoded, `where` cannot judge it, or it ended the process too often
	ErrorRedis   = "redis"   // Redis failed, or did not answer
	ErrorGroup   = "group"   // the group itself failed
)

const (
	keptErrors   = 32
	maxErrorText = 1000 // bytes
)

// Errors keeps which errors a group has met, how often, and when first and last.
// Texts that differ in their numbers alone are one error. It holds the 32 that
// came last. The zero Errors is ready for use, and safe for concurrent use.
type Errors struct {
	mu    sync.Mutex
	shape map[errorKey]*ErrorNote
}

type errorKey struct{ kind, shape string }

// ErrorNote is one error of a group.
type ErrorNote struct {
	Kind        string // one of the Error constants
	Text        string // as it came last, of 1000 bytes at most
	Count       int64
	First, Last time.Time
}

// Note says that an error came; nil does nothing.
func (e *Errors) Note(kind string, err error) {
	if err == nil {
		return
	}
	text, now := cutText(err.Error()), time.Now()
	key := errorKey{kind, shape(text)}
	e.mu.Lock()
	defer e.mu.Unlock()
	n := e.shape[key]
	if n == nil {
		if e.shape == nil {
			e.shape = map[errorKey]*ErrorNote{}
		}
		if len(e.shape) == keptErrors {
			e.forgetOldest()
		}
		n = &ErrorNote{Kind: kind, First: now}
		e.shape[key] = n
	}
	n.Text, n.Last = text, now
	n.Count++
}

// forgetOldest drops the error that has not come for longest; mu is held.
func (e *Errors) forgetOldest() {
	var oldest errorKey
	var at time.Time
	for key, n := range e.shape {
		if at.IsZero() || n.Last.Before(at) {
			oldest, at = key, n.Last
		}
	}
	delete(e.shape, oldest)
}

// List returns the errors, the one that came last first.
func (e *Errors) List() []ErrorNote {
	e.mu.Lock()
	defer e.mu.Unlock()
	list := make([]ErrorNote, 0, len(e.shape))
	for _, n := range e.shape {
		list = append(list, *n)
	}
	slices.SortFunc(list, func(a, b ErrorNote) int {
		return cmp.Or(b.Last.Compare(a.Last), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Text, b.Text))
	})
	return list
}

// cutText bounds a text, between two characters.
func cutText(text string) string {
	if len(text) <= maxErrorText {
		return text
	}
	end := maxErrorText
	for end > maxErrorText-utf8.UTFMax && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "…"
}
