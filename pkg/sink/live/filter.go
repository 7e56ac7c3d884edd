package live

import (
	"context"
	"fmt"
	"time"

	"example.com/fanout/pkg/event"
	"example.com/fanout/pkg/stream"
)

// limits are those of an expression from a client, which anybody may be: about a
// millisecond an event.
var limits = event.Limits{Source: 1 << 10, Pattern: 2000, Work: 128 << 10}

// turn is how long a filter works at a time; then it is another client's turn.
const turn = 5 * time.Millisecond

const filterField = "event"

var (
	jsonFilter = event.Decoder{Field: filterField, Format: event.JSON}
	rawFilter  = event.Decoder{Field: filterField, Format: event.Raw}
)

// filter chooses events for a client. It belongs to the client's goroutine.
type filter struct {
	turns       chan struct{} // holds one for each filter that is at work
	where, mark *event.Expr   // nil: none
	event       event.Event
	shapes      event.Shapes
	entry       stream.Entry
}

func newFilter(turns chan struct{}) filter {
	return filter{turns: turns, entry: stream.Entry{Fields: []stream.Field{{Name: []byte(filterField)}}}}
}

// compile takes the client's expressions, "" for none.
func (f *filter) compile(ctx context.Context, where, mark string) error {
	for _, part := range []struct {
		name, source string
		into         **event.Expr
	}{{"where", where, &f.where}, {"mark", mark, &f.mark}} {
		if part.source == "" {
			continue
		}
		if err := f.begin(ctx); err != nil {
			return err
		}
		x, err := event.CompileWithin(part.source, limits)
		f.end()
		if err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
		*part.into = x
	}
	return nil
}

// begin waits for a turn.
func (f *filter) begin(ctx context.Context) error {
	select {
	case f.turns <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (f *filter) end() { <-f.turns }

// verdict is what a filter says of an event.
type verdict struct {
	wanted, marked bool
	fault          error // it cannot tell
}

// judge appends verdicts on events to into: on all of them, or on as many of the
// first ones as its turn lasts for.
func (f *filter) judge(ctx context.Context, events []held, into []verdict) []verdict {
	if f.where == nil && f.mark == nil {
		for range events {
			into = append(into, verdict{wanted: true})
		}
		return into
	}
	if len(events) == 0 || f.begin(ctx) != nil {
		return into
	}
	defer f.end()
	began := time.Now()
	for _, e := range events {
		into = append(into, f.verdict(e))
		if time.Since(began) > turn {
			break
		}
	}
	return into
}

func (f *filter) verdict(e held) verdict {
	decoder := &jsonFilter
	if e.opaque {
		decoder = &rawFilter
	}
	f.entry.Fields[0].Value = e.data
	f.event.Reset()
	defer func() { f.event.Reset(); f.entry.Fields[0].Value = nil }() // the ring may drop it
	if err := decoder.DecodeInto(&f.event, f.entry, &f.shapes); err != nil {
		return verdict{fault: err}
	}
	v := verdict{wanted: true}
	if f.where != nil {
		if v.wanted, v.fault = f.where.Match(&f.event); !v.wanted {
			return v
		}
	}
	if f.mark != nil {
		v.marked, v.fault = f.mark.Match(&f.event)
	}
	return v
}
