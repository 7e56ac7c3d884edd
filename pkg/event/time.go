package event

import (
	"fmt"
	"time"
)

// TimeUnit says how to read a number as a time. "" is auto.
type TimeUnit string

// The units.
const (
	Auto         TimeUnit = "auto"
	Seconds      TimeUnit = "s"
	Milliseconds TimeUnit = "ms"
	Microseconds TimeUnit = "us"
	Nanoseconds  TimeUnit = "ns"
)

// UnmarshalText accepts the names of the units.
func (u *TimeUnit) UnmarshalText(text []byte) error {
	switch unit := TimeUnit(text); unit {
	case Auto, Seconds, Milliseconds, Microseconds, Nanoseconds:
		*u = unit
		return nil
	}
	return fmt.Errorf("unknown time unit %s, expected auto, s, ms, us or ns", short(string(text)))
}

// The years that RFC 3339 and databases can write.
const (
	firstSecond = -62135596800 // 0001-01-01T00:00:00Z
	lastSecond  = 253402300799 // 9999-12-31T23:59:59Z
)

// Time reads a number since 1970 in the unit, or an RFC 3339 string, and
// returns it in UTC. A string that holds a number is read as the number.
// Fractions are exact to the nanosecond; what is finer is cut off. Times
// outside the years 1 to 9999 are errors.
//
// Auto tells the unit by the magnitude of the number. Every unit is told
// rightly from March 1973 to the year 5138:
//
//	below 1e11   s
//	below 1e14   ms
//	below 1e17   us
//	from 1e17 on ns
func (v Value) Time(unit TimeUnit) (time.Time, error) {
	switch v.kind {
	case Number:
		return numberTime(v.raw, unit)
	case String:
		text := v.text()
		if isNumber(text) {
			return numberTime(text, unit)
		}
		var t time.Time
		if err := t.UnmarshalText(text); err != nil {
			return time.Time{}, fmt.Errorf("a string of %d bytes is not a time: neither RFC 3339 nor a number", len(text))
		}
		if t = t.UTC(); t.Unix() < firstSecond || t.Unix() > lastSecond {
			return time.Time{}, fmt.Errorf("time %w in the years 1 to 9999", ErrRange)
		}
		return t, nil
	}
	return time.Time{}, v.isNot("a time")
}

func isNumber(text []byte) bool {
	if len(text) == 0 || text[0] != '-' && !isDigit(text[0]) {
		return false
	}
	end, want := scanNumber(text, 0)
	return want == "" && end == len(text)
}

// numberTime takes the digits before the point of the seconds and the nine
// after it.
func numberTime(raw []byte, unit TimeUnit) (time.Time, error) {
	d := parseDecimal(raw)
	var shift int // of the point, from the unit to seconds
	switch unit {
	case Auto, "":
		switch {
		case d.point <= 11:
			shift = 0
		case d.point <= 14:
			shift = 3
		case d.point <= 17:
			shift = 6
		default:
			shift = 9
		}
	case Seconds:
		shift = 0
	case Milliseconds:
		shift = 3
	case Microseconds:
		shift = 6
	case Nanoseconds:
		shift = 9
	default:
		return time.Time{}, fmt.Errorf("unknown time unit %s", short(string(unit)))
	}
	point := d.point - shift
	if point > 12 {
		return time.Time{}, fmt.Errorf("time %s %w in the years 1 to 9999", clip(raw), ErrRange)
	}
	var sec, nsec int64
	for i := range max(point, 0) {
		sec = sec*10 + d.digit(i)
	}
	for i := range 9 {
		nsec = nsec*10 + d.digit(point+i)
	}
	if d.negative {
		sec, nsec = -sec, -nsec
	}
	t := time.Unix(sec, nsec).UTC()
	if t.Unix() < firstSecond || t.Unix() > lastSecond {
		return time.Time{}, fmt.Errorf("time %s %w in the years 1 to 9999", clip(raw), ErrRange)
	}
	return t, nil
}
