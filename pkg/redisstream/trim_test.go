package redisstream_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/fanout/pkg/redisstream"
	"example.com/fanout/pkg/stream"
	"example.com/fanout/test/redistest"
)

// commands sends commands, one a line, words parted by spaces.
func commands(t *testing.T, s *redistest.Server, text string) {
	t.Helper()
	for line := range strings.Lines(text) {
		var args []any
		for _, word := range strings.Fields(line) {
			args = append(args, word)
		}
		if len(args) > 0 {
			s.Do(t, args...)
		}
	}
}

// trimAll calls Trim until there is no more to do, and adds up what went.
func trimAll(t *testing.T, c *redisstream.Client, r redisstream.Retention) redisstream.Trimmed {
	t.Helper()
	var all redisstream.Trimmed
	for {
		got, err := c.Trim(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		if all = all.Then(got); !got.More {
			return all
		}
	}
}

// left are the IDs of a stream, without the sequence where that is 0.
func left(t *testing.T, s *redistest.Server) string {
	t.Helper()
	var ids []string
	for _, e := range s.Do(t, "XRANGE", key, "-", "+").([]any) {
		ids = append(ids, strings.TrimSuffix(e.([]any)[0].(string), "-0"))
	}
	return strings.Join(ids, " ")
}

// dump is everything that a look must not change.
func dump(t *testing.T, s *redistest.Server) string {
	t.Helper()
	return fmt.Sprint(s.Do(t, "XINFO", "STREAM", key, "FULL", "COUNT", 0), s.Do(t, "KEYS", "*"))
}

// What ten entries 1-0 to 10-0 and their groups come to. A plan says the same
// beforehand and changes nothing.
func TestTrim(t *testing.T) {
	t.Parallel()
	const (
		a     = "XGROUP CREATE events a 0 ENTRIESREAD 0\n"
		b     = "XGROUP CREATE events b 0 ENTRIESREAD 0\n"
		readA = "XREADGROUP GROUP a c1 COUNT 6 STREAMS events >\n"
		ackA  = "XACK events a 1-0 2-0 3-0 4-0 5-0 6-0\n"
		doneA = a + readA + ackA // at 6
		readB = "XREADGROUP GROUP b c1 COUNT 3 STREAMS events >\n"
		doneB = b + readB + "XACK events b 1-0 2-0 3-0\n" // at 3
	)
	both := []string{"a", "b"}
	for _, test := range []struct {
		name    string
		setup   string
		rules   redisstream.Retention
		left    string
		missing string
		holding string // groups that need the oldest entry left
		overLen int64
		lost    string // group, undelivered, pending and range
	}{
		{name: "next undelivered of the slowest", setup: doneA + doneB,
			left: "4 5 6 7 8 9 10", holding: "b"},
		{name: "oldest pending", setup: doneA + b + readB + "XACK events b 1-0 3-0",
			left: "2 3 4 5 6 7 8 9 10", holding: "b"},
		{name: "all is settled", setup: doneA + "XGROUP DESTROY events a\nXGROUP CREATE events a $ ENTRIESREAD 10\nXGROUP CREATE events b $ ENTRIESREAD 10",
			left: ""},
		{name: "a group that no manifest knows counts", setup: doneA + doneB, rules: redisstream.Retention{Required: []string{"a"}},
			left: "4 5 6 7 8 9 10", holding: "b"},
		{name: "a required group is missing", setup: doneA,
			left: "1 2 3 4 5 6 7 8 9 10", missing: "b", holding: ""},
		{name: "and a bound does not change that", setup: doneA, rules: redisstream.Retention{MaxLen: 2, Drop: true},
			left: "1 2 3 4 5 6 7 8 9 10", missing: "b", holding: "", overLen: 8},
		{name: "pending without data does not hold", setup: doneA + b + readB + "XACK events b 2-0 3-0\nXDEL events 1-0",
			left: "4 5 6 7 8 9 10", holding: "b"},
		{name: "though other pending does", setup: doneA + b + readB + "XACK events b 2-0\nXDEL events 1-0",
			left: "3 4 5 6 7 8 9 10", holding: "b"},
		{name: "min_len", setup: doneA + doneB, rules: redisstream.Retention{MinLen: 9},
			left: "2 3 4 5 6 7 8 9 10"},
		{name: "min_age keeps nothing old", setup: doneA + doneB, rules: redisstream.Retention{MinAge: time.Hour},
			left: "4 5 6 7 8 9 10", holding: "b"},
		{name: "max_len wins over min_age", setup: doneA + doneB + "XADD events 99999999999999-0 f v", rules: redisstream.Retention{MinLen: 10, MaxLen: 10},
			left: "2 3 4 5 6 7 8 9 10 99999999999999"},
		{name: "hold", setup: doneA + doneB, rules: redisstream.Retention{MaxLen: 5},
			left: "4 5 6 7 8 9 10", holding: "b", overLen: 2},
		{name: "hold by age", setup: doneA + doneB, rules: redisstream.Retention{MaxAge: time.Hour},
			left: "4 5 6 7 8 9 10", holding: "b"},
		{name: "drop by length", setup: doneA + doneB, rules: redisstream.Retention{MaxLen: 2, Drop: true},
			left: "9 10", holding: "b a", lost: "b 5 0 3-1 8-0; a 2 0 6-1 8-0"},
		{name: "drop by length, pending too", setup: a + readA + doneB, rules: redisstream.Retention{MaxLen: 5, Drop: true},
			left: "6 7 8 9 10", holding: "a b", lost: "a 0 5 1-0 5-0; b 2 0 3-1 5-0"},
		{name: "drop by age", setup: doneA + doneB + "XADD events 99999999999999-0 f v", rules: redisstream.Retention{MaxAge: time.Hour, Drop: true},
			left: "99999999999999", holding: "b a", lost: "b 7 0 3-1 10-0; a 4 0 6-1 10-0"},
		{name: "drop of all", setup: doneA + doneB, rules: redisstream.Retention{MaxAge: time.Hour, Drop: true},
			left: "", lost: "b 7 0 3-1 10-0; a 4 0 6-1 10-0"},
		{name: "drop within the bound", setup: doneA + doneB, rules: redisstream.Retention{MaxLen: 8, Drop: true},
			left: "4 5 6 7 8 9 10", holding: "b"},
		{name: "empty stream", setup: "XTRIM events MAXLEN 0\n" + a + b, left: ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			c := open(t, s)
			for i := range 10 {
				s.Do(t, "XADD", key, fmt.Sprintf("%d-0", i+1), "f", "v")
			}
			commands(t, s, test.setup)
			r := test.rules
			r.Stream = key
			if r.Required == nil {
				r.Required = both
			}
			was := dump(t, s)
			plan, err := c.PlanTrim(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			if now := dump(t, s); now != was {
				t.Errorf("the plan has changed the stream from\n%s\nto\n%s", was, now)
			}
			got := trimAll(t, c, r)
			if ids := left(t, s); ids != test.left {
				t.Errorf("left %q, want %q", ids, test.left)
			}
			for what, trimmed := range map[string]redisstream.Trimmed{"plan": plan, "trim": got} {
				if m := strings.Join(trimmed.Missing, " "); m != test.missing {
					t.Errorf("%s: missing %q, want %q", what, m, test.missing)
				}
				var holding, lost []string
				for _, n := range trimmed.Holding() {
					holding = append(holding, n.Group)
				}
				for _, n := range trimmed.Groups {
					if n.Lost() {
						lost = append(lost, fmt.Sprint(n.Group, " ", n.LostUndelivered, " ", n.LostPending, " ", n.LostFrom, " ", n.LostTo))
					}
				}
				if all := strings.Join(lost, "; "); what == "plan" && all != test.lost || what == "trim" && !sameRanges(all, test.lost) {
					t.Errorf("%s: lost %q, want %q", what, all, test.lost)
				}
				if all := strings.Join(holding, " "); test.missing == "" && all != test.holding {
					t.Errorf("%s: held by %q, want %q", what, all, test.holding)
				}
				if trimmed.OverLen != test.overLen {
					t.Errorf("%s: %d beyond max_len, want %d", what, trimmed.OverLen, test.overLen)
				}
			}
			if plan.Entries != got.Entries || plan.Length != got.Length || plan.First != got.First {
				t.Errorf("planned %+v\ntrimmed %+v", plan, got)
			}
		})
	}
}

// sameRanges compares losses; the end of a range may lie anywhere before the
// next entry.
func sameRanges(got, want string) bool {
	var a, b []string
	for _, p := range []struct {
		text string
		to   *[]string
	}{{got, &a}, {want, &b}} {
		for one := range strings.SplitSeq(p.text, "; ") {
			fields := strings.Fields(one)
			*p.to = append(*p.to, strings.Join(fields[:max(0, len(fields)-1)], " "))
		}
	}
	return cmp.Equal(a, b)
}

// Young entries stay although nobody needs them.
func TestTrimKeepsYoung(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	c := open(t, s)
	now := time.Now().UnixMilli()
	for _, ago := range []time.Duration{3 * time.Hour, 2 * time.Hour, time.Minute, time.Second} {
		s.Do(t, "XADD", key, fmt.Sprintf("%d-0", now-ago.Milliseconds()), "f", "v")
	}
	commands(t, s, "XGROUP CREATE events a $ ENTRIESREAD 4")
	r := redisstream.Retention{Stream: key, Required: []string{"a"}, MinAge: time.Hour}
	if got := trimAll(t, c, r); got.Entries != 2 || got.Length != 2 {
		t.Errorf("min_age: %+v, want 2 trimmed", got)
	}
	r.MaxAge = 30 * time.Second
	if got := trimAll(t, c, r); got.Entries != 1 || got.OverAge != 0 {
		t.Errorf("max_age over min_age: %+v, want 1 trimmed", got)
	}
	commands(t, s, "XGROUP SETID events a 0")
	r.MaxAge = time.Millisecond
	if got := trimAll(t, c, r); got.Entries != 0 || got.OverAge < 900*time.Millisecond || got.OverAge > time.Minute {
		t.Errorf("max_age over what is needed: %+v, want about a second", got)
	}
}

// A group that is unknown and idle counts unless the rules say otherwise; one
// that is known, or whose idle time is not, always does.
func TestTrimIdleGroups(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	c := open(t, s)
	commands(t, s, `XADD events 1-0 f v
		XADD events 2-0 f v
		XADD events 3-0 f v
		XGROUP CREATE events a $ ENTRIESREAD 3
		XGROUP CREATE events left 1-0
		XGROUP CREATECONSUMER events left gone`)
	r := redisstream.Retention{Stream: key, Required: []string{"a"}}
	if got := trimAll(t, c, r); got.Entries != 1 {
		t.Fatalf("without ignore_idle_groups: %+v, want 1 trimmed", got)
	}
	r.IgnoreIdle = time.Minute
	if got := trimAll(t, c, r); got.Entries != 0 || got.Groups[0].Ignored || got.Groups[0].Idle < 0 {
		t.Fatalf("idle for less: %+v, want nothing trimmed", got)
	}
	r.IgnoreIdle, r.Known = time.Millisecond, []string{"left"}
	eventually(t, func() bool {
		got := trimAll(t, c, redisstream.Retention{Stream: key, Required: []string{"a"}})
		return got.Groups[0].Idle > 5*time.Millisecond
	})
	if got := trimAll(t, c, r); got.Entries != 0 {
		t.Fatalf("a known group was ignored: %+v", got)
	}
	commands(t, s, "XGROUP CREATE events fresh 1-0")
	r.Known = nil
	if got := trimAll(t, c, r); got.Entries != 0 || got.Holding()[0].Group != "fresh" {
		t.Fatalf("a group without consumers was ignored: %+v", got)
	}
	commands(t, s, "XGROUP DESTROY events fresh")
	plan, err := c.PlanTrim(t.Context(), r)
	if err != nil || plan.Entries != 2 {
		t.Fatalf("plan %+v, %v, want 2 trimmed", plan, err)
	}
	got := trimAll(t, c, r)
	if g := got.Groups[0]; got.Entries != 2 || g.Group != "left" || !g.Ignored || g.LostUndelivered != 2 || len(got.Holding()) != 0 {
		t.Fatalf("an idle group: %+v, want it ignored and 2 trimmed", got)
	}
}

// A long stream goes slice by slice, however Redis has cut it into nodes, and
// what its groups have not read stays whole to the entry.
func TestTrimSlices(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		args                []string
		all, settled, calls int // calls at least
	}{
		"nodes of 100": {nil, 12_345, 7_777, 8},
		"one node":     {[]string{"--stream-node-max-entries", "0", "--stream-node-max-bytes", "0"}, 2_000, 1_111, 12},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t, redistest.WithArgs(test.args...))
			c := open(t, s)
			pipe := s.Client().Pipeline()
			for i := range test.all {
				pipe.Do(t.Context(), "XADD", key, fmt.Sprintf("%d-0", i+1), "f", "v")
			}
			if _, err := pipe.Exec(t.Context()); err != nil {
				t.Fatal(err)
			}
			commands(t, s, fmt.Sprintf("XGROUP CREATE events a %d-0", test.settled))
			r := redisstream.Retention{Stream: key, Required: []string{"a"}}
			plan, err := c.PlanTrim(t.Context(), r)
			if err != nil || plan.Entries != int64(test.settled) || plan.Last != (stream.ID{Ms: uint64(test.settled)}) {
				t.Fatalf("plan %+v, %v", plan, err)
			}
			for calls, n := 1, int64(0); ; calls++ {
				got, err := c.Trim(t.Context(), r)
				if err != nil {
					t.Fatal(err)
				}
				if got.Entries > 1000 {
					t.Fatalf("%d in one call", got.Entries)
				}
				if n += got.Entries; got.More {
					continue
				}
				if calls < test.calls || n != plan.Entries || got.First != plan.First || got.Length != int64(test.all-test.settled) {
					t.Fatalf("%d trimmed in %d calls: %+v", n, calls, got)
				}
				return
			}
		})
	}
}

func TestTrimWithoutStream(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	c := open(t, s)
	r := redisstream.Retention{Stream: key, Required: []string{"a"}, MaxLen: 1, Drop: true}
	if got, err := c.Trim(t.Context(), r); err != nil || got.There || len(got.Missing) != 1 {
		t.Errorf("%+v, %v, want no stream and a missing group", got, err)
	}
	if got, err := c.PlanTrim(t.Context(), r); err != nil || got.There {
		t.Errorf("plan %+v, %v", got, err)
	}
	s.Do(t, "SET", key, "text")
	if _, err := c.Trim(t.Context(), r); err == nil || !strings.Contains(redisstream.Describe(err), "rename the stream") {
		t.Errorf("a key of another type: %v", err)
	}
}
