package telemetry_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"example.com/fanout/pkg/telemetry"
)

// handle has a logger of that kind write one record of a fixed time.
func handle(t *testing.T, format string, tty bool, with func(*slog.Logger) *slog.Logger, level slog.Level, msg string, args ...any) string {
	t.Helper()
	var b strings.Builder
	logger, err := telemetry.NewLogger(&b, "debug", format, tty)
	if err != nil {
		t.Fatal(err)
	}
	if with != nil {
		logger = with(logger)
	}
	r := slog.NewRecord(time.Date(2025, 11, 23, 10, 32, 0, 123_000_000, time.UTC), level, msg, 0)
	r.Add(args...)
	if err := logger.Handler().Handle(context.Background(), r); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

type broken struct{ s string }

func (b *broken) Error() string { return b.s } // panics for nil

func TestTextLines(t *testing.T) {
	t.Parallel()
	const head = "2025-11-23T10:32:00.123Z "
	for name, tt := range map[string]struct {
		with  func(*slog.Logger) *slog.Logger
		level slog.Level
		msg   string
		args  []any
		want  string
	}{
		"plain": {
			level: slog.LevelWarn, msg: "group tripped", args: []any{"group", "analytics", "restarts", 5},
			want: "WARN  group tripped group=analytics restarts=5",
		},
		"levels between": {level: slog.LevelInfo + 1, msg: "m", want: "INFO  m"},
		"kinds": {
			msg: "m",
			args: []any{
				"d", 1500 * time.Millisecond, "b", true, "u", uint64(18446744073709551615), "f", 0.25, "raw", []byte("x y"),
				"at", time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC), "nil", nil, "slice", []int{1, 2},
			},
			want: `INFO  m d=1.5s b=true u=18446744073709551615 f=0.25 raw="x y" at=2025-01-02T03:04:05.000Z nil=<nil> slice="[1 2]"`,
		},
		"quotes": {
			msg: "m", args: []any{"error", errors.New(`no "x"`), "empty", "", "pair", "a=b"},
			want: `INFO  m error="no \"x\"" empty="" pair="a=b"`,
		},
		"groups": {
			with: func(l *slog.Logger) *slog.Logger { return l.With("a", 1).WithGroup("g").With("b", 2).WithGroup("") },
			msg:  "m", args: []any{"c", 3, slog.Group("h", "d", 4), slog.Group("none"), slog.Group("", "e", 5)},
			want: "INFO  m a=1 g.b=2 g.c=3 g.h.d=4 g.e=5",
		},
		"forged line": {
			msg: "m\nx", args: []any{"k\n", "v\n2025-11-23 ERROR forged"},
			want: `INFO  "m\nx" "k\n"="v\n2025-11-23 ERROR forged"`,
		},
		"terminal codes": {
			msg: "m", args: []any{"v", "\x1b[31mred", "rtl", "a\u202eb", "bad", "\xff"},
			want: `INFO  m v="\x1b[31mred" rtl="a\u202eb" bad="\xff"`,
		},
		"panicking error": {
			msg: "m", args: []any{"error", (*broken)(nil)},
			want: `INFO  m error=<nil>`,
		},
		"letters of all scripts": {msg: "m", args: []any{"v", "größe→日本"}, want: "INFO  m v=größe→日本"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := handle(t, "text", false, tt.with, tt.level, tt.msg, tt.args...)
			if want := head + tt.want + "\n"; got != want {
				t.Errorf("\n got %s want %s", got, want)
			}
		})
	}
}

func TestColoursOnlyOnATerminal(t *testing.T) {
	t.Parallel()
	line := func(tty bool) string { return handle(t, "text", tty, nil, slog.LevelError, "m", "k", "v") }
	if got := line(false); strings.Contains(got, "\x1b") {
		t.Errorf("escape codes without a terminal: %q", got)
	}
	got := line(true)
	if !strings.Contains(got, "\x1b[31m") || strings.Contains(got, "2025") {
		t.Errorf("on a terminal: %q, want colours and the time of day alone", got)
	}
	if last := strings.LastIndex(got, "\x1b["); !strings.HasPrefix(got[last:], "\x1b[0m") {
		t.Errorf("a colour is left on: %q", got)
	}
}

func TestJSONLines(t *testing.T) {
	t.Parallel()
	line := handle(t, "json", true, nil, slog.LevelInfo, "m", "wait", 1500*time.Millisecond, "error", fmt.Errorf("a\nb"), "n", int64(9007199254740993))
	var got map[string]any
	if err := json.Unmarshal([]byte(line), &got); err != nil {
		t.Fatalf("%v: %s", err, line)
	}
	if got["wait"] != "1.5s" || got["error"] != "a\nb" || got["level"] != "INFO" || got["msg"] != "m" {
		t.Errorf("line is %s", line)
	}
	if !strings.Contains(line, "9007199254740993") {
		t.Errorf("the integer is not exact: %s", line)
	}
}

func TestLevels(t *testing.T) {
	t.Parallel()
	for level, want := range map[string]int{"debug": 4, "info": 3, "warn": 2, "error": 1} {
		for _, format := range []string{"text", "json"} {
			var b strings.Builder
			logger, err := telemetry.NewLogger(&b, level, format, false)
			if err != nil {
				t.Fatal(err)
			}
			logger.Debug("m")
			logger.Info("m")
			logger.Warn("m")
			logger.Error("m")
			if n := strings.Count(b.String(), "\n"); n != want {
				t.Errorf("level %s writes %d lines as %s, want %d", level, n, format, want)
			}
		}
	}
	for _, tt := range [][2]string{{"loud", "text"}, {"", "text"}, {"INFO+2", "text"}, {"info", "xml"}, {"info", ""}} {
		if _, err := telemetry.NewLogger(nil, tt[0], tt[1], false); err == nil {
			t.Errorf("level %q, format %q is accepted", tt[0], tt[1])
		}
	}
}
