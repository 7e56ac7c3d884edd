package live

import (
	"bufio"
	"net/http"
	"time"
)

const (
	writeTimeout = 10 * time.Second // of one piece to a client
	pieceSize    = 64 << 10
	lineBuffer   = 8 << 10 // small events go out together
)

// line is the way to a client. Small texts are collected for flush, large ones are
// written from where they are.
type line struct {
	w          http.ResponseWriter
	controller *http.ResponseController
	out        *bufio.Writer
	wrote      bool // since the last flush
}

// newLine begins an answer of server-sent events.
func newLine(w http.ResponseWriter) *line {
	l := &line{w: w, controller: http.NewResponseController(w)}
	l.out = bufio.NewWriterSize(l, lineBuffer)
	_ = l.controller.SetReadDeadline(time.Time{}) // the request has been read
	head := w.Header()
	head.Set("Content-Type", "text/event-stream")
	head.Set("X-Accel-Buffering", "no") // for a proxy in between
	w.WriteHeader(http.StatusOK)
	return l
}

// text and bytes send a part of an event. Errors come with flush.
func (l *line) text(parts ...string) {
	for _, part := range parts {
		_, _ = l.out.WriteString(part)
	}
	l.wrote = true
}

func (l *line) bytes(b []byte) { _, _ = l.out.Write(b) }

// flush lets the client have what was sent, and reports whether that was
// anything.
func (l *line) flush() (sent bool, err error) {
	if !l.wrote {
		return false, nil
	}
	l.wrote = false
	if err := l.out.Flush(); err != nil {
		return false, err
	}
	l.deadline()
	return true, l.controller.Flush()
}

// Write implements [io.Writer] for the buffer. Each piece has its own deadline: a
// client that takes nothing is given up, a slow one gets a large event in time.
func (l *line) Write(b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		l.deadline()
		var m int
		m, err = l.w.Write(b[n:min(n+pieceSize, len(b))])
		n += m
	}
	return n, err
}

func (l *line) deadline() { _ = l.controller.SetWriteDeadline(time.Now().Add(writeTimeout)) }
