package fanout

import (
	"math"
	"strings"
	"testing"
	"time"

	"example.com/fanout/pkg/consumer"
	"example.com/fanout/pkg/manifest"
	"example.com/fanout/pkg/stream"
	"example.com/fanout/pkg/telemetry"
)

// course makes a sample a second of what waits: n entries at second i, of which
// the group has settled so many since the beginning.
func course(seconds int, at func(i int) (waits, settled int64)) window {
	begin := time.Unix(1_763_856_000, 0)
	var w window
	for i := range seconds {
		waits, settled := at(i)
		info := stream.GroupInfo{
			LastGenerated: stream.ID{Ms: 1 << 40}, LastDelivered: stream.ID{Ms: uint64(1000 + settled)},
			FirstEntry: stream.ID{Ms: 1}, EntriesAdded: waits + settled, Lag: waits, LagKnown: true,
		}
		if waits == 0 {
			info.LastDelivered = info.LastGenerated
		}
		w = w.add(look(&info, settled, settled, begin.Add(time.Duration(i)*time.Second)))
	}
	return w
}

// unknown forgets the lag, as after a deletion.
func unknown(w window) window {
	all := append(window(nil), w...)
	for i := range all {
		all[i].behind = math.NaN()
		all[i].late = float64(i)
	}
	return all
}

// rested makes of all samples but the last those of a group that was paused.
func rested(w window) window {
	all := append(window(nil), w...)
	for i := range all[:len(all)-1] {
		all[i].rests = true
	}
	return all
}

func TestMovement(t *testing.T) {
	t.Parallel()
	noise := func(i int) int64 { return int64(i * 7919 % 50) }
	for name, tt := range map[string]struct {
		samples window
		was     string
		want    string
		why     string
	}{
		"no sample":     {nil, "", telemetry.VerdictOK, "just begun"},
		"quiet":         {course(60, func(int) (int64, int64) { return 0, 500 }), "", telemetry.VerdictOK, "nothing waits"},
		"keeps up":      {course(60, func(i int) (int64, int64) { return 10 + noise(i), int64(i) * 100 }), "", telemetry.VerdictOK, "keeps up"},
		"one in flight": {course(60, func(i int) (int64, int64) { return 1, int64(i) }), "", telemetry.VerdictOK, "keeps up"},
		"falls behind": {course(60, func(i int) (int64, int64) { return int64(i)*40 + noise(i), int64(i) * 100 }), "",
			telemetry.VerdictLagging, "falls behind: 2381 entries wait, 140 come and 100 are settled a second"},
		"a saw that rises": {course(60, func(i int) (int64, int64) { return int64(i)*200 - int64(i/5*5)*150 + 1, int64(i/5*5) * 150 }), "", telemetry.VerdictLagging, ""},
		"catches up":       {course(60, func(i int) (int64, int64) { return 1_000_000 - int64(i)*1000, int64(i) * 3000 }), "", telemetry.VerdictOK, "catches up: 941000 entries wait, about 15m41s to go"},
		"a burst":          {course(60, func(i int) (int64, int64) { return max(0, 5000-int64(max(0, i-25))*300), int64(i) * 300 }), "", telemetry.VerdictOK, ""},
		"young":            {course(20, func(i int) (int64, int64) { return int64(i) * 1000, int64(i) }), "", telemetry.VerdictOK, ""},

		"far behind and level": {course(60, func(i int) (int64, int64) { return 10_000 + noise(i), int64(i) * 100 }),
			telemetry.VerdictLagging, telemetry.VerdictLagging, "does not catch up"},
		"far behind from the beginning":   {course(60, func(i int) (int64, int64) { return 10_000 + noise(i), int64(i) * 100 }), "", telemetry.VerdictOK, ""},
		"was behind and catches up":       {course(60, func(i int) (int64, int64) { return 10_000 - int64(i)*50, int64(i) * 100 }), telemetry.VerdictLagging, telemetry.VerdictOK, ""},
		"was behind and has caught up":    {course(60, func(i int) (int64, int64) { return int64(i % 2), int64(i) * 100 }), telemetry.VerdictLagging, telemetry.VerdictOK, ""},
		"falls behind, lag unknown":       {unknown(course(60, func(i int) (int64, int64) { return 1000, int64(i) * 100 })), "", telemetry.VerdictLagging, ""},
		"stands":                          {course(60, func(int) (int64, int64) { return 1000, 500 }), "", telemetry.VerdictStalled, "nothing moves although 1000 entries wait"},
		"stands while more comes":         {course(60, func(i int) (int64, int64) { return 1 + int64(i)*1000, 500 }), "", telemetry.VerdictStalled, ""},
		"stands, lag unknown":             {unknown(course(60, func(int) (int64, int64) { return 1000, 500 })), "", telemetry.VerdictStalled, ""},
		"stood and moves":                 {course(60, func(i int) (int64, int64) { return 1000, int64(max(0, i-58)) }), telemetry.VerdictStalled, telemetry.VerdictOK, ""},
		"stands for less than the window": {course(60, func(i int) (int64, int64) { return 1000, int64(min(i, 40)) }), "", telemetry.VerdictOK, ""},
		"rested until just now":           {rested(course(60, func(i int) (int64, int64) { return 1000 + int64(i)*100, int64(max(0, i-58)) })), "", telemetry.VerdictOK, ""},
		"stood still and rested":          {rested(course(60, func(int) (int64, int64) { return 1000, 500 })), "", telemetry.VerdictOK, ""},
		"work has just come":              {course(60, func(i int) (int64, int64) { return int64(max(0, i-55)), 0 }), "", telemetry.VerdictOK, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := Status{Manifest: manifest.Group{Name: "g"}, State: telemetry.StateRunning, Telemetry: &telemetry.Group{}}
			now := time.Unix(1_763_856_060, 0)
			before := Verdict{Code: tt.was, Since: now.Add(-time.Hour)}
			v := judge(s, tt.samples, before, now)
			if v.Code != tt.want || !strings.Contains(v.Why, tt.why) {
				t.Errorf("%+v, want %s with %q", v, tt.want, tt.why)
			}
			if (v.Code == telemetry.VerdictOK) != (v.Do == "") || v.Since.IsZero() || v.Why == "" {
				t.Errorf("%+v is not complete", v)
			}
			if v.Code == tt.was && v.Since != before.Since {
				t.Errorf("the verdict is the same, and since %v and not %v", v.Since, before.Since)
			}
		})
	}
}

func TestVerdicts(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_763_856_060, 0)
	since := now.Add(-10 * time.Minute)
	lost := stream.Loss{Reason: stream.LossTrimmed, Certain: true, Entries: 7, First: stream.ID{Ms: 1}, Last: stream.ID{Ms: 9}, At: now.Add(-time.Minute)}
	old := lost
	old.At = now.Add(-time.Hour)
	down := []consumer.Hold{{Kind: consumer.SinkDown, Since: since, Error: "connection refused", Next: now.Add(3 * time.Second)}}
	stands := course(60, func(int) (int64, int64) { return 1000, 500 })
	behind := course(60, func(i int) (int64, int64) { return int64(i) * 1000, int64(i) })
	for name, tt := range map[string]struct {
		s    Status
		w    window
		want string
		why  string
		do   string
	}{
		"paused":                 {Status{State: telemetry.StatePaused, Suspended: Suspension{State: telemetry.StatePaused, By: "ann@host"}}, stands, telemetry.VerdictStopped, "paused by ann@host", "fanout resume g"},
		"stopped":                {Status{State: telemetry.StateStopped, Suspended: Suspension{State: telemetry.StateStopped, By: "ann@host"}, Losses: []stream.Loss{lost}}, nil, telemetry.VerdictStopped, "stopped by ann@host", "fanout start g"},
		"ends":                   {Status{State: telemetry.StateDraining}, nil, telemetry.VerdictStopped, "drains", ""},
		"tripped":                {Status{State: telemetry.StateTripped, LastError: "boom", NextRestart: now.Add(time.Minute), Losses: []stream.Loss{lost}}, nil, telemetry.VerdictTripped, "boom, next try in 1m0s", "fanout restart g"},
		"stuck":                  {Status{State: telemetry.StateTripped, StartError: "stuck: more calls"}, nil, telemetry.VerdictTripped, "stuck: more calls", "fanout restart g"},
		"loses":                  {Status{State: telemetry.StateRunning, Losses: []stream.Loss{old, lost}}, nil, telemetry.VerdictLosing, "7 entries lost (trimmed) from 1-0 to 9-0", "trim the stream less"},
		"loses and falls behind": {Status{State: telemetry.StateRunning, Losses: []stream.Loss{lost}}, behind, telemetry.VerdictLosing, "7 entries lost", "trim the stream less"},
		"lost, sink down": {Status{State: telemetry.StateRunning, Losses: []stream.Loss{lost}, Holds: down}, stands, telemetry.VerdictSinkDown,
			"connection refused, next try in 3s; 7 entries lost (trimmed) from 1-0 to 9-0", "goes on by itself; and against the loss: trim the stream less"},
		"lost, redis away": {Status{State: telemetry.StateRunning, Losses: []stream.Loss{lost}, Consumers: []consumer.Status{{RedisError: "refused"}}}, nil, telemetry.VerdictStalled,
			"redis: refused; 7 entries lost", "trim the stream less"},
		"lost, and stands": {Status{State: telemetry.StateRunning, Losses: []stream.Loss{lost}}, stands, telemetry.VerdictStalled,
			"nothing moves although 1000 entries wait; 7 entries lost", "trim the stream less"},
		"lost":   {Status{State: telemetry.StateRunning, Losses: []stream.Loss{old}}, nil, telemetry.VerdictOK, "", ""},
		"sink":   {Status{State: telemetry.StateRunning, Holds: down}, stands, telemetry.VerdictSinkDown, "connection refused, next try in 3s", "bring the sink back"},
		"failed": {Status{State: telemetry.StateBackingOff, LastError: "boom"}, nil, telemetry.VerdictStalled, "it failed: boom", "fanout restart g"},
		"start":  {Status{State: telemetry.StateStarting, StartError: "redis: refused"}, nil, telemetry.VerdictStalled, "redis: refused", "tries again by itself"},
		"begins": {Status{State: telemetry.StateStarting}, nil, telemetry.VerdictOK, "starting", ""},
		"full":   {Status{State: telemetry.StateRunning, Holds: []consumer.Hold{{Kind: consumer.LettersFull, Since: since}}}, nil, telemetry.VerdictStalled, "dead letters full", "fanout dead list g"},
		"newest": {Status{State: telemetry.StateRunning, Consumers: []consumer.Status{
			{RedisError: "closed", RedisErrorAt: time.Unix(1, 0)}, {RedisError: "no password", RedisErrorAt: time.Unix(3, 0)}, {RedisError: "refused", RedisErrorAt: time.Unix(2, 0)},
		}}, nil, telemetry.VerdictStalled, "redis: no password", "fanout doctor"},
		"away":    {Status{State: telemetry.StateRunning, Consumers: []consumer.Status{{}, {RedisError: "refused"}}}, nil, telemetry.VerdictStalled, "redis: refused", "fanout doctor"},
		"our own": {Status{State: telemetry.StateRunning, Stalled: []string{"g-0"}}, nil, telemetry.VerdictStalled, "loop of g-0", "report"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tt.s.Manifest.Name, tt.s.Since, tt.s.Telemetry = "g", since, &telemetry.Group{}
			v := judge(tt.s, tt.w, Verdict{}, now)
			if v.Code != tt.want || !strings.Contains(v.Why, tt.why) || !strings.Contains(v.Do, tt.do) || v.Since.IsZero() {
				t.Errorf("%+v, want %s, %q and %q", v, tt.want, tt.why, tt.do)
			}
		})
	}
}

func TestStuckCallsAreNamed(t *testing.T) {
	t.Parallel()
	s := Status{State: telemetry.StateRunning, Telemetry: &telemetry.Group{}}
	s.Telemetry.StuckCalls.Set(2)
	v := judge(s, course(60, func(int) (int64, int64) { return 1000, 500 }), Verdict{}, time.Now())
	if !strings.Contains(v.Why, "2 calls of the handler past the deadline") {
		t.Errorf("%+v", v)
	}
	if want := time.Unix(1_763_856_000, 0).Add(0); v.Since != want {
		t.Errorf("it stands since %v, want %v", v.Since, want)
	}
}

func TestRates(t *testing.T) {
	t.Parallel()
	w := course(61, func(i int) (int64, int64) {
		if i > 50 {
			return 3000, int64(50*100 + (i-50)*300)
		}
		return 3000, int64(i) * 100
	})
	if got, want := w.rates(shortRate), (Rates{300, 300, 300}); got != want {
		t.Errorf("over ten seconds %v, want %v", got, want)
	}
	if got := w.rates(windowSpan); math.Round(got.Settled) != 133 {
		t.Errorf("over a minute %v", got)
	}
	if got := w[:1].rates(shortRate); !math.IsNaN(got.Read) {
		t.Errorf("of one sample: %v", got)
	}
	if got := w.drain(); !math.IsNaN(got) {
		t.Errorf("what does not get less is gone in %v", got)
	}
	falling := course(60, func(i int) (int64, int64) { return 1000 - int64(i)*10, 0 })
	if got := falling.drain(); got != 41 {
		t.Errorf("410 at 10 a second are gone in %v", got)
	}
	if got := falling[:10].drain(); !math.IsNaN(got) {
		t.Errorf("after ten seconds without one it is known that all is gone in %v", got)
	}
	if got := falling[:11].drain(); got != 90 {
		t.Errorf("after ten seconds 900 at 10 a second are gone in %v", got)
	}
	none := course(60, func(i int) (int64, int64) { return int64(max(0, 10-i)), int64(i) })
	if got := none.drain(); got != 0 {
		t.Errorf("nothing is gone in %v", got)
	}
}

// A window begins anew after a break, and never holds more than a minute.
func TestWindow(t *testing.T) {
	t.Parallel()
	w := course(200, func(int) (int64, int64) { return 1, 1 })
	if len(w) != 61 {
		t.Errorf("%d samples are kept, want 61", len(w))
	}
	late := w[len(w)-1]
	late.at = late.at.Add(11 * time.Second)
	if got := w.add(late); len(got) != 1 || len(w) != 61 {
		t.Errorf("after a break there are %d samples", len(got))
	}
}
