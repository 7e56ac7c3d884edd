package stream

import "time"

// Chunk is what one read has brought, with the memory that its deliveries
// refer to. Whoever reads owns it: it is filled by one read, and may be filled
// again when nothing of it is used any more. The zero Chunk is ready for use;
// it is not safe for concurrent use.
type Chunk struct {
	// Limit is how many bytes of names and values to stop after; 0 is no limit.
	// The delivery that reaches it is still among the deliveries.
	Limit int

	Deliveries []Delivery

	// More reports that Redis has delivered more than is here: the next read
	// goes on with that, and asks Redis for nothing.
	More bool

	// Since is when the answer that holds these deliveries began to arrive: their
	// idle times began shortly before.
	Since time.Time

	segments [][]byte
	used     int // segments that hold bytes
	fields   []Field
	taken    int // of fields
}

// What a chunk keeps when it is filled again.
const (
	// SegmentBytes is the usual size of a segment; the first ones of a chunk are
	// smaller.
	SegmentBytes = 64 << 10

	firstSegment  = 4 << 10
	maxKeptBytes  = 1 << 20
	maxKeptFields = 16 << 10
)

// Reset empties the chunk and keeps its memory, unless that has become large.
// Limit stays.
func (c *Chunk) Reset() {
	kept := 0
	for i, s := range c.segments {
		if kept += cap(s); kept > maxKeptBytes {
			clear(c.segments[i:])
			c.segments = c.segments[:i]
			break
		}
	}
	if len(c.fields) > maxKeptFields {
		c.fields = nil
	}
	clear(c.fields[:min(c.taken, len(c.fields))]) // they may refer to segments that were let go
	c.used, c.taken = 0, 0
	clear(c.Deliveries)
	c.Deliveries, c.More, c.Since = c.Deliveries[:0], false, time.Time{}
}

// Segment returns at least n bytes that stay as they are until Reset.
func (c *Chunk) Segment(n int) []byte {
	if c.used < len(c.segments) && cap(c.segments[c.used]) < n {
		c.segments[c.used] = nil // too small: a larger one takes its place
	}
	if c.used == len(c.segments) {
		c.segments = append(c.segments, nil)
	}
	if c.segments[c.used] == nil {
		c.segments[c.used] = make([]byte, max(n, min(firstSegment<<c.used, SegmentBytes)))
	}
	c.used++
	return c.segments[c.used-1]
}

// Fields returns n fields that are the caller's until Reset.
func (c *Chunk) Fields(n int) []Field {
	if c.taken+n > len(c.fields) {
		// What was handed out stays alive by those who hold it.
		c.fields = make([]Field, max(n, min(2*len(c.fields), maxKeptFields), 64))
		c.taken = 0
	}
	f := c.fields[c.taken : c.taken+n : c.taken+n]
	c.taken += n
	return f
}

// Untake gives back the n fields that were taken last.
func (c *Chunk) Untake(n int) { c.taken -= n }
