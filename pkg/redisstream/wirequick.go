package redisstream

import "example.com/fanout/pkg/stream"

// Nearly all entries are whole, short and of the usual form. These are taken
// apart here in a third of the time; for every other one quickEntry reports
// false and has done nothing, and cursor.entry says what is wrong with it or how
// much is missing.

// next takes the next entry off the wire.
func (d *wire) next(chunk *stream.Chunk) (e stream.Entry, err error) {
	if n, ok := quickEntry(d.seg[d.r:d.w], chunk, &e); ok {
		d.r += n
		return e, nil
	}
	err = d.take(func(k *cursor) (err error) { e, err = k.entry(chunk); return err })
	return e, err
}

// quickEntry takes an entry apart that stands at the beginning of b, and returns
// its length.
func quickEntry(b []byte, chunk *stream.Chunk, e *stream.Entry) (length int, ok bool) {
	if len(b) < 4 || string(b[:4]) != "*2\r\n" {
		return 0, false
	}
	start, end := quickBulk(b, 4)
	if end < 0 || !quickID(b[start:end], &e.ID) {
		return 0, false
	}
	n, i := quickHead(b, end+2, '*')
	if i < 0 || n == 0 || n%2 != 0 {
		return 0, false
	}
	fields := chunk.Fields(n / 2)
	for k := range fields {
		f := &fields[k]
		if start, end = quickBulk(b, i); end < 0 {
			chunk.Untake(len(fields))
			return 0, false
		}
		f.Name = b[start:end:end]
		if start, end = quickBulk(b, end+2); end < 0 {
			chunk.Untake(len(fields))
			return 0, false
		}
		f.Value = b[start:end:end]
		i = end + 2
	}
	e.Fields = fields
	return i, true
}

// quickHead reads a line of a kind with a number of up to four digits; next is
// -1 for every other one.
func quickHead(b []byte, i int, kind byte) (n, next int) {
	if len(b)-i < 7 || b[i] != kind || !digit(b[i+1]) {
		return 0, -1
	}
	n = int(b[i+1] - '0')
	last := i + 5
	for i += 2; i < last && digit(b[i]); i++ {
		n = n*10 + int(b[i]-'0')
	}
	if b[i] != '\r' || b[i+1] != '\n' {
		return 0, -1
	}
	return n, i + 2
}

// quickBulk finds where a text stands; end is -1 where it is not short or not
// whole.
func quickBulk(b []byte, i int) (start, end int) {
	n, start := quickHead(b, i, '$')
	if start < 0 {
		return 0, -1
	}
	end = start + n
	if len(b)-end < 2 || b[end] != '\r' || b[end+1] != '\n' {
		return 0, -1
	}
	return start, end
}

// quickID reads an ID of numbers that cannot be too large.
func quickID(b []byte, id *stream.ID) bool {
	ms, i := quickNumber(b, 0)
	if i == 0 || i == len(b) || b[i] != '-' {
		return false
	}
	seq, end := quickNumber(b, i+1)
	if end == i+1 || end != len(b) {
		return false
	}
	*id = stream.ID{Ms: ms, Seq: seq}
	return true
}

// quickNumber reads up to 19 digits.
func quickNumber(b []byte, i int) (n uint64, end int) {
	for most := i + 19; i < len(b) && i < most && digit(b[i]); i++ {
		n = n*10 + uint64(b[i]-'0')
	}
	return n, i
}

func digit(c byte) bool { return c-'0' <= 9 }
