package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/fanout/test/chaos/wire"
	"example.com/fanout/test/redistest"
)

const (
	hangup    = syscall.SIGHUP
	rate      = 2000 // trades a second
	hastyIdle = 2 * time.Second
	dataSize  = "256m" // of the file system that can be filled

	// patience is for what must come about at last, however busy the machine is.
	patience = 2 * time.Minute
)

// round is one round with all that belongs to it.
type round struct {
	t      *testing.T
	temper temper
	dir    string
	redis  *redistest.Server
	rdb    *redis.Client // around the proxy
	proxy  *wire.Proxy
	hook   *hook
	slots  []*slot // the third one comes and goes
	ledger *ledger
	pub    *publisher
	stalls *stalls

	// steady is held by faults that change what is in Redis, or that need it to
	// stay as it is. alive is held by those that do something to the processes, or
	// need them as they are; whoever needs both takes it last.
	steady, alive sync.Mutex

	outages outages
	noSmall error // why data/ is not a file system of its own, which can be filled

	mu         sync.Mutex                  // guards all below
	letters    map[string]map[int64]string // stage of each dead letter by group and trade_id
	aof        []aofSize
	violations []string
	done       map[string]int   // faults by kind
	taken      map[string]taken // what trims and deletions have taken, by group
}

func newRound(t *testing.T, tp temper, seed uint64) *round {
	t.Helper()
	dir, err := os.MkdirTemp("", "fanout-chaos-")
	if err != nil {
		t.Fatal(err)
	}
	r := &round{
		t: t, temper: tp, dir: dir, ledger: newLedger(),
		letters: map[string]map[int64]string{}, done: map[string]int{}, taken: map[string]taken{},
	}
	for _, g := range groups {
		r.letters[g] = map[int64]string{}
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("logs and stores are in %s", dir)
			return
		}
		_ = os.RemoveAll(dir)
	})
	data := filepath.Join(dir, "data")
	if err := os.Mkdir(data, 0o755); err != nil {
		t.Fatal(err)
	}
	if r.noSmall = mountSmall(data, dataSize); r.noSmall == nil {
		t.Cleanup(func() {
			if t.Failed() {
				_ = os.CopyFS(filepath.Join(dir, "stores"), os.DirFS(data))
			}
			unmount(data)
		})
	}
	fsync := "always"
	if tp == hasty {
		fsync = "everysec"
	}
	r.redis = redistest.Start(t, redistest.WithArgs("--appendonly", "yes", "--appendfsync", fsync, "--auto-aof-rewrite-percentage", "0"))
	r.rdb = redis.NewClient(&redis.Options{
		Addr: r.redis.Addr(), MaxRetries: -1, DialerRetries: 1,
		// Longer than Redis is ever stopped: a request that was given up would be
		// served all the same.
		DialTimeout: time.Second, ReadTimeout: patience, WriteTimeout: patience, DisableIdentity: true,
	})
	t.Cleanup(func() { _ = r.rdb.Close() })
	if r.proxy, err = wire.Listen(r.redis.Addr()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.proxy.Close)
	if r.hook, err = newHook(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.hook.down)
	r.pub = newPublisher(r.rdb, r.ledger, seed, rate)
	r.stalls = newStalls(r.rdb)
	for n, instance := range []string{"left", "right", ""} {
		name := fmt.Sprintf("process %d", n)
		r.slots = append(r.slots, newSlot(name, filepath.Join(dir, fmt.Sprintf("process%d.log", n)), func() *exec.Cmd { return r.command(instance) }))
	}
	t.Cleanup(func() {
		for _, s := range r.slots {
			_ = s.stop(syscall.SIGKILL)
		}
	})
	return r
}

func (r *round) command(instance string) *exec.Cmd {
	cmd := exec.Command(binary, "run", "-c", "groups.yaml", "--log-format", "json")
	if instance != "" {
		cmd.Args = append(cmd.Args, "--instance", instance)
	}
	cmd.Dir = r.dir
	cmd.Env = []string{
		"HOME=" + r.dir, "PATH=" + os.Getenv("PATH"), "TMPDIR=" + r.dir,
		"REDIS_URL=redis://" + r.proxy.Addr() + "/0",
		"WEBHOOK_URL=http://" + r.hook.addr + "/", "WEBHOOK_SECRET=" + secret,
	}
	return cmd
}

// tellAll sends a signal to every process.
func (r *round) tellAll(sig syscall.Signal) {
	for _, s := range r.slots {
		s.signal(sig)
	}
}

// lives tells whether a process has died since: then they differ, or one is 0.
func (r *round) lives() [2]int { return [2]int{r.slots[0].life(), r.slots[1].life()} }

// violated notes something that must never be.
func (r *round) violated(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.violations = append(r.violations, fmt.Sprintf(format, args...))
}

// play runs the whole round.
func (r *round) play(lanes [numLanes][]fault) *verdict {
	r.must(r.writeManifest(calm))
	for _, s := range r.slots[:2] {
		s.start()
	}
	r.must(eventually(patience, func() error {
		for _, g := range groups {
			if err := r.rdb.XPending(context.Background(), streamKey, g).Err(); err != nil {
				return err
			}
		}
		return nil
	}))

	watching, stopWatching := context.WithCancel(context.Background())
	publishing, stopPublishing := context.WithCancel(watching)
	var aside sync.WaitGroup
	aside.Go(func() { r.stalls.serve(watching) })
	aside.Go(func() { r.watchAOF(watching) })
	var publisher sync.WaitGroup
	publisher.Go(func() { r.pub.serve(publishing) })
	r.must(eventually(patience, r.begun))

	began := time.Now()
	var running sync.WaitGroup
	for _, faults := range lanes[:lastLane] {
		running.Go(func() { r.inflict(faults, began) })
	}
	running.Wait()
	r.inflict(lanes[lastLane], began)
	stopPublishing()
	publisher.Wait()
	r.heal()
	if err := r.settled(); err != nil {
		r.violated("not settled: %v", err)
	} else if r.temper == patient {
		r.must(r.strand())
		if err := r.settled(); err != nil {
			r.violated("not settled after replies went astray: %v", err)
		}
	}
	r.ledger.mu.Lock()
	r.must(r.resolve())
	r.ledger.mu.Unlock()
	stopWatching()
	aside.Wait()
	r.collect(nil)
	for _, s := range r.slots {
		if err := s.stop(syscall.SIGTERM); err != nil {
			r.violated("%v", err)
		}
	}
	return r.judge()
}

// inflict does the faults of a lane.
func (r *round) inflict(faults []fault, began time.Time) {
	for _, f := range faults {
		time.Sleep(f.pause)
		r.t.Logf("%6.2fs  %s", time.Since(began).Seconds(), f.kind.name)
		if err := f.kind.do(r, f); err != nil {
			r.violated("fault %s: %v", f.kind.name, err)
		}
		r.mu.Lock()
		r.done[f.kind.name]++
		r.mu.Unlock()
	}
}

// heal takes back whatever a fault may have left behind.
func (r *round) heal() {
	r.proxy.Blackhole(false)
	r.proxy.Latency(0)
	r.must(r.hook.up())
	r.brake(false)
	r.must(r.writeManifest(calm))
	r.tellAll(syscall.SIGCONT)
	r.reload()
	if third := r.slots[2]; third.leftWork() {
		third.start() // what it held is its own for longer than the round
	}
}

// settled waits until the groups have read the whole stream and nothing is
// pending in them. In a patient round min_idle is longer than that.
func (r *round) settled() error {
	return eventually(patience, func() error {
		ctx := context.Background()
		info, err := r.rdb.XInfoStream(ctx, streamKey).Result()
		if err != nil {
			return err
		}
		found, err := r.rdb.XInfoGroups(ctx, streamKey).Result()
		if err != nil {
			return err
		}
		left := map[string]bool{}
		for _, g := range groups {
			left[g] = true
		}
		var open []error
		for _, g := range found {
			if !left[g.Name] {
				continue
			}
			delete(left, g.Name)
			if g.Pending > 0 || g.LastDeliveredID != info.LastGeneratedID {
				open = append(open, fmt.Errorf("%s: %d pending, read up to %s of %s", g.Name, g.Pending, g.LastDeliveredID, info.LastGeneratedID))
			}
		}
		for g := range left {
			open = append(open, fmt.Errorf("%s: missing", g))
		}
		return errors.Join(open...)
	})
}

func (r *round) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// eventually polls until check returns nil; after the deadline it returns the
// last error.
func eventually(within time.Duration, check func() error) error {
	deadline := time.Now().Add(within)
	for {
		err := check()
		if err == nil || time.Now().After(deadline) {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// randomOf gives a fault dice of its own.
func randomOf(f fault) *rand.Rand { return rand.New(rand.NewPCG(f.seed, f.seed)) }
