package event

import (
	"errors"
	"fmt"
	"math"
	"strconv"
)

// ErrRange is wrapped when a number or a time is too large for what it is read as.
var ErrRange = errors.New("does not fit")

// Int64 is the exact integer that a number stands for, however it is written:
// 2500, 2500.0 and 2.5e3 are the same. Numbers with a fraction, numbers beyond
// 64 bits ([ErrRange]) and all other kinds, a string of digits among them, are
// errors.
func (v Value) Int64() (int64, error) {
	if v.kind != Number {
		return 0, v.isNot("a number")
	}
	n, state := integer(v.raw)
	switch state {
	case fraction:
		return 0, fmt.Errorf("%s is not an integer", clip(v.raw))
	case tooLarge:
		return 0, fmt.Errorf("%s %w in 64 bits", clip(v.raw), ErrRange)
	}
	return n, nil
}

// Float64 is the nearest float of a number. Numbers beyond its range
// ([ErrRange]) and all other kinds are errors.
func (v Value) Float64() (float64, error) {
	if v.kind != Number {
		return 0, v.isNot("a number")
	}
	f, err := strconv.ParseFloat(string(v.raw), 64)
	if err != nil {
		return 0, fmt.Errorf("%s %w in a float", clip(v.raw), ErrRange)
	}
	return f, nil
}

// wholeness says whether a number is an integer of 64 bits.
type wholeness uint8

const (
	whole wholeness = iota
	fraction
	tooLarge
)

// integer reads a checked JSON number.
func integer(raw []byte) (int64, wholeness) {
	if n, ok := plainInt(raw); ok {
		return n, whole
	}
	d := parseDecimal(raw)
	return d.integer()
}

// plainInt reads an integer of at most 18 digits without fraction and exponent.
func plainInt(raw []byte) (n int64, ok bool) {
	digits := raw
	if raw[0] == '-' {
		digits = raw[1:]
	}
	if len(digits) > 18 {
		return 0, false
	}
	for _, c := range digits {
		if !isDigit(c) {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	if raw[0] == '-' {
		n = -n
	}
	return n, true
}

// decimal is a number as 0.d1d2d3… x 10^point, without zeros at either end.
type decimal struct {
	negative bool
	n        int
	digits   [40]byte // more are dropped: that many are no integer of 64 bits and no time
	point    int
}

// maxExponent is beyond everything that is read, and so far below the limits
// of int that one more digit and the length of a number still fit.
const maxExponent = math.MaxInt / 32

// parseDecimal reads a checked JSON number.
func parseDecimal(raw []byte) (d decimal) {
	i := 0
	if raw[0] == '-' {
		d.negative = true
		i++
	}
	zeros := 0      // since the last digit that is not 0
	behind := false // the point
	for ; i < len(raw) && raw[i]|0x20 != 'e'; i++ {
		c := raw[i]
		if c == '.' {
			behind = true
			continue
		}
		started := d.n > 0
		if !behind && (started || c != '0') {
			d.point++
		}
		if behind && !started && c == '0' {
			d.point--
		}
		if c == '0' {
			zeros++
			continue
		}
		if !started {
			zeros = 0
		}
		for ; zeros > 0 && d.n < len(d.digits); zeros-- {
			d.digits[d.n] = 0
			d.n++
		}
		zeros = 0
		if d.n < len(d.digits) {
			d.digits[d.n] = c - '0'
			d.n++
		}
	}
	if d.n == 0 {
		return decimal{}
	}
	if i < len(raw) {
		d.point += exponent(raw[i+1:])
	}
	return d
}

func exponent(raw []byte) (e int) {
	negative := raw[0] == '-'
	if raw[0] == '-' || raw[0] == '+' {
		raw = raw[1:]
	}
	for _, c := range raw {
		if e < maxExponent {
			e = e*10 + int(c-'0')
		}
	}
	if negative {
		return -e
	}
	return e
}

// digit is the one at i, also before the first and after the last.
func (d *decimal) digit(i int) int64 {
	if i < 0 || i >= d.n {
		return 0
	}
	return int64(d.digits[i])
}

func (d *decimal) integer() (int64, wholeness) {
	switch {
	case d.point > 19:
		return 0, tooLarge
	case d.n > max(d.point, 0):
		return 0, fraction
	}
	// Counting downwards reaches the lowest number, which has no positive.
	n := int64(0)
	for i := range d.point {
		digit := d.digit(i)
		if n < (math.MinInt64+digit)/10 {
			return 0, tooLarge
		}
		n = n*10 - digit
	}
	if d.negative {
		return n, whole
	}
	if n == math.MinInt64 {
		return 0, tooLarge
	}
	return -n, whole
}
