package fanout

import (
	"math"
	"time"

	"example.com/fanout/pkg/stream"
)

const (
	windowSpan = time.Minute      // what a window keeps
	judgedSpan = 30 * time.Second // what a verdict looks at
	shortRate  = 10 * time.Second
	windowGap  = 10 * time.Second // after a longer break a window begins anew
)

// position is where a group is in its stream. While it stays the same the group
// does not move.
type position struct {
	delivered stream.ID
	oldest    stream.ID // pending
	pending   int64
	settled   int64 // for good, by this process
}

// sample is one look at a group.
type sample struct {
	at time.Time
	position
	read   int64   // deliveries that this process began
	added  int64   // entries ever added to the stream; -1 unknown
	behind float64 // entries neither delivered nor settled; NaN unknown
	late   float64 // how long ago the stream was where the group is, in seconds; NaN unknown
	waits  bool    // there is work
	rests  bool    // something kept the group from working, which has a verdict of its own
}

// look is what Redis has told, with what this process has counted.
func look(info *stream.GroupInfo, read, settled int64, now time.Time) sample {
	s := sample{
		at:       now,
		position: position{delivered: info.LastDelivered, oldest: info.OldestPending, pending: info.Pending, settled: settled},
		read:     read,
		added:    info.EntriesAdded,
		behind:   math.NaN(),
		late:     lagSeconds(info, now),
	}
	undelivered := info.LastDelivered.Before(info.LastGenerated)
	if info.LagKnown {
		s.behind = float64(info.Lag + info.Pending)
		undelivered = info.Lag > 0
	}
	if info.Pending > 0 {
		s.late = max(s.late, age(info.OldestPending, now)) // NaN stays NaN
	}
	s.waits = undelivered || info.Pending > 0
	return s
}

// window holds the samples of the last minute, oldest first.
type window []sample

func (w window) add(s sample) window {
	if n := len(w); n > 0 && s.at.Sub(w[n-1].at) > windowGap {
		w = nil
	}
	first := 0
	for first < len(w) && s.at.Sub(w[first].at) > windowSpan {
		first++
	}
	return append(append(window(nil), w[first:]...), s) // a copy: others read the old one
}

// addRested adds a sample, and before it the one of the second before where that
// was left out: a group that stands where it stood at rest had not moved then.
func (w window) addRested(s sample) window {
	if n := len(w); n > 0 {
		former := w[n-1]
		if gap := s.at.Sub(former.at); !former.waits && !s.waits && gap > 3*watchEvery/2 && gap < 5*watchEvery/2 &&
			former.position == s.position && former.added == s.added && former.rests == s.rests {
			former.at = s.at.Add(-gap / 2)
			w = w.add(former)
		}
	}
	return w.add(s)
}

// last are the samples of that span up to the newest one, nil while the window
// is younger.
func (w window) last(span time.Duration) window {
	for i := len(w) - 1; i >= 0; i-- {
		if w[len(w)-1].at.Sub(w[i].at) >= span {
			return w[i:]
		}
	}
	return nil
}

// Rates are entries a second; NaN is not known yet.
type Rates struct {
	Read    float64 // by this process
	Settled float64 // for good, by this process
	Added   float64 // to the stream
}

var noRates = Rates{math.NaN(), math.NaN(), math.NaN()}

// rates are those of the last span, or of as much of it as there is.
func (w window) rates(span time.Duration) Rates {
	if len(w) < 2 {
		return noRates
	}
	newest, oldest := w[len(w)-1], w[0]
	if part := w.last(span); part != nil {
		oldest = part[0]
	}
	seconds := newest.at.Sub(oldest.at).Seconds()
	r := Rates{
		Read:    float64(newest.read-oldest.read) / seconds,
		Settled: float64(newest.settled-oldest.settled) / seconds,
		Added:   float64(newest.added-oldest.added) / seconds,
	}
	if newest.added < 0 || oldest.added < 0 || r.Added < 0 { // not told, or another stream
		r.Added = math.NaN()
	}
	return r
}

// current reports whether the newest sample tells how the group is now: it is not
// older than three seconds, or twice the time between the last two looks where
// these are rare.
func (w window) current(now time.Time) bool {
	n := len(w)
	if n == 0 {
		return false
	}
	allowed := lookLate
	if n > 1 {
		allowed = max(allowed, 2*w[n-1].at.Sub(w[n-2].at))
	}
	return now.Sub(w[n-1].at) <= allowed
}

// drain is how many seconds the group needs for what waits if all goes on as in
// the last minute: 0 for nothing, NaN when it does not come nearer to the end, or
// when it is too early to tell.
func (w window) drain() float64 {
	if len(w) == 0 {
		return math.NaN()
	}
	newest, oldest := w[len(w)-1], w[0]
	if newest.behind == 0 {
		return 0
	}
	if w.last(shortRate) == nil { // the first seconds are no measure
		return math.NaN()
	}
	seconds := newest.at.Sub(oldest.at).Seconds()
	if speed := (oldest.behind - newest.behind) / seconds; speed > 0 { // false for NaN
		return newest.behind / speed
	}
	return math.NaN()
}

// history is how many entries waited, one number a second, oldest first; NaN is
// unknown.
func (w window) history() []float64 {
	all := make([]float64, len(w))
	for i, s := range w {
		all[i] = s.behind
	}
	return all
}
