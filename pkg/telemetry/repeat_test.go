package telemetry_test

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"example.com/fanout/pkg/telemetry"
)

// repeater returns a Repeat and a function that returns the lines since its
// last call, without their times.
func repeater(t *testing.T) (*telemetry.Repeat, func() []string) {
	t.Helper()
	var b strings.Builder
	logger, err := telemetry.NewLogger(&b, "debug", "text", false)
	if err != nil {
		t.Fatal(err)
	}
	r := &telemetry.Repeat{Logger: logger, Level: slog.LevelWarn, Begin: "redis is away", End: "redis is back"}
	return r, func() (lines []string) {
		for line := range strings.Lines(b.String()) {
			_, line, _ = strings.Cut(strings.TrimSpace(line), " ")
			lines = append(lines, line)
		}
		b.Reset()
		return lines
	}
}

func expect(t *testing.T, got []string, want ...string) {
	t.Helper()
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("\n got %q\nwant %q", got, want)
	}
}

func TestRepeat(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, lines := repeater(t)
		refused := errors.New("connection refused")

		r.Clear()
		r.Fault(nil)
		expect(t, lines())

		r.Fault(refused)
		expect(t, lines(), `WARN  redis is away error="connection refused"`)

		for range 29 {
			time.Sleep(time.Second)
			r.Fault(refused)
		}
		expect(t, lines())
		time.Sleep(time.Second)
		r.Fault(refused)
		expect(t, lines(), `WARN  redis is away error="connection refused" count=31 duration=30s`)

		r.Fault(errors.New("loading"))
		r.Fault(errors.New("loading"))
		r.Fault(refused)
		expect(t, lines(), `WARN  redis is away error=loading count=32 duration=30s`)

		time.Sleep(5 * time.Second)
		r.Clear()
		r.Clear()
		expect(t, lines(), `INFO  redis is back count=34 duration=35s`)

		r.Fault(refused)
		expect(t, lines(), `WARN  redis is away error="connection refused"`)
	})
}

// A text that differs each time must not write a line each time.
func TestRepeatStaysSmall(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		text func(i int) string
		most int // lines in 30 s
	}{
		"ports":   {func(i int) string { return fmt.Sprintf("read 127.0.0.1:%d->127.0.0.1:6379: reset", 40_000+i*7) }, 1},
		"IDs":     {func(i int) string { return fmt.Sprintf("entry %d-%d: busy", i*i, i) }, 1},
		"in turn": {func(i int) string { return []string{"refused", "timeout"}[i%2] }, 2},
		"texts":   {func(i int) string { return strings.Repeat("x", i) }, 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r, lines := repeater(t)
				for i := range 6000 { // ten a second for ten minutes
					r.Fault(errors.New(tt.text(i)))
					time.Sleep(100 * time.Millisecond)
				}
				if n := len(lines()); n < 20 || n > 20*tt.most {
					t.Errorf("%d lines in ten minutes, want 1 to %d in 30 s", n, tt.most)
				}
			})
		})
	}
}

func TestRepeatConcurrently(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, lines := repeater(t)
		done := make(chan struct{})
		for range 8 {
			go func() {
				for range 100 {
					r.Fault(errors.New("refused"))
				}
				done <- struct{}{}
			}()
		}
		for range 8 {
			<-done
		}
		r.Clear()
		expect(t, lines(), "WARN  redis is away error=refused", "INFO  redis is back count=800 duration=0s")
	})
}
