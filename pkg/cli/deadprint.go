package cli

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"example.com/fanout/pkg/app"
	"example.com/fanout/pkg/deadletter"
	"example.com/fanout/pkg/redisstream"
	"example.com/fanout/pkg/stream"
	"example.com/fanout/pkg/telemetry"
)

// letterTable prints one line a letter.
type letterTable struct {
	columns
	shown bool // the head is
}

func (e *env) newLetterTable() *letterTable {
	t := &letterTable{columns: columns{right: []bool{5: true, 6: true}}}
	// As wide as most are, so that lines need not be held back to be laid out.
	t.fit(texts("1763856000123-0", "1763856000123-0", "2006-01-02 15:04:05", app.LetterReplaying, string(deadletter.Timeout), "ATTEMPTS", "REPLAYS"))
	return t
}

func (e *env) printRow(t *letterTable, l redisstream.Letter) {
	const longest = 120
	if !t.shown {
		t.shown = true
		fmt.Fprintln(e.out, t.line(texts("LETTER", "ENTRY", "WHEN", "STATE", "STAGE", "ATTEMPTS", "REPLAYS", "ERROR")))
	}
	when := l.ID.Time().Format(time.DateTime)
	if l.Err != nil {
		fmt.Fprintln(e.out, t.line(texts(l.ID.String(), "-", when, app.LetterForeign)))
		return
	}
	text, _, _ := strings.Cut(l.Head.Error, "\n")
	fmt.Fprintln(e.out, t.line(texts(l.ID.String(), l.Head.ID.String(), when, app.LetterState(l), printable(string(l.Head.Stage), longest),
		strconv.Itoa(l.Head.Attempts), strconv.Itoa(l.Head.Replays), printable(text, longest))))
}

func (e *env) listTable(ctx context.Context, d *app.DeadLetters, choice app.Choice) error {
	t := e.newLetterTable()
	err := d.Each(ctx, choice, func(l redisstream.Letter) error {
		e.printRow(t, l)
		return ctx.Err()
	})
	if err == nil && !t.shown {
		which := "dead letters"
		if !choice.All() || !choice.From.IsZero() || choice.Last() != stream.MaxID {
			which = "dead letters of that kind"
		}
		fmt.Fprintf(e.out, "%s has no %s in %s\n", d.Group, which, d.Stream)
	}
	return fail(err)
}

// printFirst shows a few of those that were counted.
func (e *env) printFirst(s app.Survey) {
	t := e.newLetterTable()
	for _, l := range s.First {
		e.printRow(t, l)
	}
	if more := s.Letters - int64(len(s.First)); more > 0 {
		fmt.Fprintf(e.out, "… and %d more\n", more)
	}
}

// listJSON prints one object whose letters come as they are read.
func (e *env) listJSON(ctx context.Context, d *app.DeadLetters, choice app.Choice) error {
	head, err := json.Marshal(struct {
		Group  string `json:"group"`
		Stream string `json:"stream"`
	}{d.Group, d.Stream})
	if err != nil {
		return fail(err)
	}
	between := "\n"
	fmt.Fprintf(e.out, "%s,\"letters\":[", head[:len(head)-1])
	err = d.Each(ctx, choice, func(l redisstream.Letter) error {
		line, err := json.Marshal(app.ShowLetter(l, nil))
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(e.out, "%s%s", between, line); err != nil {
			return err
		}
		between = ",\n"
		return ctx.Err()
	})
	if err != nil {
		return fail(err)
	}
	fmt.Fprintln(e.out, "\n]}")
	return nil
}

// printLetter prints everything that is known of a letter, and its fields.
func (e *env) printLetter(d *app.DeadLetters, l redisstream.Letter, entry stream.Entry) {
	const longest = 10_000
	var c columns
	c.fit(texts("first failure"))
	show := func(name, format string, args ...any) {
		fmt.Fprintln(e.out, c.line(texts(name, printable(fmt.Sprintf(format, args...), longest))))
	}
	show("letter", "%s of %s in %s", l.ID, d.Group, d.Stream)
	show("written", "%s", l.ID.Time().Format(time.RFC3339))
	show("state", "%s", app.LetterState(l))
	fields := entry.Fields
	if l.Err != nil {
		show("fault", "%s", l.Err)
	} else {
		h := l.Head
		fields = h.Entry.Fields
		show("entry", "%s of %s, epoch %s", h.ID, h.Stream, h.Epoch)
		show("stage", "%s", h.Stage)
		show("class", "%s", orDash(h.Class))
		show("error", "%s", h.Error)
		show("attempts", "%d in %s", h.Attempts, telemetry.Plural(h.Deliveries, "delivery"))
		show("first failure", "%s", h.FirstFailure.Format(time.RFC3339Nano))
		show("last failure", "%s", h.LastFailure.Format(time.RFC3339Nano))
		show("handler", "%s in consumer %s", h.Handler, h.Consumer)
		show("replays", "%d", h.Replays)
	}
	show("fields", "%d, %d bytes", len(fields), stream.Entry{Fields: fields}.Size())
	for _, f := range fields {
		fmt.Fprintf(e.out, "\n%s:\n%s\n", shown(f.Name), shown(f.Value))
	}
}

// shown is a field's text, or base64 of what a terminal must not get.
func shown(b []byte) string {
	text := string(b)
	steers := strings.ContainsFunc(text, func(r rune) bool { return r != '\n' && r != '\t' && !unicode.IsPrint(r) })
	switch {
	case text == "":
		return "(empty)"
	case steers || !utf8.ValidString(text):
		return "(base64) " + base64.StdEncoding.EncodeToString(b)
	}
	return text
}
