// Package logsink writes one log line for each entry: the least that a group
// can do, and a way to see what flows through a stream.
//
// A line has the message "entry", the stream and ID of the entry, and an
// attribute for each of the configured fields that the event holds. Numbers
// are written as they were published. A value of more than 4 KiB is cut, and says
// how long it was. A redelivered entry is logged again.
package logsink

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"unicode/utf8"

	"example.com/fanout/pkg/event"
	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/telemetry"
)

// Config is the part of the manifest below "log".
type Config struct {
	Level  string `yaml:"level" default:"info" enum:"debug,info,warn,error,none" doc:"level of the lines; with none, or below --log-level, entries are only counted"`
	Fields Fields `yaml:"fields" doc:"attribute name to path in the event, a path that an event lacks is left out; default: trade_id, market_id, odds, stake and traded_at of a trade"`
}

// Fields are what a line tells of an event, in order.
type Fields []Field

// Field is one attribute of a line.
type Field struct {
	Name string `yaml:",key"`
	Path string `yaml:",value"`
}

// trade is what a line tells of a trade, unless the manifest says otherwise.
var trade = Fields{
	{"trade_id", "trade_id"},
	{"market_id", "market_id"},
	{"odds", "odds.ticks"},
	{"stake", "stake.value"},
	{"traded_at", "timestamp"},
}

// none is the level "none": no logger has it enabled.
const none = slog.Level(-1 << 30)

var levels = map[string]slog.Level{
	"debug": slog.LevelDebug,
	"info":  slog.LevelInfo,
	"warn":  slog.LevelWarn,
	"error": slog.LevelError,
	"none":  none,
}

// reserved are attributes that every line has without asking.
var reserved = []string{
	slog.TimeKey, slog.LevelKey, slog.MessageKey,
	telemetry.KeyGroup, telemetry.KeyStream, telemetry.KeyID,
}

// Factory makes the handler type "log".
func Factory() handler.Factory {
	return handler.Factory{
		Doc:    "writes one log line an entry",
		Config: func() handler.Config { return &Config{Level: "info", Fields: slices.Clone(trade)} },
	}
}

// Check implements [handler.Config].
func (c *Config) Check() []handler.Finding {
	var found []handler.Finding
	fault := func(path, format string, args ...any) {
		found = append(found, handler.Finding{Path: path, Message: fmt.Sprintf(format, args...)})
	}
	if _, ok := levels[c.Level]; !ok {
		fault("level", "must be debug, info, warn, error or none")
	}
	seen := map[string]bool{}
	for _, f := range c.Fields {
		path := "fields." + f.Name
		switch {
		case f.Name == "":
			fault("fields", "an attribute has no name")
		case slices.Contains(reserved, f.Name):
			fault(path, "every line has an attribute of that name already")
		case seen[f.Name]:
			fault(path, "named twice")
		}
		seen[f.Name] = true
		if _, err := event.ParsePath(f.Path); err != nil {
			fault(path, "%v", err)
		}
	}
	return found
}

// Repeats implements [handler.Repeater].
func (c *Config) Repeats() handler.Repetition {
	return handler.Repetition{Effect: "is logged again"}
}

// Local implements [handler.Local].
func (c *Config) Local() {}

// Preview implements [handler.Previewer]: it gives the attributes of the line.
func (c *Config) Preview(_ handler.Env, d *handler.Delivery) (any, error) {
	w, err := c.writer(nil)
	if err != nil {
		return nil, err
	}
	line := map[string]any{}
	for _, a := range w.describe(nil, d) {
		line[a.Key] = a.Value.Any()
	}
	return line, nil
}

// New implements [handler.Config].
func (c *Config) New(env handler.Env) (handler.Handler, error) { return c.writer(env.Logger) }

func (c *Config) writer(logger *slog.Logger) (*writer, error) {
	level, ok := levels[c.Level]
	if !ok {
		return nil, fmt.Errorf("prepare log: no level %q", c.Level)
	}
	w := &writer{logger: logger, level: level}
	for _, f := range c.Fields {
		path, err := event.ParsePath(f.Path)
		if err != nil {
			return nil, fmt.Errorf("prepare log: field %s: %w", f.Name, err)
		}
		w.fields = append(w.fields, field{f.Name, path})
	}
	return w, nil
}

// writer is the handler. It does not change, so it is safe for concurrent use.
type writer struct {
	logger *slog.Logger
	level  slog.Level
	fields []field
}

type field struct {
	name string
	path event.Path
}

// Handle implements [handler.Handler].
func (w *writer) Handle(ctx context.Context, batch *handler.Batch) error {
	if w.level == none || !w.logger.Enabled(ctx, w.level) {
		return nil
	}
	attrs := make([]slog.Attr, 0, len(w.fields)+2)
	for i := range batch.Deliveries {
		if ctx.Err() != nil {
			return unwritten(ctx, len(batch.Deliveries), i)
		}
		attrs = w.describe(attrs[:0], &batch.Deliveries[i])
		w.logger.LogAttrs(ctx, w.level, "entry", attrs...)
	}
	return nil
}

// describe appends the attributes of a line. They refer to no byte of d.
func (w *writer) describe(attrs []slog.Attr, d *handler.Delivery) []slog.Attr {
	attrs = append(attrs, slog.String(telemetry.KeyStream, d.Stream), slog.String(telemetry.KeyID, d.ID.String()))
	for i := range w.fields {
		f := &w.fields[i]
		if v, ok := d.Event.Lookup(f.path); ok {
			attrs = append(attrs, slog.Attr{Key: f.name, Value: valueOf(v)})
		}
	}
	return attrs
}

func valueOf(v event.Value) slog.Value {
	switch v.Kind() {
	case event.Null:
		return slog.AnyValue(nil)
	case event.Bool:
		b, _ := v.Bool()
		return slog.BoolValue(b)
	case event.Number:
		if n, err := v.Int64(); err == nil {
			return slog.Int64Value(n)
		}
		if len(v.Raw()) <= maxValue {
			return slog.AnyValue(json.Number(v.Text()))
		}
	}
	return slog.StringValue(cut(v.Text()))
}

// maxValue is how many bytes of a value a line holds: one event must not fill
// the log.
const maxValue = 4 << 10

// cut shortens what is too long, between two characters.
func cut(text string) string {
	if len(text) <= maxValue {
		return text
	}
	end := maxValue
	for end > maxValue-utf8.UTFMax && !utf8.RuneStart(text[end]) {
		end--
	}
	return fmt.Sprintf("%s… (%d bytes)", text[:end], len(text))
}

// unwritten is the error of a call whose ctx ended before its i-th line: the
// lines before stand, and only what was not written comes again.
func unwritten(ctx context.Context, n, i int) error {
	err := fmt.Errorf("write log line: %w", context.Cause(ctx))
	if i == 0 {
		return err
	}
	var failed handler.BatchError
	for ; i < n; i++ {
		failed.Fail(i, handler.Unavailable(err)) // had no attempt
	}
	return &failed
}

// Close implements [handler.Handler].
func (w *writer) Close() error { return nil }
