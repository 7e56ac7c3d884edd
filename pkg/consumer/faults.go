package consumer

import (
	"log/slog"
	"math/rand/v2"
	"time"

	"example.com/fanout/pkg/retry"
	"example.com/fanout/pkg/telemetry"
)

const (
	minRedis = 100 * time.Millisecond // backoff while Redis fails
	maxRedis = 5 * time.Second
	quiet    = 30 * time.Second // a failing handler is said to be well again after this long
)

// Logs are the lines about faults that repeat. All consumers of a group share
// them, so that an outage is one fault and not one a consumer.
type Logs struct {
	read, settle, letters, handler, sink, bury telemetry.Repeat
}

// NewLogs returns the Logs of a group.
func NewLogs(logger *slog.Logger) *Logs {
	lines := func(level slog.Level, begin, end string) telemetry.Repeat {
		return telemetry.Repeat{Logger: logger, Level: level, Begin: begin, End: end}
	}
	return &Logs{
		read:    lines(slog.LevelWarn, "reading from redis fails", "reading from redis works again"),
		settle:  lines(slog.LevelWarn, "settling in redis fails", "settling in redis works again"),
		letters: lines(slog.LevelWarn, "writing dead letters fails", "writing dead letters works again"),
		handler: lines(slog.LevelWarn, "handler fails", "handler works again"),
		sink:    lines(slog.LevelWarn, "sink unavailable", "sink available again"),
		bury:    lines(slog.LevelWarn, "entries are buried", "no entries are buried any more"),
	}
}

// fault is a run of failures of Redis in one direction.
type fault struct {
	n     int
	err   error     // nil: it works
	at    time.Time // it was met last
	until time.Time // no try before
	log   *telemetry.Repeat
}

func (f *fault) hit(err error) {
	f.n++
	f.err, f.at = err, time.Now()
	f.until = f.at.Add(retry.Backoff{Min: minRedis, Max: maxRedis}.Delay(f.n) + rand.N(minRedis))
	f.log.Fault(err)
}

func (f *fault) clear() {
	if f.err != nil {
		f.log.Clear()
		f.n, f.err, f.at, f.until = 0, nil, time.Time{}, time.Time{}
	}
}
