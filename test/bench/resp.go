package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"strconv"
)

// line is one connection to Redis with no more around its bytes than is
// needed: what it reads is taken apart where it lies in the buffer. It is not
// safe for concurrent use.
type line struct {
	conn net.Conn
	in   []byte
	r, w int // of in: taken to r, filled to w
	out  []byte
}

func dialLine(addr string) (*line, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	return newLine(conn), nil
}

func newLine(conn net.Conn) *line { return &line{conn: conn, in: make([]byte, 256<<10)} }

// command adds a command to what flush sends.
func (l *line) command(args ...string) {
	l.head('*', len(args))
	for _, a := range args {
		l.out = appendBulk(l.out, a)
	}
}

func (l *line) head(kind byte, n int) {
	l.out = append(l.out, kind)
	l.out = strconv.AppendInt(l.out, int64(n), 10)
	l.out = append(l.out, "\r\n"...)
}

func (l *line) flush() error {
	_, err := l.conn.Write(l.out)
	l.out = l.out[:0]
	return err
}

// fill waits for more bytes. Parts of the buffer that were handed out before
// are no longer valid.
func (l *line) fill() error {
	if l.r > 0 {
		l.w = copy(l.in, l.in[l.r:l.w])
		l.r = 0
	}
	if l.w == len(l.in) {
		l.in = append(l.in, make([]byte, len(l.in))...)
	}
	n, err := l.conn.Read(l.in[l.w:])
	l.w += n
	if n > 0 {
		return nil
	}
	return err
}

// number reads the first line of an element of the given kind; -1 is nil.
func (l *line) number(kind byte) (int, error) {
	for {
		if end := bytes.IndexByte(l.in[l.r:l.w], '\n'); end >= 0 {
			text := l.in[l.r : l.r+end+1]
			l.r += end + 1
			if text[0] != kind || len(text) < len("$0\r\n") {
				return 0, fmt.Errorf("redis answers %q", text)
			}
			n, sign := 0, 1
			digits := text[1 : len(text)-2]
			if digits[0] == '-' {
				digits, sign = digits[1:], -1
			}
			for _, d := range digits {
				n = n*10 + int(d-'0')
			}
			return sign * n, nil
		}
		if err := l.fill(); err != nil {
			return 0, err
		}
	}
}

// bulk reads a text, which is valid until the next element is read.
func (l *line) bulk() ([]byte, error) {
	n, err := l.number('$')
	if err != nil {
		return nil, err
	}
	if n < 0 {
		return nil, errors.New("redis answers nil where a text must be")
	}
	for l.w-l.r < n+2 {
		if err := l.fill(); err != nil {
			return nil, err
		}
	}
	text := l.in[l.r : l.r+n]
	l.r += n + 2
	return text, nil
}

// entries reads the answer to an XREADGROUP of one stream and gives each entry
// with one field to f; it returns their number, 0 for none.
func (l *line) entries(f func(id, value []byte)) (int, error) {
	streams, err := l.number('*')
	if err != nil || streams < 0 {
		return 0, err
	}
	if _, err := l.number('*'); err != nil {
		return 0, err
	}
	if _, err := l.bulk(); err != nil {
		return 0, err
	}
	n, err := l.number('*')
	if err != nil {
		return 0, err
	}
	var id [48]byte
	for range n {
		if _, err := l.number('*'); err != nil {
			return 0, err
		}
		text, err := l.bulk()
		if err != nil {
			return 0, err
		}
		length := copy(id[:], text)
		if _, err := l.number('*'); err != nil {
			return 0, err
		}
		if _, err := l.bulk(); err != nil {
			return 0, err
		}
		value, err := l.bulk()
		if err != nil {
			return 0, err
		}
		f(id[:length], value)
	}
	return n, nil
}
