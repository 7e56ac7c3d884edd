package redisstream

import (
	"errors"
	"fmt"
	"io"

	"example.com/fanout/pkg/stream"
)

// errReply is wrapped by every error of a reply that is not what was asked for.
var errReply = errors.New("malformed reply")

// errShort says that an element is not whole yet.
var errShort = errors.New("not all of it has arrived")

// maxText is the longest text that Redis has by default (proto-max-bulk-len);
// what claims to be longer is no reply.
const maxText = 512 << 20

// trustedBytes is how much memory is made for a text of which nothing has arrived.
const trustedBytes = 4 << 20

// wire reads RESP2 from a connection into the segments of a chunk and takes it
// apart in place: what it returns are parts of the segments. It asks the
// connection for more only when what has arrived does not hold the next
// element.
type wire struct {
	conn  io.Reader
	chunk *stream.Chunk // whose segments are filled

	seg  []byte // the present one
	r, w int    // of it: taken to r, filled to w
	rest []byte // what had arrived when the last chunk was full
	cur  cursor // on it

	// What comes first is received here: a reader that waits, as most do, holds
	// no segment.
	porch [512]byte
}

// begin goes on in the segments of c. Until enter nothing that is taken may
// be kept.
func (d *wire) begin(c *stream.Chunk) {
	d.chunk = c
	d.seg = d.porch[:]
	if len(d.rest) > len(d.seg) {
		d.seg = c.Segment(len(d.rest))
	}
	d.r, d.w = 0, copy(d.seg, d.rest)
	d.rest = d.rest[:0]
}

// enter makes room for about n bytes that are kept.
func (d *wire) enter(n int) {
	if &d.seg[0] == &d.porch[0] {
		d.move(max(d.w-d.r, min(n, stream.SegmentBytes)))
	}
}

// move goes on in another segment of n bytes or more.
func (d *wire) move(n int) {
	seg := d.chunk.Segment(n)
	d.w = copy(seg, d.seg[d.r:d.w])
	d.seg, d.r = seg, 0
}

// end lets go of the chunk; what has arrived and was not taken is kept.
func (d *wire) end() {
	d.rest = append(d.rest[:0], d.seg[d.r:d.w]...)
	d.chunk, d.seg, d.r, d.w = nil, nil, 0, 0
}

// fill waits until need bytes stand in one piece, or at least one more than have
// arrived. Memory is made for them as far as they are to be believed: it grows
// with what has arrived, not with what was announced.
func (d *wire) fill(need int) error {
	for more := true; more; more = d.w-d.r < need {
		have := d.w - d.r
		if len(d.seg)-d.r < max(have+1, min(need, max(2*have, trustedBytes))) {
			d.move(max(2*have, min(need, trustedBytes)))
		}
		n, err := d.conn.Read(d.seg[d.w:])
		d.w += n
		if n > 0 {
			continue
		}
		if err == nil {
			err = io.ErrNoProgress
		}
		return err
	}
	return nil
}

// take takes the next element apart with f, which is called again from the
// start when more has arrived.
func (d *wire) take(f func(*cursor) error) error {
	for {
		d.cur = cursor{buf: d.seg[d.r:d.w]}
		err := f(&d.cur)
		if err == nil {
			d.r += d.cur.pos
			return nil
		}
		if err != errShort { //nolint:errorlint // our own, and never wrapped
			return err
		}
		if err := d.fill(d.cur.need); err != nil {
			return err
		}
	}
}

// cursor walks over the bytes that have arrived.
type cursor struct {
	buf  []byte
	pos  int
	need int // with errShort: bytes from the start without which it makes no sense to try again
}

func (c *cursor) fault(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errReply, fmt.Sprintf(format, args...))
}

func (c *cursor) short(need int) error {
	c.need = need
	return errShort
}

// head reads the first line of an element that has a length or count; -1 is nil.
func (c *cursor) head(kind byte) (int, error) {
	i := c.pos
	if i >= len(c.buf) {
		return 0, c.short(i + 4)
	}
	if c.buf[i] != kind {
		return 0, c.fault("type %q, want %q", c.buf[i], kind)
	}
	i++
	if i+4 <= len(c.buf) && c.buf[i] == '-' && c.buf[i+1] == '1' && c.buf[i+2] == '\r' && c.buf[i+3] == '\n' {
		c.pos = i + 4
		return -1, nil
	}
	n, first := 0, i
	for ; i < len(c.buf) && c.buf[i] >= '0' && c.buf[i] <= '9'; i++ {
		if n = n*10 + int(c.buf[i]-'0'); n > maxText {
			return 0, c.fault("a length above %d", maxText)
		}
	}
	switch {
	case i+2 <= len(c.buf) && i > first && c.buf[i] == '\r' && c.buf[i+1] == '\n':
		c.pos = i + 2
		return n, nil
	case i == len(c.buf), i > first && i+1 == len(c.buf) && c.buf[i] == '\r', i == first && len(c.buf)-i < 4 && c.buf[i] == '-':
		return 0, c.short(len(c.buf) + 1)
	}
	return 0, c.fault("no length")
}

// bulk reads a text; nil is none.
func (c *cursor) bulk() ([]byte, error) {
	n, err := c.head('$')
	if err != nil || n < 0 {
		return nil, err
	}
	end := c.pos + n
	if end+2 > len(c.buf) {
		return nil, c.short(end + 2)
	}
	if c.buf[end] != '\r' || c.buf[end+1] != '\n' {
		return nil, c.fault("a text of %d bytes without end", n)
	}
	b := c.buf[c.pos:end:end]
	c.pos = end + 2
	return b, nil
}

// maxLine bounds the text of an error.
const maxLine = 64 << 10

// line reads the rest of a line.
func (c *cursor) line() ([]byte, error) {
	for i := c.pos; i+1 < len(c.buf); i++ {
		if c.buf[i] == '\r' && c.buf[i+1] == '\n' {
			b := c.buf[c.pos:i]
			c.pos = i + 2
			return b, nil
		}
		if i-c.pos > maxLine {
			return nil, c.fault("a line without end")
		}
	}
	return nil, c.short(len(c.buf) + 1)
}

// failure reads an error that the server answers: nil when what comes next is
// none.
func (c *cursor) failure() (answered reply, err error) {
	if c.pos >= len(c.buf) {
		return "", c.short(c.pos + 4)
	}
	if c.buf[c.pos] != '-' {
		return "", nil
	}
	c.pos++
	text, err := c.line()
	return reply(text), err
}

// answer reads the number of an integer, or the length of an array; an error
// that the server answers is returned as a reply.
func (c *cursor) answer(kind byte) (int, error) {
	failed, err := c.failure()
	switch {
	case err != nil:
		return 0, err
	case failed != "":
		return 0, failed
	}
	return c.head(kind)
}

// status reads an answer that says nothing, such as OK.
func (c *cursor) status() error {
	failed, err := c.failure()
	switch {
	case err != nil:
		return err
	case failed != "":
		return failed
	case c.buf[c.pos] != '+':
		return c.fault("type %q, want a status", c.buf[c.pos])
	}
	_, err = c.line()
	return err
}

// idle reads for how many milliseconds an entry has been pending, of an XPENDING
// of one entry; -1 when it is not.
func (c *cursor) idle() (int, error) {
	n, err := c.answer('*')
	if err != nil || n <= 0 {
		return -1, err
	}
	if n > 1 {
		return 0, c.fault("%d entries, want one", n)
	}
	if err = c.array(4); err == nil {
		_, err = c.bulk() // ID
	}
	if err == nil {
		_, err = c.bulk() // consumer
	}
	if err != nil {
		return 0, err
	}
	ms, err := c.head(':')
	if err == nil {
		_, err = c.head(':') // deliveries
	}
	return ms, err
}

// entries reads what stands before the entries of an XREADGROUP of one stream:
// how many there are, 0 for none, or what the server answers instead.
func (c *cursor) entries() (n int, answered reply, err error) {
	if answered, err = c.failure(); err != nil || answered != "" {
		return 0, answered, err
	}
	streams, err := c.head('*')
	if err != nil || streams < 0 {
		return 0, "", err
	}
	if streams != 1 {
		return 0, "", c.fault("%d streams", streams)
	}
	if err := c.array(2); err != nil {
		return 0, "", err
	}
	if _, err := c.bulk(); err != nil {
		return 0, "", err
	}
	n, err = c.head('*')
	return max(n, 0), "", err
}

// array reads the head of an array of n elements.
func (c *cursor) array(n int) error {
	got, err := c.head('*')
	if err == nil && got != n {
		err = c.fault("an array of %d, want %d", got, n)
	}
	return err
}

// id reads an ID.
func (c *cursor) id() (stream.ID, error) {
	text, err := c.bulk()
	if err != nil {
		return stream.ID{}, err
	}
	id, err := stream.ParseID(text)
	if err != nil {
		return stream.ID{}, c.fault("%v", err)
	}
	return id, nil
}

// entry reads [ID, [name, value, …]] into fields of the chunk. An entry whose
// data is gone has none.
func (c *cursor) entry(chunk *stream.Chunk) (e stream.Entry, err error) {
	if err := c.array(2); err != nil {
		return e, err
	}
	if e.ID, err = c.id(); err != nil {
		return e, err
	}
	n, err := c.head('*')
	if err != nil || n <= 0 {
		return e, err
	}
	if n%2 != 0 {
		return e, c.fault("%d names and values", n)
	}
	if least := c.pos + n*len("$0\r\n\r\n"); least > len(c.buf) { // before there is memory for them
		return e, c.short(least)
	}
	e.Fields = chunk.Fields(n / 2)
	for i := range e.Fields {
		f := &e.Fields[i]
		if f.Name, err = c.bulk(); err == nil {
			f.Value, err = c.bulk()
		}
		if err != nil {
			chunk.Untake(len(e.Fields))
			return e, err
		}
	}
	return e, nil
}

// skipped reads an entry without its data.
func (c *cursor) skipped() (stream.ID, error) {
	if err := c.array(2); err != nil {
		return stream.ID{}, err
	}
	id, err := c.id()
	if err != nil {
		return stream.ID{}, err
	}
	n, err := c.head('*')
	for ; err == nil && n > 0; n-- {
		_, err = c.bulk()
	}
	return id, err
}
