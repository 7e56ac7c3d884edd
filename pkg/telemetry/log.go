package telemetry

import (
	"fmt"
	"io"
	"log/slog"
)

// Attribute keys of log lines. A value has the same key wherever it stands.
const (
	KeyGroup       = "group"       // as the manifest names it
	KeyRedisGroup  = "redis_group" // as Redis names it
	KeyConsumer    = "consumer"    // name in Redis
	KeyStream      = "stream"      //
	KeyHandler     = "handler"     // type
	KeyID          = "id"          // of an entry
	KeyFirst       = "first"       // entry of a range, by its ID
	KeyLast        = "last"        // entry of that range
	KeyFrom        = "from"        // first of two IDs or states
	KeyTo          = "to"          // second of two
	KeyState       = "state"       // of a group
	KeyIncarnation = "incarnation" // of a group, from 1 on
	KeyCause       = "cause"       // of a restart
	KeyReason      = "reason"      // of everything else
	KeyError       = "error"       //
	KeyStage       = "stage"       // of a dead letter
	KeySignal      = "signal"      //
	KeyAttempt     = "attempt"     // of a delivery
	KeyEntries     = "entries"     // how many
	KeyCount       = "count"       // of everything else
	KeyDuration    = "duration"    //
	KeyNext        = "next"        // wait until the next try
	KeyOp          = "op"          // operation on Redis
	KeyAddress     = "address"     //
	KeyInstance    = "instance"    // name of this process in Redis
	KeyFile        = "file"        //
	KeyVersion     = "version"     //
)

var levels = map[string]slog.Level{
	"debug": slog.LevelDebug,
	"info":  slog.LevelInfo,
	"warn":  slog.LevelWarn,
	"error": slog.LevelError,
}

// NewLogger returns a logger that writes one line a record to w. Level is
// debug, info, warn or error. Format is json, or text: a compact form for
// people, with colours and the time of day alone if w is a terminal (tty).
// Values cannot forge lines or steer the terminal: what is not printable is
// escaped.
func NewLogger(w io.Writer, level, format string, tty bool) (*slog.Logger, error) {
	min, ok := levels[level]
	if !ok {
		return nil, fmt.Errorf("log level %q: want debug, info, warn or error", level)
	}
	switch format {
	case "text":
		return slog.New(newTextHandler(w, min, tty)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: min, ReplaceAttr: readableDuration})), nil
	}
	return nil, fmt.Errorf("log format %q: want text or json", format)
}

// readableDuration writes 1.5s where JSON would have nanoseconds.
func readableDuration(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(a.Value.Duration().String())
	}
	return a
}
