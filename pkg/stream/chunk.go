package stream

import (
	"sync"
	"time"
)

// Chunk is what one read has brought. Whoever reads owns it: it is filled by one
// read, and may be filled again when nothing of it is used any more. It has no
// memory of its own: it borrows some when the first bytes come, and Reset gives
// that back, for any other Chunk of the process. So memory is held for what has
// come in, however many wait. The zero Chunk is ready for use; it is not safe
// for concurrent use.
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

	mem *memory // nil: none is borrowed
}

// memory is what the deliveries of a chunk are made of.
type memory struct {
	segments   [][]byte
	used       int // segments that hold bytes
	fields     []Field
	taken      int // of fields
	deliveries []Delivery
}

// What memory keeps when it is given back.
const (
	// SegmentBytes is the usual size of a segment; the first ones are smaller.
	SegmentBytes = 64 << 10

	firstSegment      = 4 << 10
	maxKeptBytes      = 1 << 20
	maxKeptFields     = 16 << 10
	maxKeptDeliveries = 4 << 10
)

var memories = sync.Pool{New: func() any { return &memory{} }}

// memory borrows some where there is none.
func (c *Chunk) memory() *memory {
	if c.mem == nil {
		c.mem = memories.Get().(*memory)
		if c.Deliveries == nil {
			c.Deliveries = c.mem.deliveries
		}
	}
	return c.mem
}

// Reset empties the chunk: nothing that was in it may be used any more. Limit
// stays.
func (c *Chunk) Reset() {
	if c.mem != nil {
		c.mem.release(c.Deliveries)
		memories.Put(c.mem)
	}
	*c = Chunk{Limit: c.Limit}
}

// release forgets what is in the memory, and lets go of it where it has become
// large.
func (m *memory) release(deliveries []Delivery) {
	kept := 0
	for i, s := range m.segments {
		if kept += cap(s); kept > maxKeptBytes {
			clear(m.segments[i:])
			m.segments = m.segments[:i]
			break
		}
	}
	if len(m.fields) > maxKeptFields {
		m.fields = nil
	}
	clear(m.fields[:min(m.taken, len(m.fields))]) // they may refer to segments that were let go
	m.used, m.taken = 0, 0
	clear(deliveries)
	if m.deliveries = deliveries[:0]; cap(deliveries) > maxKeptDeliveries {
		m.deliveries = nil
	}
}

// Segment returns at least n bytes that stay as they are until Reset.
func (c *Chunk) Segment(n int) []byte {
	m := c.memory()
	if m.used < len(m.segments) && cap(m.segments[m.used]) < n {
		m.segments[m.used] = nil // too small: a larger one takes its place
	}
	if m.used == len(m.segments) {
		m.segments = append(m.segments, nil)
	}
	if m.segments[m.used] == nil {
		m.segments[m.used] = make([]byte, max(n, min(firstSegment<<m.used, SegmentBytes)))
	}
	m.used++
	return m.segments[m.used-1]
}

// Fields returns n fields that are the caller's until Reset.
func (c *Chunk) Fields(n int) []Field {
	m := c.memory()
	if m.taken+n > len(m.fields) {
		// What was handed out stays alive by those who hold it.
		m.fields = make([]Field, max(n, min(2*len(m.fields), maxKeptFields), 64))
		m.taken = 0
	}
	f := m.fields[m.taken : m.taken+n : m.taken+n]
	m.taken += n
	return f
}

// Untake gives back the n fields that were taken last.
func (c *Chunk) Untake(n int) { c.mem.taken -= n }
