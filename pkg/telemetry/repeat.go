package telemetry

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Repeat logs a fault that comes again and again without a line each time: when
// it begins, when its text changes, every 30 seconds with how often it came,
// and when it ends. The zero Repeat with a Logger and messages is ready for
// use. It is safe for concurrent use and must not be copied.
//
// It has no clock of its own: after the first line it writes only when Fault or
// Clear is called.
type Repeat struct {
	Logger *slog.Logger
	Level  slog.Level // of all lines but the last, which is Info; zero: Info
	Begin  string     // message while the fault lasts
	End    string     // message when it is over

	active atomic.Bool // what Clear asks first; changed with mu held

	mu    sync.Mutex
	since time.Time // the fault began
	said  time.Time // the last periodic line, or the first one
	count int       // faults since it began
	texts []string  // shapes of the texts that were logged since said
	mute  bool      // this fault has begun without a line, see repeatFlaps

	flapping time.Time // the first of the faults that follow each other closely began
	flaps    int       // of them
}

const (
	repeatEvery = 30 * time.Second

	// repeatTexts bounds the lines between two periodic ones when the text
	// changes each time.
	repeatTexts = 4

	// repeatFlaps bounds the faults within repeatEvery that are logged from
	// beginning to end. More of them are told by the next periodic line.
	repeatFlaps = 3
)

// Fault says that the fault occurred. Fault(nil) does nothing.
func (r *Repeat) Fault(err error) {
	if err == nil {
		return
	}
	now, text := time.Now(), err.Error()
	if attrs := r.note(now, shape(text)); attrs != nil {
		r.Logger.Log(context.Background(), r.Level, r.Begin, append([]any{KeyError, text}, attrs...)...)
	}
}

// note counts a fault and returns the attributes of its line, nil for no line.
func (r *Repeat) note(now time.Time, shape string) []any {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case !r.active.Load():
		r.active.Store(true)
		if now.Sub(r.flapping) >= repeatEvery {
			r.flapping, r.flaps, r.count = now, 0, 0
		}
		r.flaps++
		if r.flaps > repeatFlaps { // a fault that comes and goes is one that lasts
			r.mute = true
			r.count++
			return nil
		}
		r.since, r.said, r.count, r.texts = now, now, 1, []string{shape}
		return []any{}
	case now.Sub(r.said) >= repeatEvery:
		r.mute = false
		r.said, r.texts = now, append(r.texts[:0], shape)
	case !r.mute && len(r.texts) < repeatTexts && !slices.Contains(r.texts, shape):
		r.texts = append(r.texts, shape)
	default:
		r.count++
		return nil
	}
	r.count++
	return []any{KeyCount, r.count, KeyDuration, now.Sub(r.since).Round(time.Millisecond)}
}

// Clear says that what failed works. It costs next to nothing while there is
// no fault.
func (r *Repeat) Clear() {
	if !r.active.Load() {
		return
	}
	r.mu.Lock()
	was, count, lasted := r.active.Swap(false) && !r.mute, r.count, time.Since(r.since)
	r.mute = false
	r.mu.Unlock()
	if was {
		r.Logger.Info(r.End, KeyCount, count, KeyDuration, lasted.Round(time.Millisecond))
	}
}

// shape is a text with every number in it replaced, so that the ports and IDs
// in an error do not make it a new one each time.
func shape(text string) string {
	b := make([]byte, 0, len(text))
	for i := range len(text) {
		c := text[i]
		if c >= '0' && c <= '9' {
			c = '0'
			if len(b) > 0 && b[len(b)-1] == '0' {
				continue
			}
		}
		b = append(b, c)
	}
	return string(b)
}
