package telemetry_test

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"example.com/fanout/pkg/telemetry"
)

// A fault that comes and goes many times a second is not a pair of lines each
// time, and is not silent either.
func TestRepeatFlapping(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		r := telemetry.Repeat{
			Logger: slog.New(slog.NewTextHandler(&log, nil)), Level: slog.LevelWarn, Begin: "sink unavailable", End: "sink available",
		}
		for range 1200 { // two minutes
			r.Fault(errors.New("down"))
			time.Sleep(50 * time.Millisecond)
			r.Clear()
			time.Sleep(50 * time.Millisecond)
		}
		begun, ended := strings.Count(log.String(), "sink unavailable"), strings.Count(log.String(), "sink available")
		if begun != ended || begun < 8 || begun > 20 {
			t.Errorf("%d lines of faults and %d of their ends in two minutes, want as many of both and 8 to 20:\n%s", begun, ended, log.String())
		}
	})
}
