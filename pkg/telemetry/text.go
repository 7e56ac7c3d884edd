package telemetry

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"
)

// textHandler writes records for people:
//
//	10:32:00.123 WARN  group tripped group=analytics error="no such table: trades"
type textHandler struct {
	out    *lockedWriter
	level  slog.Level
	tty    bool
	attrs  []byte // of With, ready to be written
	prefix string // of WithGroup, before every key
}

type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}

func newTextHandler(w io.Writer, level slog.Level, tty bool) *textHandler {
	return &textHandler{out: &lockedWriter{w: w}, level: level, tty: tty}
}

// buffers holds buffers of lines that were written; what one huge line needed
// is not kept.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

const maxBuffer = 16 << 10

const (
	fileTime     = "2006-01-02T15:04:05.000Z07:00"
	terminalTime = "15:04:05.000"

	plain  = "\x1b[0m"
	faint  = "\x1b[2m"
	bold   = "\x1b[1m"
	red    = "\x1b[31m"
	yellow = "\x1b[33m"
	green  = "\x1b[32m"
)

func (h *textHandler) Enabled(_ context.Context, level slog.Level) bool { return level >= h.level }

func (h *textHandler) Handle(_ context.Context, r slog.Record) error {
	buf := buffers.Get().(*[]byte)
	b := (*buf)[:0]

	b = h.appendTime(b, r.Time)
	b = h.appendLevel(b, r.Level)
	b = append(b, ' ')
	b = appendMessage(b, r.Message)
	b = append(b, h.attrs...)
	r.Attrs(func(a slog.Attr) bool {
		b = h.appendAttr(b, h.prefix, a)
		return true
	})
	b = append(b, '\n')

	_, err := h.out.Write(b)
	if cap(b) <= maxBuffer {
		*buf = b
		buffers.Put(buf)
	}
	return err
}

func (h *textHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *h
	with.attrs = append([]byte(nil), h.attrs...)
	for _, a := range attrs {
		with.attrs = h.appendAttr(with.attrs, h.prefix, a)
	}
	return &with
}

func (h *textHandler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	with := *h
	with.prefix = h.prefix + name + "."
	return &with
}

func (h *textHandler) appendTime(b []byte, t time.Time) []byte {
	switch {
	case t.IsZero():
		return b
	case h.tty:
		b = append(b, faint...)
		b = t.AppendFormat(b, terminalTime)
		b = append(b, plain...)
	default:
		b = t.AppendFormat(b, fileTime)
	}
	return append(b, ' ')
}

func (h *textHandler) appendLevel(b []byte, level slog.Level) []byte {
	name, colour := "DEBUG", faint
	switch {
	case level >= slog.LevelError:
		name, colour = "ERROR", red+bold
	case level >= slog.LevelWarn:
		name, colour = "WARN ", yellow
	case level >= slog.LevelInfo:
		name, colour = "INFO ", green
	}
	if !h.tty {
		return append(b, name...)
	}
	b = append(b, colour...)
	b = append(b, name...)
	return append(b, plain...)
}

func (h *textHandler) appendAttr(b []byte, prefix string, a slog.Attr) []byte {
	v := a.Value.Resolve()
	if v.Kind() == slog.KindGroup {
		if a.Key != "" {
			prefix += a.Key + "."
		}
		for _, member := range v.Group() {
			b = h.appendAttr(b, prefix, member)
		}
		return b
	}
	if a.Equal(slog.Attr{}) {
		return b
	}
	b = append(b, ' ')
	if h.tty {
		b = append(b, faint...)
	}
	b = appendText(b, prefix+a.Key)
	b = append(b, '=')
	if h.tty {
		b = append(b, plain...)
	}
	return appendValue(b, v)
}

func appendValue(b []byte, v slog.Value) []byte {
	switch v.Kind() {
	case slog.KindString:
		return appendText(b, v.String())
	case slog.KindInt64:
		return strconv.AppendInt(b, v.Int64(), 10)
	case slog.KindUint64:
		return strconv.AppendUint(b, v.Uint64(), 10)
	case slog.KindFloat64:
		return strconv.AppendFloat(b, v.Float64(), 'g', -1, 64)
	case slog.KindBool:
		return strconv.AppendBool(b, v.Bool())
	case slog.KindDuration:
		return append(b, v.Duration().String()...)
	case slog.KindTime:
		return v.Time().AppendFormat(b, fileTime)
	}
	switch x := v.Any().(type) {
	case []byte:
		return appendText(b, string(x))
	case error, fmt.Stringer:
		return appendText(b, fmt.Sprintf("%v", x)) // fmt survives a panic of its methods
	default:
		return appendText(b, fmt.Sprintf("%+v", x))
	}
}

// appendText appends s as it is, or quoted if that would not be one word of
// printable characters.
func appendText(b []byte, s string) []byte {
	if s == "" {
		return append(b, `""`...)
	}
	for _, r := range s {
		if r == ' ' || r == '"' || r == '=' || !printable(r) {
			return strconv.AppendQuote(b, s)
		}
	}
	return append(b, s...)
}

// appendMessage is appendText for messages, which may have spaces.
func appendMessage(b []byte, s string) []byte {
	for _, r := range s {
		if !printable(r) {
			return strconv.AppendQuote(b, s)
		}
	}
	return append(b, s...)
}

func printable(r rune) bool { return r != utf8.RuneError && unicode.IsPrint(r) }
