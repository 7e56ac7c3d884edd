// Command bench measures fanout's built binary from outside: how many
// deliveries a second it makes, what they cost, and how long they take, beside
// the most that redis-server can serve and beside a plain go-redis loop.
//
//   - Each run has a redis-server of its own on 127.0.0.1, without persistence.
//     All contenders read the same stream, one after the other, and take turns
//     over several rounds. Medians are shown with the least and the most.
//   - Progress is what the server says: entries-read less pending, over all
//     groups. No client reports about itself, but for the time that entries are
//     on their way.
//   - Time counts from the last answer that saw nothing settled to the first
//     that saw everything settled. The start of a process does not count.
//   - Processor time and memory are those of /proc, so it needs Linux.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

type options struct {
	entries, deliveries, rounds, storeEntries, rate, liveDeliveries, many int
	live, idle                                                            time.Duration
	groups                                                                []int
	only                                                                  []string
	with                                                                  map[string]string
	fanout, json, svg, dir                                                string
	profiles                                                              string
	profileSeconds                                                        int
	parts, isolation                                                      bool
}

// what can be measured, in this order.
var kinds = []string{"deliveries", "live", "stores", "idle"}

func parseOptions(args []string, errors io.Writer) (o options, err error) {
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(errors)
	f.IntVar(&o.entries, "entries", 1_000_000, "trades in the stream")
	f.IntVar(&o.deliveries, "deliveries", 3_000_000, "of one run at most; many groups then read the last entries alone")
	f.IntVar(&o.rounds, "rounds", 5, "rounds, in which the contenders take turns")
	f.IntVar(&o.storeEntries, "store-entries", 1_000_000, "trades that go into stores")
	f.IntVar(&o.rate, "rate", 5000, "entries a second of the live runs")
	f.IntVar(&o.liveDeliveries, "live-deliveries", 50_000, "a second of a live run at most; many groups then get fewer entries")
	f.DurationVar(&o.live, "live", 10*time.Second, "length of a live run")
	f.DurationVar(&o.idle, "idle", 30*time.Second, "length of the idle run")
	f.IntVar(&o.many, "many", 0, "also start and stop this many groups, such as 1000")
	groups := f.String("groups", "1,3,10,100", "numbers of groups")
	only := f.String("only", strings.Join(kinds, ","), "what is measured")
	f.StringVar(&o.fanout, "fanout", "", "binary to measure; empty: it is built")
	f.StringVar(&o.json, "json", "bin/bench.json", "file for the figures; empty for none")
	f.StringVar(&o.svg, "svg", "bin/bench.svg", "file for the plot; empty for none")
	f.StringVar(&o.dir, "dir", "", "folder for databases and other files, on the disk that is to be measured; empty: the system's for temporary files")
	f.StringVar(&o.profiles, "profiles", "", "folder for profiles of fanout's processor time, one for each kind of run; they cost a little")
	f.IntVar(&o.profileSeconds, "profile-seconds", 2, "length of a profile")
	f.BoolVar(&o.isolation, "isolation", false, "measure, instead of all else, healthy groups beside others that hang, fail, are slow and are restarted")
	f.BoolVar(&o.parts, "parts", false, "run the Go benchmarks of the packages as well")
	o.with = map[string]string{}
	f.Func("with", "`KEY=VALUE` for the defaults of fanout's manifest, such as 'batch={size: 256}'; may be repeated", func(text string) error {
		key, value, ok := strings.Cut(text, "=")
		if !ok {
			return fmt.Errorf("%q has no =", text)
		}
		o.with[key] = value
		return nil
	})
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("%q is no flag", f.Arg(0))
	}
	if o.entries < batchSize || o.rounds < 1 || o.rate < 1 || o.liveDeliveries < 1 || o.storeEntries < 1 || o.deliveries < 1 || o.profileSeconds < 1 {
		return o, fmt.Errorf("-entries must be %d or more, the other numbers 1 or more", batchSize)
	}
	for part := range strings.SplitSeq(*only, ",") {
		if !slices.Contains(kinds, part) {
			return o, fmt.Errorf("-only %q: choose of %s", part, strings.Join(kinds, ", "))
		}
		o.only = append(o.only, part)
	}
	o.groups, err = parseCounts(*groups)
	return o, err
}

// bench is one run of everything.
type bench struct {
	opts        options
	log         io.Writer // progress
	root        string    // of the module
	dir         string    // for all files
	fanout      string    // binaries
	probefanout string
	server      *server
	admin       string // address of fanout's admin server
	receiver    string // URL for webhooks
}

func main() {
	if role(os.Args) {
		return
	}
	opts, err := parseOptions(os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err = run(ctx, opts, os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, opts options, out, log io.Writer) (err error) {
	b := &bench{opts: opts, log: log}
	if b.dir, err = os.MkdirTemp(opts.dir, "fanout-bench-"); err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	defer os.RemoveAll(b.dir)
	if b.dir, err = filepath.Abs(b.dir); err != nil {
		return err
	}
	if err := b.build(ctx); err != nil {
		return err
	}
	if b.admin, err = freeAddress(); err != nil {
		return err
	}
	if b.server, err = startServer(ctx, b.dir); err != nil {
		return err
	}
	defer b.server.close()
	r := &result{Rounds: opts.rounds, Entries: opts.entries}
	failed := b.measure(ctx, r)
	r.print(out) // what was measured before a failure, too
	if err := errors.Join(failed, r.write(opts.json, opts.svg)); err != nil {
		return err
	}
	if opts.parts {
		return b.parts(ctx)
	}
	return nil
}

// build finds the module and builds the binaries as `make build` does.
func (b *bench) build(ctx context.Context) error {
	root, err := b.goTool(ctx, "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return fmt.Errorf("find the module: %w", err)
	}
	b.root = strings.TrimSpace(string(root))
	b.fanout, b.probefanout = filepath.Join(b.dir, "fanout"), filepath.Join(b.dir, "probefanout")
	for binary, pkg := range map[string]string{b.fanout: "./cmd/fanout", b.probefanout: "./test/bench/probefanout"} {
		cmd := b.goTool(ctx, "build", "-trimpath", "-ldflags=-s -w", "-o", binary, pkg)
		cmd.Dir = b.root
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if text, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w\n%s", pkg, err, text)
		}
	}
	if b.opts.fanout != "" {
		b.fanout, err = filepath.Abs(b.opts.fanout)
	}
	return err
}

func (b *bench) goTool(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "go", args...)
}

func (b *bench) say(format string, args ...any) { fmt.Fprintf(b.log, format, args...) }

func (b *bench) measure(ctx context.Context, r *result) (err error) {
	began := time.Now()
	r.Machine = b.machine(ctx)
	defer func() {
		r.Machine.LoadAfter = load()
		r.Seconds = time.Since(began).Seconds()
	}()
	b.say("filling the stream with %d trades\n", b.opts.entries)
	if err := b.server.fill(ctx, b.opts.entries); err != nil {
		return err
	}
	if r.EntryBytes, err = b.server.entryBytes(ctx); err != nil {
		return err
	}
	for _, step := range []struct {
		wanted bool
		run    func() error
	}{
		{b.opts.isolation, func() (err error) { r.Isolation, err = b.isolation(ctx); return err }},
		{b.wants("deliveries"), func() (err error) { r.Deliveries, err = b.deliveries(ctx); return err }},
		{b.wants("live"), func() (err error) { r.Live, err = b.live(ctx); return err }},
		{b.wants("stores"), func() (err error) { r.Stores, err = b.stores(ctx); return err }},
		{b.wants("idle"), func() (err error) { r.Idle, err = b.idle(ctx); return err }},
		{b.opts.many > 0, func() (err error) { r.Crowd, err = b.crowd(ctx, b.opts.many); return err }},
	} {
		if step.wanted {
			if err := step.run(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *bench) wants(kind string) bool {
	return !b.opts.isolation && slices.Contains(b.opts.only, kind)
}
