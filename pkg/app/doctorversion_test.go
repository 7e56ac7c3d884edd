package app

import (
	"strings"
	"testing"
	"time"

	"example.com/fanout/pkg/manifest"
	"example.com/fanout/pkg/redisstream"
)

func TestVersionFindings(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		server, version string
		want            []string // level and part of each finding
	}{
		{"redis", "6.2.14", []string{"fail 7.0 or newer"}},
		{"redis", "7.0.0", []string{"ok redis #13338", "fail CVE-2022-31144", "warn CVE-2022-35951"}},
		{"redis", "7.0.3", []string{"ok redis #13338", "fail CVE-2022-31144", "warn CVE-2022-35951"}},
		{"redis", "7.0.4", []string{"ok redis #13338", "warn CVE-2022-35951"}},
		{"redis", "7.0.15", []string{"ok redis #13338"}},
		{"redis", "7.2.7", []string{"ok redis 7.2.7"}},
		{"redis", "7.4.1", []string{"ok redis #13338, #13473"}},
		{"redis", "7.4.2", []string{"ok redis 7.4.2"}},
		{"redis", "8.2.2", []string{"ok redis #14656", "warn redis #14382"}},
		{"redis", "8.2.10", []string{"ok redis 8.2.10"}},
		{"redis", "8.4.3", []string{"ok redis #14656"}},
		{"redis", "10.0.0", []string{"ok redis 10.0.0"}},
		{"redis", "7.9.240", []string{"ok redis 7.9.240"}},
		{"redis", "255.255.255", []string{"ok redis 255.255.255"}},
		{"redis", "", []string{"unknown 7.0 or newer is needed"}},
		{"redis", "unstable", []string{"unknown "}},
		{"valkey", "8.1.0", []string{"ok valkey #1952"}},
		{"valkey", "9.0.1", []string{"ok valkey 9.0.1"}},
		{"dragonfly", "1.30.0", []string{"warn dragonfly 1.30.0: fanout is tested on Redis"}},
	} {
		t.Run(test.server+" "+test.version, func(t *testing.T) {
			t.Parallel()
			got := versionFindings(test.server, test.version)
			if len(got) != len(test.want) {
				t.Fatalf("%+v, want %q", got, test.want)
			}
			for i, want := range test.want {
				level, part, _ := strings.Cut(want, " ")
				if got[i].Level != Level(level) || !strings.Contains(got[i].What, part) || level == "fail" && got[i].Mend == "" {
					t.Errorf("finding %d is %+v, want %s", i, got[i], want)
				}
			}
		})
	}
}

func TestClock(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	for _, test := range []struct {
		facts redisstream.Facts
		level Level
		what  string
	}{
		{redisstream.Facts{}, LevelUnknown, "does not tell"},
		{redisstream.Facts{SkewKnown: true, Skew: 3 * ms, SkewError: 2 * ms}, LevelOK, "give or take 5ms"},
		{redisstream.Facts{SkewKnown: true, Skew: 3 * time.Second}, LevelWarn, "3s ahead"},
		{redisstream.Facts{SkewKnown: true, Skew: -time.Hour, SkewError: ms}, LevelWarn, "1h0m0s behind"},
		{redisstream.Facts{SkewKnown: true, Skew: 3 * time.Second, SkewError: 2 * time.Second}, LevelOK, "give or take 5s"}, // a slow line
	} {
		if f := clock(test.facts); f.Level != test.level || !strings.Contains(f.What, test.what) {
			t.Errorf("%+v: %+v, want %s and %s", test.facts, f, test.level, test.what)
		}
	}
}

func TestTimings(t *testing.T) {
	t.Parallel()
	group := func(change func(*manifest.Group)) manifest.Group {
		g := manifest.Group{Name: "g", Enabled: true, Timeout: 30 * time.Second, DrainTimeout: 20 * time.Second, Claim: manifest.Claim{MinIdle: time.Minute}}
		change(&g)
		return g
	}
	for _, test := range []struct {
		name   string
		change func(*manifest.Group)
		want   []string
	}{
		{"defaults", func(*manifest.Group) {}, []string{"ok a stop takes 25s"}},
		{"disabled", func(g *manifest.Group) { g.Enabled, g.DrainTimeout = false, time.Hour }, []string{"ok a stop takes 5s"}},
		{"long drain", func(g *manifest.Group) { g.DrainTimeout = 26 * time.Second }, []string{"warn Kubernetes"}},
		{"longer drain", func(g *manifest.Group) { g.DrainTimeout = 2 * time.Minute }, []string{"warn Kubernetes", "warn systemd"}},
		{"short min_idle", func(g *manifest.Group) { g.Timeout, g.Claim.MinIdle = time.Second, 5*time.Second }, []string{"warn claim.min_idle is 5s"}},
		{"long linger", func(g *manifest.Group) { g.Batch.Linger = manifest.Linger(30 * time.Second) }, []string{"warn timeout and batch.linger make 1m0s"}},
	} {
		got := timings(&manifest.Manifest{Groups: []manifest.Group{group(test.change)}})
		if len(got) != len(test.want) {
			t.Errorf("%s: %+v, want %q", test.name, got, test.want)
			continue
		}
		for i, want := range test.want {
			level, part, _ := strings.Cut(want, " ")
			if got[i].Level != Level(level) || !strings.Contains(got[i].What, part) {
				t.Errorf("%s: %+v, want %s", test.name, got[i], want)
			}
		}
	}
}

func TestBytesText(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{0: "0.0 B", 1000: "1000.0 B", 1024: "1.0 KiB", 1536: "1.5 KiB", 5 << 30: "5.0 GiB", 1 << 50: "1024.0 TiB"} {
		if got := bytesText(n); got != want {
			t.Errorf("%d is %s, want %s", n, got, want)
		}
	}
}
