package logsink_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/handler/handlertest"
	"example.com/fanout/pkg/sink/logsink"
)

func config(changes ...func(*logsink.Config)) *logsink.Config {
	c := logsink.Factory().Config().(*logsink.Config)
	for _, change := range changes {
		change(c)
	}
	return c
}

func level(name string) func(*logsink.Config) {
	return func(c *logsink.Config) { c.Level = name }
}

func fields(pairs ...string) func(*logsink.Config) {
	return func(c *logsink.Config) {
		c.Fields = nil
		for i := 0; i < len(pairs); i += 2 {
			c.Fields = append(c.Fields, logsink.Field{Name: pairs[i], Path: pairs[i+1]})
		}
	}
}

// buffer is a log that can be written to by several goroutines.
type buffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

// open makes a handler that writes JSON lines, without their time, from min on.
func open(t *testing.T, c *logsink.Config, w *buffer, min slog.Level) handler.Handler {
	t.Helper()
	h, err := c.New(handler.Env{Logger: slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{
		Level: min,
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	}))})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestConformance(t *testing.T) {
	t.Parallel()
	var logs sync.Map // handler to *buffer
	handlertest.Run(t, handlertest.Config{
		New: func(t *testing.T) handler.Handler {
			w := new(buffer)
			h := open(t, config(), w, slog.LevelInfo)
			logs.Store(h, w)
			return h
		},
		Effects: func(_ *testing.T, h handler.Handler) string {
			w, _ := logs.Load(h)
			lines := strings.Split(w.(*buffer).String(), "\n")
			slices.Sort(lines)
			return strings.Join(lines, "\n")
		},
	})
}

func TestLine(t *testing.T) {
	t.Parallel()
	const trade = `{"trade_id": 812, "market_id": "m-17", "odds": {"ticks": 245}, "stake": {"value": 2500}, "timestamp": 1763856000123}`
	tests := map[string]struct {
		config  *logsink.Config
		payload string
		want    string // of the attributes after stream and id
	}{
		"trade": {config(), trade,
			`,"trade_id":812,"market_id":"m-17","odds":245,"stake":2500,"traded_at":1763856000123`},
		"exact": {config(fields("a", "a", "b", "b", "c", "c")), `{"a": 9007199254740993, "b": 92233720368547758080, "c": 0.10000000000000000001}`,
			`,"a":9007199254740993,"b":92233720368547758080,"c":0.10000000000000000001`},
		"kinds": {config(fields("z", "s", "y", "t", "x", "n", "w", "o", "v", "l[1]")), `{"s": "a\n\u00e9", "t": true, "n": null, "o": {"k": [1]}, "l": [1, "two"]}`,
			`,"z":"a\né","y":true,"x":null,"w":"{\"k\": [1]}","v":"two"`},
		"missing": {config(fields("a", "a", "b", "b.c", "d", "d")), `{"b": 1, "d": 2}`, `,"d":2`},
		"none":    {config(fields()), trade, ``},
		"scalar":  {config(), `7`, ``},
		"level":   {config(level("error"), fields()), trade, ``},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var w buffer
			h := open(t, tt.config, &w, slog.LevelInfo)
			d := handlertest.Delivery(t, "events_stream", "", handlertest.ID(0), tt.payload)
			if err := h.Handle(t.Context(), handlertest.Batch("g", d)); err != nil {
				t.Fatal(err)
			}
			want := fmt.Sprintf(`{"level":%q,"msg":"entry","stream":"events_stream","id":"%s"%s}`+"\n",
				strings.ToUpper(tt.config.Level), d.ID, tt.want)
			if w.String() != want {
				t.Errorf("got  %swant %s", w.String(), want)
			}
			if !json.Valid(w.Bytes()) {
				t.Error("not JSON")
			}
		})
	}
}

// One event cannot fill the log.
func TestLongValues(t *testing.T) {
	t.Parallel()
	const most = 4 << 10
	x := strings.Repeat("x", most)
	tests := map[string]struct{ value, want string }{
		"as long as may be": {`"` + x + `"`, `"` + x + `"`},
		"one byte more":     {`"` + x + `y"`, `"` + x + `… (4097 bytes)"`},
		"between runes":     {`"` + x[1:] + `é"`, `"` + x[1:] + `… (4097 bytes)"`},
		"not UTF-8":         {"[\"" + x + strings.Repeat("\x80", 9) + "\"]", `"[\"` + x[2:] + `… (4109 bytes)"`},
		"object":            {`{"a":"` + x + `"}`, `"{\"a\":\"` + x[6:] + `… (4104 bytes)"`},
		"number":            {strings.Repeat("7", most+1), `"` + strings.Repeat("7", most) + `… (4097 bytes)"`},
		"long but small":    {"7." + strings.Repeat("0", most), "7"},
		"64 MiB":            {`"` + strings.Repeat(x, 16<<10) + `"`, `"` + x + `… (67108864 bytes)"`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var w buffer
			h := open(t, config(fields("v", "v")), &w, slog.LevelInfo)
			d := handlertest.Delivery(t, "bets", "", handlertest.ID(0), `{"v": `+tt.value+`}`)
			if err := h.Handle(t.Context(), handlertest.Batch("g", d)); err != nil {
				t.Fatal(err)
			}
			if _, got, _ := strings.Cut(w.String(), `"v":`); got != tt.want+"}\n" {
				t.Errorf("%d bytes that end with %q, want %d with %q", len(got), last(got, 60), len(tt.want)+2, last(tt.want, 60))
			}
		})
	}
}

func last(s string, n int) string { return s[max(0, len(s)-n):] }

// Each line is about its own entry.
func TestLines(t *testing.T) {
	t.Parallel()
	var w buffer
	h := open(t, config(fields("a", "a", "b", "b")), &w, slog.LevelInfo)
	var batch []handler.Delivery
	want := ""
	for i, payload := range []string{`{"a":1,"b":2}`, `{"b":3}`, `{}`} {
		batch = append(batch, handlertest.Delivery(t, "bets", "", handlertest.ID(i), payload))
		want += fmt.Sprintf(`{"level":"INFO","msg":"entry","stream":"bets","id":"%s"%s}`+"\n", handlertest.ID(i),
			[]string{`,"a":1,"b":2`, `,"b":3`, ``}[i])
	}
	if err := h.Handle(t.Context(), handlertest.Batch("g", batch...)); err != nil {
		t.Fatal(err)
	}
	if w.String() != want {
		t.Errorf("got\n%swant\n%s", w.String(), want)
	}
}

func TestPreview(t *testing.T) {
	t.Parallel()
	d := handlertest.Delivery(t, "bets", "", handlertest.ID(0), `{"a": 9007199254740993, "b": 0.10}`)
	p, err := config(fields("x", "a", "y", "b", "z", "c")).Preview(handlertest.Env(t, "g"), &d)
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf(`{"id":"%s","stream":"bets","x":9007199254740993,"y":0.10}`, d.ID); string(got) != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestLevels(t *testing.T) {
	t.Parallel()
	tests := []struct {
		level string
		min   slog.Level
		lines int
	}{
		{"debug", slog.LevelDebug, 3},
		{"debug", slog.LevelInfo, 0},
		{"info", slog.LevelInfo, 3},
		{"warn", slog.LevelError, 0},
		{"error", slog.LevelError, 3},
		{"none", slog.Level(-1 << 31), 0},
	}
	for _, tt := range tests {
		var w buffer
		h := open(t, config(level(tt.level)), &w, tt.min)
		if err := h.Handle(t.Context(), handlertest.Trades(t, 0, 3)); err != nil {
			t.Fatal(err)
		}
		if got := strings.Count(w.String(), "\n"); got != tt.lines {
			t.Errorf("%s with a log from %v on: %d lines, want %d", tt.level, tt.min, got, tt.lines)
		}
	}
}

// Lines that nobody wants cost nothing.
func TestDiscardIsFree(t *testing.T) {
	for _, name := range []string{"none", "debug"} {
		var w buffer
		h := open(t, config(level(name)), &w, slog.LevelInfo)
		batch := handlertest.Trades(t, 0, 256)
		ctx := t.Context()
		if allocs := testing.AllocsPerRun(10, func() { _ = h.Handle(ctx, batch) }); allocs != 0 {
			t.Errorf("%s: %v allocations a batch", name, allocs)
		}
	}
}

// endAfter is a log handler that ends a context after some lines.
type endAfter struct {
	slog.Handler
	lines *int
	end   func()
}

func (e endAfter) Handle(ctx context.Context, r slog.Record) error {
	if *e.lines--; *e.lines == 0 {
		e.end()
	}
	return nil
}

// What was written before ctx ended is not written again.
func TestContext(t *testing.T) {
	t.Parallel()
	for _, cause := range []error{handler.ErrStopping, handler.ErrTimeout} {
		ctx, cancel := context.WithCancelCause(t.Context())
		lines := 2
		log := endAfter{slog.NewJSONHandler(io.Discard, nil), &lines, func() { cancel(cause) }} //nolint:sloglint // DiscardHandler wants no lines
		h, err := config().New(handler.Env{Logger: slog.New(log)})
		if err != nil {
			t.Fatal(err)
		}
		err = h.Handle(ctx, handlertest.Trades(t, 0, 4))
		var named *handler.BatchError
		if !errors.As(err, &named) || !slices.Equal(slices.Sorted(maps.Keys(named.Failed)), []int{2, 3}) || !errors.Is(err, cause) {
			t.Fatalf("got %v, want the last two named with %v", err, cause)
		}
		for i, e := range named.Failed {
			if handler.MarkOf(e) != handler.MarkUnavailable {
				t.Errorf("delivery %d had no attempt, and %v counts one", i, e)
			}
		}
		if err := h.Handle(ctx, handlertest.Trades(t, 0, 4)); !errors.Is(err, cause) || handler.MarkOf(err) != handler.Unmarked {
			t.Errorf("ended before: %v, want %v", err, cause)
		}
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		config *logsink.Config
		want   []string
	}{
		"defaults":   {config(), nil},
		"no fields":  {config(fields()), nil},
		"level":      {config(level("trace")), []string{"level"}},
		"path":       {config(fields("a", "b..c", "d", "")), []string{"fields.a", "fields.d"}},
		"reserved":   {config(fields("msg", "a", "group", "a", "id", "a")), []string{"fields.msg", "fields.group", "fields.id"}},
		"repeated":   {config(fields("a", "a", "a", "b")), []string{"fields.a"}},
		"empty name": {config(fields("", "a")), []string{"fields"}},
	}
	for name, tt := range tests {
		var got []string
		for _, f := range tt.config.Check() {
			got = append(got, f.Path)
			if f.Warning || f.Message == "" {
				t.Errorf("%s: %+v", name, f)
			}
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: faults at %q, want %q", name, got, tt.want)
		}
	}
	var _ handler.Local = config()
}

// No two configs share their fields, and the tags tell the defaults.
func TestDefaults(t *testing.T) {
	t.Parallel()
	first := config()
	first.Fields[0].Path = "changed"
	if config().Fields[0].Path == "changed" {
		t.Error("two configs share their fields")
	}
	f, _ := reflect.TypeFor[logsink.Config]().FieldByName("Level")
	if got := config().Level; got != f.Tag.Get("default") {
		t.Errorf("level is %s, its tag says %s", got, f.Tag.Get("default"))
	}
}

func BenchmarkHandle(b *testing.B) {
	for _, name := range []string{"info", "none"} {
		b.Run(name, func(b *testing.B) {
			h, err := config(level(name)).New(handler.Env{Logger: slog.New(slog.NewJSONHandler(io.Discard, nil))}) //nolint:sloglint // DiscardHandler wants no lines
			if err != nil {
				b.Fatal(err)
			}
			batch := handlertest.Trades(b, 0, 256)
			b.ReportAllocs()
			for b.Loop() {
				_ = h.Handle(b.Context(), batch)
			}
			b.ReportMetric(float64(b.N)*256/b.Elapsed().Seconds(), "entries/s")
		})
	}
}
