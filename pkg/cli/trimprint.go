package cli

import (
	"fmt"
	"strings"
	"time"

	"example.com/fanout/pkg/manifest"
	"example.com/fanout/pkg/redisstream"
	"example.com/fanout/pkg/stream"
	"example.com/fanout/pkg/telemetry"
)

// streamJSON is what a trim, or a look, found in one stream.
type streamJSON struct {
	Stream         string     `json:"stream"`
	There          bool       `json:"there"`
	Missing        []string   `json:"missing_groups"`
	Entries        int64      `json:"trimmed"`
	Last           *stream.ID `json:"last_trimmed"`
	Length         int64      `json:"length"`
	First          *stream.ID `json:"first"`
	OverLen        int64      `json:"over_max_len"`
	OverAgeSeconds float64    `json:"over_max_age_seconds"`
	Holding        []string   `json:"held_by"`
	Groups         []needJSON `json:"groups"`
}

// needJSON is what one group holds back; what is not known is null.
type needJSON struct {
	Group         string     `json:"group"`
	Known         bool       `json:"in_manifest"`
	Ignored       bool       `json:"ignored"`
	Consumers     int64      `json:"consumers"`
	Pending       int64      `json:"pending"`
	OldestPending *stream.ID `json:"oldest_pending"`
	LastDelivered stream.ID  `json:"last_delivered"`
	Undelivered   *int64     `json:"undelivered"`
	IdleSeconds   *float64   `json:"idle_seconds"`
	From          stream.ID  `json:"needs_from"`
	Lost          *lostJSON  `json:"lost,omitempty"`
}

// lostJSON is what a trim took of what a group needed.
type lostJSON struct {
	Undelivered *int64    `json:"undelivered"`
	Pending     int64     `json:"pending"`
	First       stream.ID `json:"first"`
	Last        stream.ID `json:"last"`
}

func newStreamJSON(r manifest.Retention, t redisstream.Trimmed) streamJSON {
	out := streamJSON{
		Stream: r.Stream, There: t.There, Missing: append([]string{}, t.Missing...), Entries: t.Entries, Last: t.Last.OrNil(),
		Length: t.Length, First: t.First.OrNil(), OverLen: t.OverLen, OverAgeSeconds: t.OverAge.Seconds(),
		Holding: []string{}, Groups: []needJSON{},
	}
	for _, n := range t.Holding() {
		out.Holding = append(out.Holding, n.Group)
	}
	for _, n := range t.Groups {
		out.Groups = append(out.Groups, newNeedJSON(n))
	}
	return out
}

func newNeedJSON(n redisstream.Need) needJSON {
	out := needJSON{
		Group: n.Group, Known: n.Known, Ignored: n.Ignored, Consumers: n.Consumers, Pending: n.Pending,
		OldestPending: n.OldestPending.OrNil(), LastDelivered: n.LastDelivered, Undelivered: countOrNil(n.Undelivered), From: n.From,
	}
	if n.Idle >= 0 {
		seconds := n.Idle.Seconds()
		out.IdleSeconds = &seconds
	}
	if n.Lost() {
		out.Lost = &lostJSON{countOrNil(n.LostUndelivered), n.LostPending, n.LostFrom, n.LostTo}
	}
	return out
}

// countOrNil is nil for a number that is not known, which is negative.
func countOrNil(n int64) *int64 {
	if n < 0 {
		return nil
	}
	return &n
}

// printTrimmed prints what went, who holds the rest back, and what of that a
// bound means.
func (e *env) printTrimmed(r manifest.Retention, t redisstream.Trimmed, dry bool) {
	name := printable(r.Stream, 200)
	say := func(format string, args ...any) {
		fmt.Fprintf(e.out, "%s: %s\n", name, printable(fmt.Sprintf(format, args...), 2000))
	}
	if !t.There {
		say("not in Redis yet")
		return
	}
	verb, would := "trimmed", ""
	if dry {
		verb, would = "would be trimmed", "would "
	}
	upTo := ""
	if t.Entries > 0 {
		upTo = ", up to " + t.Last.String()
	}
	say("%s %s%s; %d left", telemetry.Plural(t.Entries, "entry"), verb, upTo, t.Length)
	if len(t.Missing) > 0 {
		say("nothing is trimmed while a group is missing in Redis: %s", strings.Join(t.Missing, ", "))
	}
	for _, n := range t.Groups {
		if n.Lost() {
			say("%s %slose %s undelivered and %d pending entries between %s and %s", n.Group, would, orUnknown(countOrNil(n.LostUndelivered)), n.LostPending, n.LostFrom, n.LostTo)
		}
	}
	needed := ""
	for i, n := range t.Holding() {
		needed += [...]string{", needed by ", ", "}[min(i, 1)] + n.Group
	}
	if t.OverLen > 0 {
		say("%s more than max_len %d%s", telemetry.Plural(t.OverLen, "entry"), r.Rules.MaxLen, needed)
	}
	if t.OverAge > 0 {
		say("the oldest entry is %s older than max_age %s%s", t.OverAge.Round(time.Second), r.Rules.MaxAge, needed)
	}
	e.printNeeds(t.Groups, func(n redisstream.Need) string {
		switch {
		case n.Ignored:
			return "ignored, idle"
		case !n.Known:
			return "not in " + e.config
		}
		return ""
	})
}

// printNeeds prints one line a group: what it holds back, and a remark.
func (e *env) printNeeds(groups []redisstream.Need, remark func(redisstream.Need) string) {
	if len(groups) == 0 {
		return
	}
	c := columns{right: []bool{2: true, 4: true}}
	rows := [][]cell{texts("  GROUP", "NEEDS FROM", "PENDING", "OLDEST PENDING", "UNDELIVERED", "IDLE", "")}
	for _, n := range groups {
		oldest := "-"
		if !n.OldestPending.IsZero() {
			oldest = n.OldestPending.String()
		}
		rows = append(rows, texts("  "+printable(n.Group, 200), n.From.String(), number(n.Pending), oldest, orUnknown(countOrNil(n.Undelivered)), idle(n.Idle), remark(n)))
	}
	e.printRows(&c, rows)
}

// orUnknown is a number as people read it, where nil is unknown.
func orUnknown(n *int64) string {
	if n == nil {
		return "unknown"
	}
	return number(*n)
}

// idle is how long ago somebody did something; "-" where nobody asked or knows.
func idle(d time.Duration) string {
	if d < 0 {
		return "-"
	}
	now := time.Now()
	return ago(now.Add(-d), now)
}
