package stream

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"
)

// ID is the ID of a stream entry: milliseconds since 1970 and a sequence
// number. The zero ID stands before every entry. IDs are compared as two
// unsigned 64-bit numbers, never as text and never as a float.
type ID struct {
	Ms  uint64
	Seq uint64
}

// MaxID is the greatest ID that Redis can hold.
var MaxID = ID{math.MaxUint64, math.MaxUint64}

// ErrBadID is wrapped by every error of [ParseID].
var ErrBadID = errors.New("not a stream ID")

// ParseID reads "ms-seq" or "ms" (which means "ms-0"), the forms that Redis
// itself accepts. Signs, spaces and numbers beyond 64 bits are errors.
func ParseID[T string | []byte](s T) (ID, error) {
	ms, i, ok := parseUint(s, 0)
	if !ok {
		return ID{}, badID(s)
	}
	if i == len(s) {
		return ID{Ms: ms}, nil
	}
	if s[i] != '-' {
		return ID{}, badID(s)
	}
	seq, i, ok := parseUint(s, i+1)
	if !ok || i != len(s) {
		return ID{}, badID(s)
	}
	return ID{ms, seq}, nil
}

func badID[T string | []byte](s T) error {
	text := string(s)
	if len(text) > 64 {
		text = text[:64] + "…"
	}
	return fmt.Errorf("%w: %q", ErrBadID, text)
}

func parseUint[T string | []byte](s T, i int) (n uint64, end int, ok bool) {
	start := i
	for ; i < len(s); i++ {
		c := s[i]
		if c < '0' || c > '9' {
			break
		}
		d := uint64(c - '0')
		if n > (math.MaxUint64-d)/10 {
			return 0, i, false
		}
		n = n*10 + d
	}
	return n, i, i > start
}

// String gives the form "ms-seq".
func (id ID) String() string {
	var buf [41]byte
	return string(id.Append(buf[:0]))
}

// Append appends the form "ms-seq" to b.
func (id ID) Append(b []byte) []byte {
	b = strconv.AppendUint(b, id.Ms, 10)
	b = append(b, '-')
	return strconv.AppendUint(b, id.Seq, 10)
}

// Compare returns -1, 0 or +1 as id stands before, at or after other.
func (id ID) Compare(other ID) int {
	switch {
	case id.Ms < other.Ms:
		return -1
	case id.Ms > other.Ms:
		return 1
	case id.Seq < other.Seq:
		return -1
	case id.Seq > other.Seq:
		return 1
	}
	return 0
}

// Before reports whether id stands before other.
func (id ID) Before(other ID) bool { return id.Compare(other) < 0 }

// IsZero reports whether id is 0-0.
func (id ID) IsZero() bool { return id == ID{} }

// OrNil is nil for 0-0, else the ID: what is not there is null in JSON.
func (id ID) OrNil() *ID {
	if id.IsZero() {
		return nil
	}
	return &id
}

// Next returns the smallest ID after id; the next of [MaxID] is MaxID.
func (id ID) Next() ID {
	switch {
	case id.Seq < math.MaxUint64:
		return ID{id.Ms, id.Seq + 1}
	case id.Ms < math.MaxUint64:
		return ID{id.Ms + 1, 0}
	}
	return id
}

// Prev returns the greatest ID before id; the previous of 0-0 is 0-0.
func (id ID) Prev() ID {
	switch {
	case id.Seq > 0:
		return ID{id.Ms, id.Seq - 1}
	case id.Ms > 0:
		return ID{id.Ms - 1, math.MaxUint64}
	}
	return id
}

// Time is the ID's first half as a time. It says when the entry was appended
// as long as the producer lets Redis choose the IDs. IDs beyond the year 2262
// give the last millisecond that time.Time.UnixNano can hold.
func (id ID) Time() time.Time {
	return time.UnixMilli(int64(min(id.Ms, math.MaxInt64/1_000_000)))
}

// MarshalText gives the form "ms-seq".
func (id ID) MarshalText() ([]byte, error) { return id.Append(nil), nil }

// UnmarshalText is [ParseID].
func (id *ID) UnmarshalText(text []byte) error {
	parsed, err := ParseID(text)
	if err != nil {
		return err
	}
	*id = parsed
	return nil
}
