package admin

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"example.com/fanout/pkg/stream"
)

// endpoint answers the requests of one method and path.
type endpoint struct {
	answer  func(http.ResponseWriter, *http.Request, *query)
	takes   []string // the names that a query may have; one that ends in "..." may come several times
	lenient bool     // whatever is in the query
}

// takes is an endpoint whose query may have these names, each once unless it ends
// in "...".
func takes(answer func(http.ResponseWriter, *http.Request, *query), names ...string) endpoint {
	return endpoint{answer: answer, takes: names}
}

// plain is an endpoint that takes no query.
func plain(answer http.HandlerFunc) endpoint {
	return endpoint{answer: func(w http.ResponseWriter, r *http.Request, _ *query) { answer(w, r) }}
}

// lenient is an endpoint that takes any query: a probe does not fail because of
// one, and files are what they are.
func lenient(answer http.HandlerFunc) endpoint {
	e := plain(answer)
	e.lenient = true
	return e
}

// serve answers a request, or says what is wrong with its query. What is
// misspelt, comes twice or is empty would mean something else than who asks
// thinks: a filter that lets everything through, a reload that is not dry.
func (e endpoint) serve(w http.ResponseWriter, r *http.Request) {
	q := &query{of: fmt.Sprintf("%s %.200s", r.Method, r.URL.Path), takes: e.takes}
	if !e.lenient {
		q.read(r.URL.RawQuery)
	}
	if !q.refused(w) {
		e.answer(w, r, q)
	}
}

// query is what a request asks for behind the "?". Its methods give the values,
// and keep the first fault among them for refused.
type query struct {
	of     string // method and path
	takes  []string
	values url.Values
	fault  error
}

func (q *query) read(raw string) {
	var err error
	if q.values, err = url.ParseQuery(raw); err != nil {
		q.refuse("the query cannot be read: %v", err)
	}
	for _, name := range slices.Sorted(maps.Keys(q.values)) {
		several := slices.Contains(q.takes, name+"...")
		switch {
		case !several && !slices.Contains(q.takes, name):
			q.refuse("the query has %.60q, which means nothing here", name)
		case !several && len(q.values[name]) > 1:
			q.refuse("the query has %s %d times", name, len(q.values[name]))
		case !several && q.values.Get(name) == "":
			q.refuse("%s is empty: leave it out, or give it a value", name)
		}
	}
}

func (q *query) refuse(format string, args ...any) {
	if q.fault == nil {
		q.fault = fmt.Errorf("%w: "+format, append([]any{ErrRequest}, args...)...)
	}
}

// refused answers a request whose query cannot be understood, and reports whether
// it has.
func (q *query) refused(w http.ResponseWriter) bool {
	if q.fault == nil {
		return false
	}
	fail(w, http.StatusBadRequest, problem{Error: q.fault.Error(), Hint: q.hint()})
	return true
}

// hint says what the query may have.
func (q *query) hint() string {
	if len(q.takes) == 0 {
		return q.of + " takes no query"
	}
	var names []string
	for _, name := range q.takes {
		if one, several := strings.CutSuffix(name, "..."); several {
			name = one + "= (several)"
		} else {
			name += "="
		}
		names = append(names, name)
	}
	return q.of + " takes ?" + strings.Join(names, " ")
}

// text is a value as it was sent, "" when it is not there.
func (q *query) text(name string) string { return q.values.Get(name) }

// texts are the values of a name that may come several times.
func (q *query) texts(name string, most int) []string {
	all := q.values[name]
	if len(all) > most {
		q.refuse("%d of %s: want %d at most", len(all), name, most)
	}
	return all
}

// number is an integer from least to most.
func (q *query) number(name string, absent, least, most int) int {
	text := q.text(name)
	if text == "" {
		return absent
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > most {
		q.refuse("%s %.40q: want a number from %d to %d", name, text, least, most)
	}
	return n
}

// flag is false when it is not there.
func (q *query) flag(name string) bool {
	text := q.text(name)
	if text == "" {
		return false
	}
	is, err := strconv.ParseBool(text)
	if err != nil {
		q.refuse("%s %.40q is neither true nor false: write %[1]s=1", name, text)
	}
	return is
}

// duration is 0 when it is not there.
func (q *query) duration(name string) time.Duration {
	text := q.text(name)
	if text == "" {
		return 0
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		q.refuse("%s %.40q: want a duration as 90s", name, text)
	}
	return d
}

// id is 0-0 when it is not there.
func (q *query) id(name string) stream.ID {
	text := q.text(name)
	if text == "" {
		return stream.ID{}
	}
	id, err := stream.ParseID(text)
	if err != nil {
		q.refuse("%s: %w", name, err)
	}
	return id
}

// moment is a time, milliseconds since 1970, or how long ago (-1h or 1h).
func (q *query) moment(name string, absent time.Time) time.Time {
	text := q.text(name)
	if text == "" {
		return absent
	}
	// A "+" that was not written as %2B has become a space.
	if t, err := time.Parse(time.RFC3339Nano, strings.ReplaceAll(text, " ", "+")); err == nil {
		return t
	}
	if ms, err := strconv.ParseInt(text, 10, 64); err == nil && ms >= 0 && ms < maxMillis {
		return time.UnixMilli(ms)
	}
	ago, err := time.ParseDuration(strings.TrimPrefix(text, "-"))
	if err != nil || ago < 0 {
		q.refuse("%s %.60q: want a time as 2025-11-23T12:00:00Z, milliseconds since 1970, or how long ago as -1h", name, text)
	}
	return time.Now().Add(-ago)
}

const maxMillis = 253402300800000 // the year 10000
