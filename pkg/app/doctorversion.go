package app

import (
	"fmt"
	"strings"
)

// release is the number of a server's release.
type release [3]int

func parseRelease(text string) (r release, known bool) {
	n, err := fmt.Sscanf(text, "%d.%d.%d", &r[0], &r[1], &r[2])
	return r, err == nil && n == len(r)
}

func (r release) before(other release) bool {
	for i := range r {
		if r[i] != other[i] {
			return r[i] < other[i]
		}
	}
	return false
}

// oldest is the first release that has all that is used: the lag of groups,
// XGROUP CREATE with ENTRIESREAD, XAUTOCLAIM that tells deleted entries.
var oldest = map[string]release{"redis": {7, 0, 0}, "valkey": {7, 2, 0}}

// span is a range of releases: the first one that is in it, and the first one
// after it.
type span struct{ from, until release }

// flaw is a known fault of servers in what is done with streams.
type flaw struct {
	server string
	in     []span
	level  Level
	what   string // with where it is told
}

// flaws are from the release notes and issues of the servers. Those that do not
// concern fanout itself are told for what others do with the same streams.
var flaws = []flaw{
	{
		"redis",
		[]span{{release{7, 0, 0}, release{7, 0, 4}}}, LevelFail,
		"XAUTOCLAIM writes beyond its memory when pending entries were deleted, and crashes the server (CVE-2022-31144, redis #10968)",
	},
	{
		"redis",
		[]span{{release{7, 0, 0}, release{7, 0, 5}}}, LevelWarn,
		"XAUTOCLAIM with a crafted COUNT overflows the heap (CVE-2022-35951, redis #11299); fanout sends small ones",
	},
	{
		"redis",
		[]span{{release{7, 0, 0}, release{7, 2, 7}}, {release{7, 4, 0}, release{7, 4, 2}}}, LevelOK,
		"XINFO GROUPS shows a wrong lag after XDEL and XTRIM (redis #13338, #13473); fanout checks it, other tools may not",
	},
	{
		"redis",
		[]span{{release{8, 2, 0}, release{8, 2, 3}}}, LevelWarn,
		"XACKDEL of several entries crashes the server (CVE-2025-62507, redis #14382); fanout does not use it",
	},
	{
		"redis",
		[]span{{release{8, 2, 0}, release{8, 2, 7}}, {release{8, 4, 0}, release{8, 4, 4}}}, LevelOK,
		"XADD and XTRIM with ACKED and ~ trim nothing (redis #14656): producers must not rely on it",
	},
	{
		"valkey",
		[]span{{release{7, 2, 0}, release{8, 1, 1}}}, LevelOK,
		"XINFO GROUPS may show a wrong lag after XDEL and XTRIM (valkey #1952, mended in 8.1.1 and some before); fanout checks it, other tools may not",
	},
}

// versionFindings judges the server's release.
func versionFindings(server, version string) []Finding {
	const check = "server"
	is, known := parseRelease(version)
	least, tested := oldest[server]
	switch {
	case !tested:
		return []Finding{warn(check, "use Redis or Valkey", "%s: fanout is tested on Redis, and made for what Valkey shares with it", strings.TrimSpace(server+" "+version))}
	case !known:
		return []Finding{unknown(check, "allow the user INFO", "%s of unknown version: 7.0 or newer is needed", server)}
	case is.before(least):
		return []Finding{failure(check, "upgrade the server", "%s %s: %d.%d or newer is needed", server, version, least[0], least[1])}
	}
	var findings []Finding
	notes := ""
	for _, f := range flaws {
		if f.server != server || !within(is, f.in) {
			continue
		}
		if f.level == LevelOK {
			notes += "; " + f.what
			continue
		}
		findings = append(findings, Finding{f.level, check, fmt.Sprintf("%s %s: %s", server, version, f.what), "upgrade the server"})
	}
	return append([]Finding{ok(check, "%s %s%s", server, version, notes)}, findings...)
}

func within(r release, in []span) bool {
	for _, s := range in {
		if !r.before(s.from) && r.before(s.until) {
			return true
		}
	}
	return false
}
