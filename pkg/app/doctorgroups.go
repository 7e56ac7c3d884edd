package app

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"example.com/fanout/pkg/manifest"
	"example.com/fanout/pkg/redisstream"
	"example.com/fanout/pkg/stream"
	"example.com/fanout/pkg/telemetry"
)

// streams judges what keeps the streams from growing.
func (d *doctor) streams(ctx context.Context) []Finding {
	const check = "retention"
	var (
		findings []Finding
		seen     []string
	)
	for _, g := range d.groups {
		if slices.Contains(seen, g.Stream) {
			continue
		}
		seen = append(seen, g.Stream)
		facts, err := d.client.Stream(ctx, g.Stream)
		if err != nil {
			findings = append(findings, cannotAsk(check, err))
			continue
		}
		findings = append(findings, large(g.Stream, facts)...)
		if i := slices.IndexFunc(d.manifest.Retention, func(r manifest.Retention) bool { return r.Stream == g.Stream }); i >= 0 {
			findings = append(findings, d.retention(ctx, d.manifest.Retention[i]))
			continue
		}
		findings = append(findings, growth(g.Stream, facts))
	}
	return findings
}

// retention judges whether a stream is trimmed as the manifest wants it.
func (d *doctor) retention(ctx context.Context, r manifest.Retention) Finding {
	const check = "retention"
	t, err := d.streamsOf().Plan(ctx, r)
	if err != nil {
		return cannotAsk(check, err)
	}
	var holding []string
	for _, n := range t.Holding() {
		holding = append(holding, n.Group)
	}
	switch {
	case len(t.Missing) > 0 && t.There && t.Length > 0:
		return warn(check, "fanout run, which creates them; or remove them from the manifest",
			"nothing is trimmed from %s as long as groups are missing: %s", r.Stream, few(t.Missing))
	case t.OverLen > 0 || t.OverAge > 0:
		return warn(check, "see why they are behind; or set policy: drop_and_report",
			"%s holds %d entries, more than its bound: they are needed by %s", r.Stream, t.Length, few(holding))
	}
	return ok(check, "fanout trims %s, which holds %d entries", r.Stream, t.Length+t.Entries)
}

// streamsOf works on the same streams.
func (d *doctor) streamsOf() *Streams { return &Streams{manifest: d.manifest, client: d.client} }

// orphans judges what belongs to nobody.
func (d *doctor) orphans(ctx context.Context) []Finding {
	const check = "orphans"
	all, err := d.streamsOf().Orphans(ctx)
	if err != nil {
		return []Finding{cannotAsk(check, err)}
	}
	var findings []Finding
	for _, s := range all {
		for _, g := range s.Groups {
			findings = append(findings, warn(check, fmt.Sprintf("fanout orphans; if nobody needs it: redis-cli XGROUP DESTROY %s %s", s.Stream, g.Group),
				"the manifest does not name the group %s of %s, which holds entries back from %s on", g.Group, s.Stream, g.From))
		}
		for _, c := range s.Consumers {
			entries := telemetry.Plural(c.Pending, "entry")
			if c.GivenBack {
				findings = append(findings, ok(check, "%s: %s gave back %s when it ended, which the group takes when it runs", c.Group, c.Name, entries))
				continue
			}
			findings = append(findings, warn(check, "run the group, which takes over what is pending",
				"%s: %s pending for %s, whose process is gone", c.Group, entries, c.Name))
		}
	}
	if len(findings) == 0 {
		return []Finding{ok(check, "none")}
	}
	return findings
}

// largeEntry is how many bytes an entry may have on average. Redis copies the
// first and the last entry at each look at a stream, of which there is one a
// second and group.
const largeEntry = 1 << 20

// large warns of entries that make each look at their stream slow.
func large(name string, f redisstream.StreamFacts) []Finding {
	if f.Bytes < 0 || f.Length == 0 || f.Bytes/f.Length <= largeEntry {
		return nil
	}
	return []Finding{warn("entries", "keep large bodies elsewhere, and let entries name them",
		"%s: an entry has about %s; Redis copies two of them each time that the stream is looked at, so that lag and losses are seen late", name, bytesText(f.Bytes/f.Length))}
}

func growth(name string, f redisstream.StreamFacts) Finding {
	const (
		check = "retention"
		mend  = "let fanout trim what every group has settled: a section retention in the manifest"
	)
	holds := fmt.Sprintf("%s holds %d entries", name, f.Length)
	if f.Bytes >= 0 {
		holds += fmt.Sprintf(" in about %s", bytesText(f.Bytes))
	}
	switch gone := f.Added - f.Length; {
	case f.Added < 0:
		return unknown(check, mend, "%s; whether anything trims it cannot be told", holds)
	case gone > 0:
		return warn(check, mend, "%s, and %d were trimmed or deleted by something that does not look at the groups", holds, gone)
	}
	return warn(check, mend, "%s, all there ever were: nothing trims it, and it grows until memory runs out", holds)
}

// ofGroups judges what each group has in Redis.
func (d *doctor) ofGroups(ctx context.Context) []Finding {
	var findings []Finding
	for _, g := range d.groups {
		misplaced, err := g.redis.Misplaced(ctx)
		if err != nil {
			findings = append(findings, named(g.Name, cannotAsk("keys", err)))
		}
		for _, m := range misplaced {
			findings = append(findings, named(g.Name, failure("keys", "rename the stream, or move the key away", "the key %s holds a %s and not a %s", m.Key, m.Is, m.Want)))
		}
		if len(misplaced) == 0 {
			findings = append(findings, named(g.Name, position(ctx, g)), named(g.Name, buried(ctx, g)))
		}
	}
	return findings
}

func named(group string, f Finding) Finding {
	f.What = group + ": " + f.What
	return f
}

// idleGroup is how long nobody may have read a group that has work.
const idleGroup = time.Minute

// position judges where a group stands.
func position(ctx context.Context, g groupInRedis) Finding {
	const check = "group"
	info, err := g.redis.Info(ctx)
	switch {
	case missing(err):
		return ok(check, "is not in Redis yet: it begins at %s when it first runs", g.Start)
	case err != nil:
		return cannotAsk(check, err)
	}
	consumers, err := g.redis.Consumers(ctx)
	if err != nil {
		return cannotAsk(check, err)
	}
	lag := "unknown"
	if info.LagKnown {
		lag = fmt.Sprint(info.Lag)
	}
	at := fmt.Sprintf("at %s, lag %s, %d pending, %s", info.LastDelivered, lag, info.Pending, telemetry.Plural(len(consumers), "consumer"))
	quiet, idle := info.Pending == 0 && info.LagKnown && info.Lag == 0, idlest(consumers)
	switch {
	case !quiet && idle < 0:
		return warn(check, "fanout run", "%s: nobody has read it yet", at)
	case !quiet && idle > idleGroup:
		return warn(check, "fanout run, or fanout status where it runs", "%s: nobody has read it for %s", at, idle.Round(time.Second))
	case !info.LagKnown:
		return unknown(check, "", "%s", at)
	}
	return ok(check, "%s", at)
}

// idlest is how long the consumer has done nothing that did something last; -1
// without any.
func idlest(consumers []stream.ConsumerInfo) time.Duration {
	least := time.Duration(-1)
	for _, c := range consumers {
		if least < 0 || c.Idle < least {
			least = c.Idle
		}
	}
	return least
}

// buried judges the dead letters of a group.
func buried(ctx context.Context, g groupInRedis) Finding {
	const check = "dead letters"
	n, err := g.redis.Length(ctx)
	if err != nil {
		return cannotAsk(check, err)
	}
	mend := fmt.Sprintf("fanout dead list %s, then replay or purge", g.Name)
	most := g.DeadLetter.MaxLen
	switch {
	case n == 0:
		return ok(check, "none")
	case n >= most && g.DeadLetter.Overflow == manifest.DropOldest:
		return warn(check, mend, "%d of %d: the oldest are dropped for new ones", n, most)
	case n >= most:
		return failure(check, mend, "%d of %d: the group holds what it cannot bury and takes nothing new then", n, most)
	}
	return warn(check, mend, "%d of %d at most", n, most)
}

// What service managers give a process by default to stop.
const (
	graceOfKubernetes = 30 * time.Second
	graceOfSystemd    = 90 * time.Second
	graceMargin       = 5 * time.Second // for what a stop does beside waiting for calls
)

// leastIdle is what a claim.min_idle should not be below: three replies of Redis
// that take as long as they may.
const leastIdle = 15 * time.Second

// timings judges the manifest's durations.
func timings(m *manifest.Manifest) []Finding {
	const check = "timings"
	var (
		findings []Finding
		longest  manifest.Group
	)
	for _, g := range m.Groups {
		if !g.Enabled {
			continue
		}
		if g.DrainTimeout > longest.DrainTimeout {
			longest = g
		}
		if g.Claim.MinIdle < leastIdle {
			findings = append(findings, named(g.Name, warn(check, fmt.Sprintf("set claim.min_idle to %s or more", leastIdle),
				"claim.min_idle is %s: a pause of the process or of Redis of that length lets others handle the same entries", g.Claim.MinIdle)))
		}
		if held := g.Timeout + g.Batch.Linger.Wait(); held >= g.Claim.MinIdle {
			findings = append(findings, named(g.Name, warn(check, fmt.Sprintf("set claim.min_idle to more than %s", held),
				"timeout and batch.linger make %s, and claim.min_idle is %s: what is handled stays ours only as long as Redis can be reached", held, g.Claim.MinIdle)))
		}
	}
	for _, by := range []struct {
		who, setting string
		grace        time.Duration
	}{{"Kubernetes", "terminationGracePeriodSeconds", graceOfKubernetes}, {"systemd", "TimeoutStopSec", graceOfSystemd}} {
		if longest.DrainTimeout+graceMargin > by.grace {
			findings = append(findings, named(longest.Name, warn(check,
				fmt.Sprintf("there, set %s above %s", by.setting, longest.DrainTimeout+graceMargin),
				"drain_timeout is %s, and %s by default kills a process %s after it was told to stop", longest.DrainTimeout, by.who, by.grace)))
		}
	}
	if len(findings) == 0 {
		return []Finding{ok(check, "a stop takes %s at most, and nothing is taken away while it is handled", longest.DrainTimeout+graceMargin)}
	}
	return findings
}

func bytesText(n int64) string {
	value, unit := float64(n), "B"
	for _, larger := range strings.Fields("KiB MiB GiB TiB") {
		if value < 1024 {
			break
		}
		value, unit = value/1024, larger
	}
	return fmt.Sprintf("%.1f %s", value, unit)
}
