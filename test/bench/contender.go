package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// The contenders, in the order of the tables.
const (
	theLimit = "limit"    // own small client; see pump
	ours     = "fanout"   // the built binary
	typed    = "go-redis" // see readTyped
)

var contenders = []string{theLimit, ours, typed}

// meaning says what a contender is, for the legends.
var meaning = map[string]string{
	theLimit: "the limit: own RESP, nothing decoded",
	ours:     "fanout: two JSON fields read",
	typed:    "go-redis, typed loop, nothing decoded",
}

// job is what a contender is to do.
type job struct {
	stream string
	groups []string
	live   bool // wait for entries and measure how long they were on their way
}

// names are those of n groups.
func names(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("bench-%d", i)
	}
	return list
}

// report is the file of the latency in a contender's folder.
const report = "latency.json"

// start starts a contender in an empty folder.
func (b *bench) start(ctx context.Context, who, dir string, j job) (*process, error) {
	if who == ours {
		text := b.manifest(j)
		if err := os.WriteFile(filepath.Join(dir, "groups.yaml"), []byte(text), 0o600); err != nil {
			return nil, fmt.Errorf("write manifest: %w", err)
		}
		binary := b.fanout
		if j.live {
			binary = b.probefanout
		}
		return b.startFanout(ctx, binary, dir)
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find the program itself: %w", err)
	}
	args := []string{who, "-redis", b.server.addr, "-stream", j.stream, "-groups", strings.Join(j.groups, ",")}
	if j.live {
		args = append(args, "-report", filepath.Join(dir, report))
	}
	return spawn(exec.CommandContext(ctx, self, args...))
}

// startFanout runs dir/groups.yaml.
func (b *bench) startFanout(ctx context.Context, binary, dir string, args ...string) (*process, error) {
	cmd := exec.CommandContext(ctx, binary, append([]string{"run", "-c", "groups.yaml", "--log-level", "warn"}, args...)...)
	cmd.Dir = dir
	cmd.Env = []string{
		"HOME=" + dir, "PATH=" + os.Getenv("PATH"),
		"REDIS_URL=" + b.server.url(), "FANOUT_ADMIN=" + b.admin, "WEBHOOK_URL=" + b.receiver,
		"FANOUT_BENCH_REPORT=" + filepath.Join(dir, report),
	}
	return spawn(cmd)
}

// manifest is that of fanout in the runs without a store: a filter that reads
// two fields and lets all pass, and a handler that throws away.
func (b *bench) manifest(j job) string {
	defaults := map[string]string{
		"stream":    j.stream,
		"consumers": "2",
		"batch":     fmt.Sprintf("{size: %d}", batchSize),
	}
	maps.Copy(defaults, b.opts.with)
	var text strings.Builder
	text.WriteString("version: 1\nredis: {url: \"${REDIS_URL}\"}\nadmin: {listen: \"${FANOUT_ADMIN}\", pprof: true}\ndefaults:\n")
	for _, key := range slices.Sorted(maps.Keys(defaults)) {
		fmt.Fprintf(&text, "  %s: %s\n", key, defaults[key])
	}
	handler := "{log: {level: none}}"
	if j.live {
		handler = "probe"
	}
	text.WriteString("groups:\n")
	for _, name := range j.groups {
		fmt.Fprintf(&text, "  %s: {handler: %s, where: \"stake.value >= 0 and odds.ticks > 0\"}\n", name, handler)
	}
	return text.String()
}

// folder makes an empty folder for one run; drop removes it.
func (b *bench) folder() (dir string, drop func(), err error) {
	dir, err = os.MkdirTemp(b.dir, "run-")
	if err != nil {
		return "", nil, fmt.Errorf("make a folder: %w", err)
	}
	return dir, func() { _ = os.RemoveAll(dir) }, nil
}

// inTurn runs each contender once; who is first changes from round to round.
func inTurn[T any](round int, run func(who string) (T, error)) (map[string]T, error) {
	results := map[string]T{}
	for i := range contenders {
		who := contenders[(i+round)%len(contenders)]
		result, err := run(who)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", who, err)
		}
		results[who] = result
	}
	return results, nil
}
