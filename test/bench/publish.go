package main

import (
	"fmt"
	"io"
	"net"
	"strconv"
)

// publisher appends entries to a stream without waiting for the answers. It is
// not safe for concurrent use.
type publisher struct {
	conn   net.Conn
	stream string
	out    []byte
}

func newPublisher(addr, stream string) (*publisher, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("connect to publish: %w", err)
	}
	go func() { _, _ = io.Copy(io.Discard, conn) }() // ends with the connection
	return &publisher{conn: conn, stream: stream}, nil
}

func (p *publisher) close() { _ = p.conn.Close() }

// add appends an entry with the field of the shipped manifest. It is sent when
// there is much to send, and by flush.
func (p *publisher) add(id string, event []byte) error {
	p.out = append(p.out, "*5\r\n$4\r\nXADD\r\n"...)
	p.out = appendBulk(p.out, p.stream)
	p.out = appendBulk(p.out, id)
	p.out = appendBulk(p.out, "event")
	p.out = appendBulk(p.out, event)
	if len(p.out) > 128<<10 {
		return p.flush()
	}
	return nil
}

func (p *publisher) flush() error {
	_, err := p.conn.Write(p.out)
	p.out = p.out[:0]
	return err
}

func appendBulk[T string | []byte](b []byte, text T) []byte {
	b = append(b, '$')
	b = strconv.AppendInt(b, int64(len(text)), 10)
	b = append(b, "\r\n"...)
	b = append(b, text...)
	return append(b, "\r\n"...)
}
