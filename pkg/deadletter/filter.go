package deadletter

import (
	"slices"
	"strings"

	"example.com/fanout/pkg/stream"
)

// Reasons are what a letter may be filtered by: its stage, or its error class.
func Reasons() []string {
	return []string{
		string(Decode), string(Filter), string(Handle), string(Timeout), string(Panic), string(Crash),
		ClassPermanent, ClassError,
	}
}

// Selection says which letters are meant. The zero Selection is all of them.
type Selection struct {
	From, To stream.ID // of the letters themselves, both included; a zero To is the end
	Reasons  []string  // stage or error class, any of them; none: every one
	Error    string    // a part of the error's text
}

// Last is the greatest ID that can be meant.
func (s Selection) Last() stream.ID {
	if s.To.IsZero() {
		return stream.MaxID
	}
	return s.To
}

// All reports whether every entry of the stream is meant, whatever it is.
func (s Selection) All() bool { return len(s.Reasons) == 0 && s.Error == "" }

// Has reports whether the letter with this ID is meant.
func (s Selection) Has(id stream.ID, l *Letter) bool {
	switch {
	case id.Before(s.From), s.Last().Before(id):
		return false
	case len(s.Reasons) > 0 && !slices.Contains(s.Reasons, string(l.Stage)) && !slices.Contains(s.Reasons, l.Class):
		return false
	}
	return strings.Contains(l.Error, s.Error)
}
