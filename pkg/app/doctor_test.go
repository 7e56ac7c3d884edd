package app_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"example.com/fanout/pkg/app"
	"example.com/fanout/pkg/manifest"
	"example.com/fanout/pkg/sink/builtin"
	"example.com/fanout/test/redistest"
)

// examine is what the doctor finds with a manifest of one group on a server.
func examine(t *testing.T, url, group string, more ...string) []app.Finding {
	t.Helper()
	text := fmt.Sprintf("version: 1\nredis: {url: %q}\n%s\ngroups:\n  g: {handler: log%s}\n", url, strings.Join(more, "\n"), group)
	m, faults := manifest.Parse("groups.yaml", []byte(text), manifest.Options{Handlers: app.Handlers(builtin.Registry())})
	if m == nil {
		t.Fatal(faults)
	}
	return app.Examine(t.Context(), m, slog.New(slog.DiscardHandler))
}

// finds wants one finding with this level, check and text.
func finds(t *testing.T, findings []app.Finding, want string) {
	t.Helper()
	level, rest, _ := strings.Cut(want, " ")
	check, what, _ := strings.Cut(rest, ": ")
	for _, f := range findings {
		if f.Level == app.Level(level) && f.Check == check && strings.Contains(f.What, what) {
			if f.Mend == "" && (level == "warn" || level == "fail" && check != "redis") {
				t.Errorf("nothing is said of how to mend %+v", f)
			}
			return
		}
	}
	t.Errorf("nobody finds %q:\n%s", want, list(findings))
}

func list(findings []app.Finding) string {
	var b strings.Builder
	for _, f := range findings {
		fmt.Fprintf(&b, "%s %s: %s\n", f.Level, f.Check, f.What)
	}
	return b.String()
}

// Servers that are set up badly, and what the doctor says of them.
func TestExamineSettings(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		args  []string
		group string // keys of the group
		want  []string
	}{
		{"nothing special", nil, "", []string{
			"ok server: redis ", "ok role: ", "ok cluster: ", "ok eviction: noeviction", "warn persistence: neither", "ok replicas: none",
			"ok connections: a process needs 8 of ", "ok clock: ", "ok rights: ", "warn retention: holds 0 entries",
			"ok group: g: is not in Redis yet: it begins at earliest", "ok dead letters: g: none", "ok orphans: none", "ok timings: ",
		}},
		{"evicts streams", []string{"--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"}, "", []string{"fail eviction: allkeys-lru"}},
		{"would evict streams", []string{"--maxmemory-policy", "allkeys-random"}, "", []string{"warn eviction: allkeys-random"}},
		{"evicts leases", []string{"--maxmemory", "100mb", "--maxmemory-policy", "volatile-ttl"}, "", []string{"warn eviction: leases"}},
		{"limited", []string{"--maxmemory", "100mb"}, "", []string{"ok eviction: maxmemory-policy is noeviction"}},
		{"append-only each second", []string{"--appendonly", "yes"}, "", []string{"ok persistence: up to a second"}},
		{"append-only at once", []string{"--appendonly", "yes", "--appendfsync", "always"}, "", []string{"ok persistence: loses nothing"}},
		{"append-only some time", []string{"--appendonly", "yes", "--appendfsync", "no"}, "", []string{"warn persistence: appendfsync no"}},
		{"snapshots", []string{"--save", "3600", "1"}, "", []string{"warn persistence: snapshots alone (save 3600 1)"}},
		{"replicas that are not there", []string{"--min-replicas-to-write", "1"}, "", []string{"fail replicas: 0 of 0 replicas follow"}},
		{"few connections", []string{"--maxclients", "50"}, ", consumers: 24", []string{"fail connections: needs 52, and the server gives 50"}},
		{"scarce connections", []string{"--maxclients", "50"}, ", consumers: 23", []string{"warn connections: of 50 (maxclients) are in use"}},
		{"cluster", []string{"--cluster-enabled", "yes"}, "", []string{"warn cluster: part of a cluster"}},
		// What is not told is unknown and never well.
		{"no CONFIG", []string{"--rename-command", "CONFIG", ""}, "", []string{
			"unknown persistence: no append-only file; the server does not tell", "ok eviction: noeviction", "ok rights: ",
		}},
		{"no CONFIG, append-only", []string{"--rename-command", "CONFIG", "", "--appendonly", "yes"}, "", []string{"unknown persistence: how often"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t, redistest.WithArgs(test.args...))
			findings := examine(t, s.URL(), test.group)
			for _, want := range test.want {
				finds(t, findings, want)
			}
		})
	}
}

// A user who may not ask for the server's state and settings.
func TestExamineSecretive(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	s.Do(t, "ACL", "SETUSER", "shy", "on", ">pw", "~*", "+@all", "-info", "-config", "-time")
	findings := examine(t, strings.Replace(s.URL(), "//", "//shy:pw@", 1), "")
	for _, want := range []string{
		"unknown server: ", "unknown role: ", "unknown cluster: ", "unknown eviction: ", "unknown persistence: ", "unknown replicas: ",
		"unknown connections: a process needs 8", "unknown clock: ", "fail rights: TIME, INFO (",
	} {
		finds(t, findings, want)
	}
}

// What a user lacks is found without being tried, and what the doctor says to
// grant is all that is needed.
func TestExamineRights(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	url := strings.Replace(s.URL(), "//", "//clerk:pw@", 1)
	retention := "retention: {events_stream: {}}"

	s.Do(t, "ACL", "SETUSER", "clerk", "on", ">pw", "+@connection")
	finds(t, examine(t, url, ""), "fail rights: may not run scripts")

	s.Do(t, "ACL", "SETUSER", "clerk", "+eval", "+evalsha")
	findings := examine(t, url, "", retention)
	finds(t, findings, "fail rights: SET on fanout:instance:")
	mend := ""
	for _, f := range findings {
		if f.Check == "rights" {
			mend = f.Mend
		}
	}
	var rule []any
	for _, word := range strings.Fields(strings.Replace(mend, "<user>", "clerk", 1)) {
		rule = append(rule, word)
	}
	s.Do(t, rule...)
	finds(t, examine(t, url, "", retention), "ok rights: may do all")

	// It is: a group works with these rights, buries, is restarted and trimmed.
	add(t, s, 300)
	s.Do(t, "XADD", "events_stream", "*", "event", "no JSON")
	r := newRig(t).manifest(url, groups("g")+retention+"\n").start(func(c *app.Config) { c.UntilCaughtUp = true })
	if err := r.end(); err != nil {
		t.Fatal(err)
	}
	if log := r.log.String(); strings.Contains(log, "NOPERM") || strings.Contains(log, "script can't") {
		t.Error("something more is needed")
	}
	if n := s.Client().XLen(t.Context(), "{events_stream}:dead:g").Val(); n != 1 {
		t.Errorf("%d dead letters, want 1", n)
	}
	finds(t, examine(t, url, "", retention), "ok group: g: at ")

	for command, key := range map[string]string{
		"xack": "events_stream", "xautoclaim": "events_stream", "xgroup|create": "events_stream", "xlen": "{events_stream}:dead:g",
		"hset": "{events_stream}:fanout:checkpoint:g", "hget": "{events_stream}:replaying:g", "pttl": "fanout:instance:",
	} {
		s.Do(t, "ACL", "SETUSER", "clerk", "-"+command)
		finds(t, examine(t, url, ""), "fail rights: "+strings.ToUpper(strings.ReplaceAll(command, "|", " "))+" on "+key)
		s.Do(t, "ACL", "SETUSER", "clerk", "+"+command)
	}
	s.Do(t, "ACL", "SETUSER", "clerk", "-client|unblock")
	finds(t, examine(t, url, ""), "warn rights: CLIENT UNBLOCK (a stop of a group waits")
}

// What is in the streams.
func TestExamineStreams(t *testing.T) {
	t.Parallel()
	const stream, dead = "events_stream", "{events_stream}:dead:g"
	for _, test := range []struct {
		name  string
		setup func(do func(args ...any))
		group string
		more  string
		want  []string
	}{
		{"nothing trims", func(do func(...any)) {
			do("XADD", stream, "1-0", "event", "{}")
		}, "", "", []string{"warn retention: holds 1 entries in about", "warn retention: nothing trims it"}},
		{"large entries", func(do func(...any)) {
			do("XADD", stream, "1-0", "event", strings.Repeat("x", 3<<20))
			do("XADD", stream, "2-0", "event", strings.Repeat("x", 1<<20))
		}, "", "", []string{"warn entries: events_stream: an entry has about 2."}},
		{"large entries of a stream that is trimmed", func(do func(...any)) {
			do("XGROUP", "CREATE", stream, "g", "0", "MKSTREAM")
			do("XADD", stream, "1-0", "event", strings.Repeat("x", 3<<20))
		}, "", "retention: {events_stream: {}}", []string{"warn entries: events_stream: an entry has about 3.", "ok retention: fanout trims"}},
		{"something trims", func(do func(...any)) {
			for i := range 3 {
				do("XADD", stream, "MAXLEN", "1", fmt.Sprintf("%d-0", i+1), "event", "{}")
			}
		}, "", "", []string{"warn retention: 2 were trimmed"}},
		{"fanout trims", func(do func(...any)) {
			do("XGROUP", "CREATE", stream, "g", "0", "MKSTREAM")
		}, "", "retention: {events_stream: {}}", []string{"ok retention: fanout trims events_stream", "ok group: lag 0, 0 pending"}},
		{"fanout may not trim", func(do func(...any)) {
			do("XADD", stream, "1-0", "event", "{}")
		}, "", "retention: {events_stream: {}}", []string{"warn retention: as long as groups are missing: g"}},
		{"the bound is held", func(do func(...any)) {
			do("XGROUP", "CREATE", stream, "g", "0", "MKSTREAM")
			do("XADD", stream, "1-0", "event", "{}")
			do("XADD", stream, "2-0", "event", "{}")
		}, "", "retention: {events_stream: {max_len: 1}}", []string{"warn retention: needed by g"}},
		{"nobody reads", func(do func(...any)) {
			do("XGROUP", "CREATE", stream, "g", "0", "MKSTREAM")
			do("XADD", stream, "1-0", "event", "{}")
		}, "", "", []string{"warn group: lag 1, 0 pending, 0 consumers: nobody has read it yet"}},
		{"lag that nobody knows", func(do func(...any)) {
			do("XADD", stream, "1-0", "event", "{}")
			do("XADD", stream, "2-0", "event", "{}")
			do("XADD", stream, "3-0", "event", "{}")
			do("XGROUP", "CREATE", stream, "g", "2-0")
			do("XREADGROUP", "GROUP", "g", "c", "COUNT", "0", "STREAMS", stream, "0")
		}, "", "", []string{"unknown group: lag unknown"}},
		{"orphans", func(do func(...any)) {
			do("XGROUP", "CREATE", stream, "other", "0", "MKSTREAM")
			do("XGROUP", "CREATE", stream, "g", "0")
			do("XADD", stream, "1-0", "event", "{}")
			do("XREADGROUP", "GROUP", "g", "gone-0", "STREAMS", stream, ">")
		}, "", "", []string{"warn orphans: the group other", "warn orphans: g: 1 entry pending for gone-0"}},
		{"after a stop", func(do func(...any)) {
			do("XGROUP", "CREATE", stream, "g", "0", "MKSTREAM")
			do("XADD", stream, "1-0", "event", "{}")
			do("XADD", stream, "2-0", "event", "{}")
			do("XREADGROUP", "GROUP", "g", "ended-0", "STREAMS", stream, ">")
			for _, id := range []string{"1-0", "2-0"} {
				do("XCLAIM", stream, "g", "ended-0", "0", id, "IDLE", "2592000000", "JUSTID")
			}
		}, "", "", []string{"ok orphans: g: ended-0 gave back 2 entries"}},
		{"dead letters", func(do func(...any)) {
			do("XADD", dead, "*", "letter", "{}")
		}, "", "", []string{"warn dead letters: g: 1 of 100000"}},
		{"dead letters are full", func(do func(...any)) {
			do("XADD", dead, "*", "letter", "{}")
		}, ", dead_letter: {max_len: 1}", "", []string{"fail dead letters: g: 1 of 1: the group holds"}},
		{"dead letters are dropped", func(do func(...any)) {
			do("XADD", dead, "*", "letter", "{}")
		}, ", dead_letter: {max_len: 1, overflow: drop_oldest}", "", []string{"warn dead letters: the oldest are dropped"}},
		{"keys of others", func(do func(...any)) {
			do("SET", stream, "x")
			do("RPUSH", dead, "x")
		}, "", "", []string{"fail keys: events_stream holds a string and not a stream", "fail keys: dead:g holds a list", "unknown retention: "}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			test.setup(func(args ...any) { s.Do(t, args...) })
			findings := examine(t, s.URL(), test.group, test.more)
			for _, want := range test.want {
				finds(t, findings, want)
			}
		})
	}
}

func TestExamineUnreachable(t *testing.T) {
	t.Parallel()
	primary := redistest.Start(t)
	replica := redistest.Start(t, redistest.WithArgs("--replicaof", "127.0.0.1", fmt.Sprint(primary.Port)))
	finds(t, examine(t, replica.URL(), ""), "fail role: is a replica")

	s := redistest.Start(t, redistest.WithPassword("secret"))
	finds(t, examine(t, "redis://"+s.Addr(), ""), "fail redis: Redis asks for a password")
	finds(t, examine(t, "redis://:wrong@"+s.Addr(), ""), "fail redis: Redis refuses user or password")
	url := s.URL()
	s.Stop(t)
	findings := examine(t, url, "")
	finds(t, findings, "fail redis: nothing listens")
	finds(t, findings, "ok timings: ")
	if strings.Contains(list(findings), "secret") {
		t.Errorf("the password is shown:\n%s", list(findings))
	}
}
