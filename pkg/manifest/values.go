package manifest

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"example.com/fanout/pkg/stream"
)

// Size is a number of bytes, written as 4MiB, 64KiB, 1GiB or plain bytes.
type Size int64

var sizeUnits = []struct {
	name  string
	bytes int64
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}

// String gives the largest unit that holds the size exactly.
func (s Size) String() string {
	for _, unit := range sizeUnits {
		if n := int64(s); n != 0 && n%unit.bytes == 0 && unit.bytes > 1 {
			return strconv.FormatInt(n/unit.bytes, 10) + unit.name
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// MarshalText is [Size.String].
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

var errSize = errors.New("want a number of bytes such as 4MiB, 64KiB, 1GiB or 1024")

// UnmarshalText reads digits and an optional unit.
func (s *Size) UnmarshalText(text []byte) error {
	digits, factor := string(text), int64(1)
	for _, unit := range sizeUnits {
		if rest, ok := strings.CutSuffix(digits, unit.name); ok {
			digits, factor = rest, unit.bytes
			break
		}
	}
	n, err := parseDecimal(digits)
	if err != nil || n < 0 || n > math.MaxInt64/factor {
		return errSize
	}
	*s = Size(n * factor)
	return nil
}

// Linger is how long a batch waits to fill, or LingerAuto.
type Linger time.Duration

// LingerAuto waits before reads and not before calls: under live traffic, when a
// read has brought some entries but not all that it asked for, the next one begins
// a millisecond later. A backlog and a group with nothing to do wait for nothing.
const LingerAuto Linger = -1

// Wait is how long a batch waits to fill.
func (l Linger) Wait() time.Duration { return max(0, time.Duration(l)) }

// Apart is how far apart reads are under live traffic at least.
func (l Linger) Apart() time.Duration {
	if l == LingerAuto {
		return time.Millisecond
	}
	return 0
}

// String gives the form that UnmarshalText reads.
func (l Linger) String() string {
	if l == LingerAuto {
		return "auto"
	}
	return short(time.Duration(l))
}

// MarshalText is [Linger.String].
func (l Linger) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

var errLinger = errors.New("want auto, or a duration such as 5ms or 1s")

// UnmarshalText reads "auto" or a duration.
func (l *Linger) UnmarshalText(text []byte) error {
	if string(text) == "auto" {
		*l = LingerAuto
		return nil
	}
	d, err := time.ParseDuration(string(text))
	if err != nil {
		return errLinger
	}
	if d < 0 {
		return errNegative
	}
	*l = Linger(d)
	return nil
}

// StartKind is the form of a Start.
type StartKind uint8

// The forms.
const (
	StartEarliest StartKind = iota
	StartLatest
	StartAfter // after the entry ID
)

// Start is where a group begins. A time t is StartAfter the last ID before t.
type Start struct {
	Kind StartKind
	ID   stream.ID
}

// String gives the form that UnmarshalText reads; a time comes out as an ID.
func (s Start) String() string {
	switch s.Kind {
	case StartEarliest:
		return "earliest"
	case StartLatest:
		return "latest"
	}
	return s.ID.String()
}

// MarshalText is [Start.String].
func (s Start) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

var (
	errStart  = errors.New("want earliest, latest, an entry ID such as 1763856000123-0, or an RFC 3339 time such as 2025-11-23T00:00:00Z")
	errBefore = errors.New("is before 1970, write earliest")
)

// UnmarshalText reads earliest, latest, an entry ID or an RFC 3339 time.
func (s *Start) UnmarshalText(text []byte) error {
	switch string(text) {
	case "earliest":
		*s = Start{Kind: StartEarliest}
		return nil
	case "latest":
		*s = Start{Kind: StartLatest}
		return nil
	}
	if id, err := stream.ParseID(text); err == nil {
		*s = Start{Kind: StartAfter, ID: id}
		return nil
	}
	t, err := time.Parse(time.RFC3339, string(text))
	if err != nil {
		return errStart
	}
	ms := t.UnixMilli()
	if ms < 0 {
		return errBefore
	}
	*s = Start{Kind: StartAfter, ID: stream.ID{Ms: uint64(ms)}.Prev()}
	return nil
}

// parseDecimal reads a whole number as everybody reads it: no leading zeros
// (octal to some), no hexadecimal, no underscores.
func parseDecimal(s string) (int64, error) {
	digits := strings.TrimPrefix(s, "-")
	if digits == "" || digits[0] < '0' || digits[0] > '9' || len(digits) > 1 && digits[0] == '0' {
		return 0, strconv.ErrSyntax
	}
	return strconv.ParseInt(s, 10, 64)
}
