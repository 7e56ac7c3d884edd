package redisstream

import (
	"bytes"
	"errors"
	"fmt"
	"math"

	"example.com/fanout/pkg/stream"
)

// errReply is wrapped by every error of a reply that is not what was asked for.
var errReply = errors.New("malformed reply")

// decodeRead decodes the raw reply of an XREADGROUP of one stream, in RESP2 or
// RESP3. No entries are a nil slice. An answered error is a [reply]. The
// entries refer to the bytes of raw.
func decodeRead(raw []byte) ([]stream.Entry, error) {
	d := decoder{buf: raw}
	kind, n, err := d.head()
	if err != nil {
		return nil, err
	}
	switch kind {
	case '-', '!':
		text, err := d.text(kind, n)
		if err != nil {
			return nil, err
		}
		return nil, reply(text)
	case '_':
		return nil, d.end()
	case '*': // [[key, entries]]
		if n < 0 {
			return nil, d.end()
		}
		if n != 1 {
			return nil, d.fault("%d streams", n)
		}
		if err := d.array(2); err != nil {
			return nil, err
		}
	case '%': // {key: entries}
		if n != 1 {
			return nil, d.fault("%d streams", n)
		}
	default:
		return nil, d.fault("type %q", kind)
	}
	if _, err := d.bulk(); err != nil {
		return nil, err
	}
	entries, err := d.entries()
	if err == nil {
		err = d.end()
	}
	if err != nil {
		return nil, err
	}
	return entries, nil
}

// decoder walks over the bytes of one reply. Nothing is allocated for more than
// the bytes that are there.
type decoder struct {
	buf []byte
	pos int
}

func (d *decoder) fault(format string, args ...any) error {
	return fmt.Errorf("%w at byte %d: %s", errReply, d.pos, fmt.Sprintf(format, args...))
}

func (d *decoder) end() error {
	if d.pos != len(d.buf) {
		return d.fault("%d bytes too many", len(d.buf)-d.pos)
	}
	return nil
}

// head reads the first line of an element, past attributes and push messages.
// For the types that have one, n is the length or count; -1 is nil.
func (d *decoder) head() (kind byte, n int, err error) {
	for {
		if d.pos >= len(d.buf) {
			return 0, 0, d.fault("end of the reply")
		}
		kind = d.buf[d.pos]
		switch kind {
		case '*', '$', '%', '!', '=', '~', '|', '>':
			d.pos++
			if n, err = d.length(); err != nil {
				return 0, 0, err
			}
		case '_':
			d.pos++
			_, err = d.line()
			return kind, -1, err
		default:
			d.pos++
			return kind, 0, nil
		}
		if kind != '|' && kind != '>' {
			return kind, n, nil
		}
		if kind == '|' {
			n *= 2
		}
		for range n {
			if err := d.skip(0); err != nil {
				return 0, 0, err
			}
		}
	}
}

// length reads a count or length and the end of its line; -1 is nil. It is at
// most the number of bytes of the reply, which no true one exceeds.
func (d *decoder) length() (int, error) {
	i := d.pos
	if i+3 < len(d.buf) && d.buf[i] == '-' && d.buf[i+1] == '1' && d.buf[i+2] == '\r' && d.buf[i+3] == '\n' {
		d.pos = i + 4
		return -1, nil
	}
	n := 0
	for ; i < len(d.buf) && d.buf[i] >= '0' && d.buf[i] <= '9'; i++ {
		n = n*10 + int(d.buf[i]-'0')
		if n > len(d.buf) {
			return 0, d.fault("a length beyond the reply")
		}
	}
	if i == d.pos || i+1 >= len(d.buf) || d.buf[i] != '\r' || d.buf[i+1] != '\n' {
		return 0, d.fault("no length")
	}
	d.pos = i + 2
	return n, nil
}

func (d *decoder) line() ([]byte, error) {
	n := bytes.Index(d.buf[d.pos:], []byte("\r\n"))
	if n < 0 {
		return nil, d.fault("a line without end")
	}
	line := d.buf[d.pos : d.pos+n]
	d.pos += n + 2
	return line, nil
}

// take takes n bytes and the end of line after them.
func (d *decoder) take(n int) ([]byte, error) {
	end := d.pos + n
	if n < 0 || end+2 > len(d.buf) || d.buf[end] != '\r' || d.buf[end+1] != '\n' {
		return nil, d.fault("a text of %d bytes without end", n)
	}
	b := d.buf[d.pos:end:end]
	d.pos = end + 2
	return b, nil
}

// text reads the rest of an element that is a text of any type.
func (d *decoder) text(kind byte, n int) ([]byte, error) {
	switch kind {
	case '$', '!', '=':
		return d.take(n)
	case '+', '-':
		return d.line()
	}
	return nil, d.fault("type %q for a text", kind)
}

// bulk reads a text.
func (d *decoder) bulk() ([]byte, error) {
	if d.pos < len(d.buf) && d.buf[d.pos] == '$' { // nearly always
		d.pos++
		n, err := d.length()
		if err != nil {
			return nil, err
		}
		return d.take(n)
	}
	kind, n, err := d.head()
	if err != nil {
		return nil, err
	}
	return d.text(kind, n)
}

// array reads the head of an array of n elements.
func (d *decoder) array(n int) error {
	kind, got, err := d.head()
	if err != nil {
		return err
	}
	if kind != '*' || got != n {
		return d.fault("type %q of %d, want an array of %d", kind, got, n)
	}
	return nil
}

// maxDepth bounds the nesting of what is skipped.
const maxDepth = 16

// skip reads any element and forgets it.
func (d *decoder) skip(depth int) error {
	if depth > maxDepth {
		return d.fault("nested too deep")
	}
	if d.pos >= len(d.buf) {
		return d.fault("end of the reply")
	}
	kind := d.buf[d.pos]
	d.pos++
	switch kind {
	case '$', '!', '=':
		n, err := d.length()
		if err != nil || n < 0 {
			return err
		}
		_, err = d.take(n)
		return err
	case '*', '~', '>', '%', '|':
		n, err := d.length()
		if err != nil {
			return err
		}
		if kind == '%' || kind == '|' {
			n *= 2
		}
		for range n {
			if err := d.skip(depth + 1); err != nil {
				return err
			}
		}
		if kind == '|' { // attributes stand before an element
			return d.skip(depth + 1)
		}
		return nil
	}
	_, err := d.line()
	return err
}

// The shortest an entry and a field can be: "*2\r\n$3\r\n0-0\r\n_\r\n" and
// "$0\r\n\r\n$0\r\n\r\n".
const (
	minEntryBytes = 16
	minFieldBytes = 12
)

// entries reads an array of [ID, [name, value, …]]. An entry whose data is gone
// has no fields.
func (d *decoder) entries() ([]stream.Entry, error) {
	kind, n, err := d.head()
	if err != nil {
		return nil, err
	}
	if kind != '*' || n < 0 {
		return nil, d.fault("type %q of %d, want entries", kind, n)
	}
	if n > (len(d.buf)-d.pos)/minEntryBytes {
		return nil, d.fault("%d entries in %d bytes", n, len(d.buf)-d.pos)
	}
	entries := make([]stream.Entry, n)
	var slab []stream.Field // fields of many entries share one allocation
	for i := range entries {
		if err := d.array(2); err != nil {
			return nil, err
		}
		text, err := d.bulk()
		if err != nil {
			return nil, err
		}
		if entries[i].ID, err = stream.ParseID(text); err != nil {
			return nil, d.fault("%v", err)
		}
		count, err := d.fieldCount()
		if err != nil {
			return nil, err
		}
		if count > len(slab) {
			// As many as there would be if all that follow were like this one,
			// and never more than the bytes can hold.
			slab = make([]stream.Field, max(count, min(count*(n-i), (len(d.buf)-d.pos)/minFieldBytes)))
		}
		fields := slab[:count:count]
		slab = slab[count:]
		for j := range fields {
			if fields[j].Name, err = d.bulk(); err != nil {
				return nil, err
			}
			if fields[j].Value, err = d.bulk(); err != nil {
				return nil, err
			}
		}
		entries[i].Fields = fields
	}
	return entries, nil
}

// fieldCount reads the head of [name, value, …]; nil is 0.
func (d *decoder) fieldCount() (int, error) {
	kind, n, err := d.head()
	switch {
	case err != nil:
		return 0, err
	case n == -1 && (kind == '*' || kind == '_' || kind == '$'):
		return 0, nil
	case kind != '*' || n%2 != 0:
		return 0, d.fault("type %q of %d for fields", kind, n)
	case n/2 > (len(d.buf)-d.pos)/minFieldBytes || n > math.MaxInt32:
		return 0, d.fault("%d fields in %d bytes", n/2, len(d.buf)-d.pos)
	}
	return n / 2, nil
}
