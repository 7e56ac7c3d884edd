package sqldb

import (
	"fmt"
	"strings"

	"example.com/fanout/pkg/event"
	"example.com/fanout/pkg/handler"
)

// fields are the columns of a row, ready for use.
type fields []field

type field struct {
	column   string
	path     event.Path
	required bool
}

func (c *Config) fields() (fields, error) {
	list := make(fields, len(c.Columns))
	for i, col := range c.Columns {
		path, err := event.ParsePath(col.Path)
		if err != nil {
			return nil, fmt.Errorf("read path of column %s: %w", col.Name, err)
		}
		list[i] = field{column: col.Name, path: path}
	}
	for _, name := range c.Required {
		if i := c.column(name); i >= 0 {
			list[i].required = true
		}
	}
	return list, nil
}

// appendTo appends the values of the delivery's row to args. Its errors are
// about the delivery and permanent.
func (l fields) appendTo(args []any, d *handler.Delivery, t *texts) ([]any, error) {
	for i := range l {
		v, ok := d.Event.Lookup(l[i].path)
		null := !ok || v.Kind() == event.Null
		if null && l[i].required {
			return args, handler.Permanent(fmt.Errorf("required column %s: %s is %s", l[i].column, l[i].path, absence(ok)))
		}
		if null {
			args = append(args, nil)
			continue
		}
		args = append(args, exact(v, t))
	}
	return args, nil
}

func absence(found bool) string {
	if found {
		return "null"
	}
	return "missing"
}

// exact gives a value that is not null the form in which SQL keeps it without
// a loss: integers of 64 bits as integers, all other numbers as the text that
// was published, never as a float; booleans as 0 and 1, strings as text,
// objects and arrays as JSON text.
func exact(v event.Value, t *texts) any {
	switch v.Kind() {
	case event.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
	case event.Bool:
		if yes, err := v.Bool(); err == nil && yes {
			return int64(1)
		}
		return int64(0)
	}
	return t.keep(v.AppendText(t.scratch[:0]))
}

// texts makes strings of which many share a piece of memory. A batch of rows has
// thousands of them.
type texts struct {
	piece   strings.Builder
	scratch []byte
}

// textPiece is the size of a piece, in bytes.
const textPiece = 32 << 10

// keep returns text as a string. It makes scratch of it.
func (t *texts) keep(text []byte) string {
	t.scratch = text
	if t.piece.Cap()-t.piece.Len() < len(text) {
		t.piece = strings.Builder{} // the old piece lives as long as a string of it
		t.piece.Grow(max(textPiece, len(text)))
	}
	begin := t.piece.Len()
	t.piece.Write(text)
	return t.piece.String()[begin:]
}

// drop lets go of what a large text has made.
func (t *texts) drop() {
	if t.piece.Cap() > textPiece {
		t.piece = strings.Builder{}
	}
	if cap(t.scratch) > textPiece {
		t.scratch = nil
	}
}
