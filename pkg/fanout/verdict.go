package fanout

import (
	"fmt"
	"math"
	"strings"
	"time"

	"example.com/fanout/pkg/consumer"
	"example.com/fanout/pkg/stream"
	"example.com/fanout/pkg/telemetry"
)

// Verdict says in one word how a group is. There are no thresholds to set: what
// counts is how its position moves.
type Verdict struct {
	Code  string // one of telemetry's Verdict constants
	Since time.Time
	Why   string // one sentence
	Do    string // what the operator can do; "" for nothing
}

// judge finds the verdict on a group. It is a function of what it is given: the
// status without its verdict, the samples of the last minute, and the verdict
// before this one. The first that applies of
//
//	STOPPED, TRIPPED, SINK DOWN, STALLED, LOSING, LAGGING, OK
//
// is the verdict; what was lost lately is said with each of them. STALLED and LAGGING look at the last half minute:
//
//   - STALLED: there was work in every sample, and the position is the same in
//     all of them. What keeps a group from working at all, such as Redis that is
//     away, is STALLED at once.
//   - LAGGING: there was work in every sample, and the least of it in the last
//     third is more than the most of it in the first third. It stays so until
//     the work gets less in the same way, or is gone.
//
// So a quiet stream, a burst that is worked off, and entries in flight are OK.
func judge(s Status, samples window, was Verdict, now time.Time) Verdict {
	v := verdict(s, samples, was, now)
	if l, lost := latestLoss(s.Losses, now); lost {
		v = losing(v, l)
	}
	if v.Code == was.Code {
		v.Since = was.Since
	} else if v.Since.IsZero() {
		v.Since = now
	}
	return v
}

func verdict(s Status, samples window, was Verdict, now time.Time) Verdict {
	name := s.Manifest.Name
	switch s.State {
	case telemetry.StatePaused, telemetry.StateStopped, telemetry.StateDraining:
		return stopped(s)
	case telemetry.StateTripped:
		why := "it failed too often: " + s.LastError
		if s.StartError != "" {
			why = s.StartError
		}
		return Verdict{telemetry.VerdictTripped, s.Since, why + nextTry(s.NextRestart, now),
			"mend the cause; it goes on by itself, fanout restart " + name + " tries at once"}
	}
	if b := s.Breaker(); b != nil {
		return Verdict{telemetry.VerdictSinkDown, b.Since, b.Text() + nextTry(b.Next, now),
			"bring the sink back; the group loses nothing by it and goes on by itself"}
	}
	if v, held := hindered(s, now); held {
		return v
	}
	if s.State != telemetry.StateRunning {
		return Verdict{Code: telemetry.VerdictOK, Why: "it is " + s.State}
	}
	return moving(s, samples.last(judgedSpan), samples, was)
}

// losing is the verdict on a group that Redis has lost entries of. It hides none
// that keeps the group from working now.
func losing(v Verdict, l stream.Loss) Verdict {
	why, do := lossProblem(l), lossHints[l.Reason]
	switch v.Code {
	case telemetry.VerdictOK, telemetry.VerdictLagging:
		return Verdict{telemetry.VerdictLosing, l.At, why, do}
	}
	v.Why += "; " + why
	if v.Do != "" {
		v.Do += "; and against the loss: "
	}
	v.Do += do
	return v
}

func stopped(s Status) Verdict {
	name := s.Manifest.Name
	v := Verdict{Code: telemetry.VerdictStopped, Since: s.Since}
	switch by := s.Suspended; {
	case by.State == telemetry.StatePaused:
		v.Why, v.Do = "paused by "+by.By, "fanout resume "+name+" lets it go on"
	case by.State != "":
		v.Why, v.Do = "stopped by "+by.By, "fanout start "+name+" lets it go on"
	default:
		v.Why = "it drains because the process or the group ends"
	}
	return v
}

// hindered is the verdict on a group that something keeps from working.
func hindered(s Status, now time.Time) (Verdict, bool) {
	v := Verdict{Code: telemetry.VerdictStalled}
	name := s.Manifest.Name
	switch {
	case s.State == telemetry.StateBackingOff:
		v.Since, v.Why = s.Since, "it failed: "+s.LastError+nextTry(s.NextRestart, now)
		v.Do = "mend the cause; fanout restart " + name + " tries at once"
	case s.StartError != "":
		v.Since, v.Why, v.Do = s.Since, s.StartError, "see what it says; the group tries again by itself"
	case len(s.Stalled) > 0:
		v.Why, v.Do = "the loop of "+strings.Join(s.Stalled, ", ")+" does not turn", "restart the process and report this as a bug"
	case s.hold(consumer.LettersFull) != nil:
		full := s.hold(consumer.LettersFull)
		v.Since, v.Why = full.Since, full.Text()
		v.Do = "fanout dead list " + name + " shows them; replay or purge some, or raise dead_letter.max_len"
	case s.redisError() != "":
		v.Why = "redis: " + s.redisError()
		v.Do = "fanout doctor looks closer; the group goes on by itself, and after a change of redis in the manifest when the process is restarted"
	default:
		return Verdict{}, false
	}
	return v, true
}

// moving judges a group that runs by its samples. judged is nil for one that
// has not run for long; what it did not do while it rested is no fault.
func moving(s Status, judged, all window, was Verdict) Verdict {
	name := s.Manifest.Name
	ok := Verdict{Code: telemetry.VerdictOK, Why: pace(all)}
	if len(judged) == 0 {
		return ok
	}
	newest := judged[len(judged)-1]
	waits, moved := true, false
	for _, one := range judged {
		waits = waits && one.waits && !one.rests
		moved = moved || one.position != judged[0].position
	}
	if !waits {
		return ok
	}
	if !moved {
		v := Verdict{Code: telemetry.VerdictStalled, Since: stoodSince(all), Why: "nothing moves although " + amount(newest) + " wait"}
		v.Do = "fanout restart " + name + " begins anew; fanout pending " + name + " shows what is in work"
		if stuck := s.Telemetry.StuckCalls.Load(); stuck > 0 {
			v.Why += fmt.Sprintf(", %s of the handler past the deadline", telemetry.Plural(stuck, "call"))
		} else if s.lastFailure() != "" {
			v.Why += ": " + s.lastFailure()
		}
		return v
	}
	first, last := thirds(judged)
	grows, shrinks := low(last) > high(first), high(last) < low(first) // false for what is unknown
	if !grows && (was.Code != telemetry.VerdictLagging || shrinks) {
		return ok
	}
	rates := all.rates(windowSpan)
	why := "falls behind: " + amount(newest) + " wait"
	if !grows {
		why = "does not catch up: " + amount(newest) + " wait"
	}
	if !math.IsNaN(rates.Added) {
		why += fmt.Sprintf(", %.0f come and %.0f are settled a second", rates.Added, rates.Settled)
	}
	return Verdict{telemetry.VerdictLagging, judged[0].at, why,
		"give " + name + " more consumers or concurrency, larger batches, or a faster sink"}
}

// pace says how a group does that is well.
func pace(w window) string {
	if len(w) == 0 {
		return "it has just begun"
	}
	newest := w[len(w)-1]
	if !newest.waits {
		return "nothing waits"
	}
	if drain := w.drain(); drain >= judgedSpan.Seconds() {
		return fmt.Sprintf("catches up: %s wait, about %s to go", amount(newest), time.Duration(drain*float64(time.Second)).Round(time.Second))
	}
	return "keeps up"
}

// stoodSince is when a group was first seen where it is now.
func stoodSince(w window) time.Time {
	i := len(w) - 1
	for i > 0 && w[i-1].position == w[i].position {
		i--
	}
	return w[i].at
}

// thirds are the first and the last third of the samples.
func thirds(w window) (first, last []float64) {
	values := make([]float64, len(w))
	known := true
	for i, s := range w {
		values[i] = s.behind
		known = known && !math.IsNaN(s.behind)
	}
	if !known {
		for i, s := range w {
			values[i] = s.late
		}
	}
	n := max(1, len(w)/3)
	return values[:n], values[len(values)-n:]
}

// low and high are NaN when one of the values is.
func low(values []float64) float64 {
	least := math.Inf(1)
	for _, v := range values {
		least = math.Min(least, v)
	}
	return least
}

func high(values []float64) float64 {
	most := math.Inf(-1)
	for _, v := range values {
		most = math.Max(most, v)
	}
	return most
}

// amount is what waits, as far as it is known.
func amount(s sample) string {
	switch {
	case !math.IsNaN(s.behind):
		return telemetry.Plural(int64(s.behind), "entry")
	case s.pending > 0:
		return "at least " + telemetry.Plural(s.pending, "entry")
	}
	return "entries"
}

func nextTry(at, now time.Time) string {
	if at.IsZero() {
		return ""
	}
	return fmt.Sprintf(", next try in %s", max(0, at.Sub(now)).Round(100*time.Millisecond))
}

// latestLoss is the newest loss that is still worth saying.
func latestLoss(losses []stream.Loss, now time.Time) (stream.Loss, bool) {
	for i := len(losses) - 1; i >= 0; i-- {
		if l := losses[i]; l.Gone() && now.Sub(l.At) < lossShown {
			return l, true
		}
	}
	return stream.Loss{}, false
}
