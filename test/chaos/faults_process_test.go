package chaos

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
)

// alone keeps a fault of the processes away from those of Redis that need them
// as they are.
func alone(do func(*round, fault) error) func(*round, fault) error {
	return func(r *round, f fault) error {
		r.alive.Lock()
		defer r.alive.Unlock()
		return do(r, f)
	}
}

func (r *round) kill(f fault) error {
	r.slots[f.slot].signal(syscall.SIGKILL)
	return nil
}

func (r *round) killAll(fault) error {
	r.tellAll(syscall.SIGKILL)
	return nil
}

// stop stops a process, in a hasty round beyond min_idle: then others take over
// what it holds, and it must leave that to them when it wakes.
func (r *round) stop(f fault) error {
	r.slots[f.slot].signal(syscall.SIGSTOP)
	time.Sleep(r.beyond(f.hold))
	r.slots[f.slot].signal(syscall.SIGCONT)
	return nil
}

// thief is a consumer of nobody's.
const thief = "thief"

// steal stops the processes beyond min_idle, and lets somebody else take over
// what they hold and keep it for longer than they take to notice. What has been
// taken over must then still be pending, and the thief's.
func (r *round) steal(fault) error {
	r.steady.Lock()
	defer r.steady.Unlock()
	r.alive.Lock()
	defer r.alive.Unlock()
	ctx := context.Background()
	var claimed []string
	err := eventually(patience, func() (err error) { // what slow holds may be gone from the stream
		claimed, err = r.takeOver(ctx)
		if err == nil && len(claimed) == 0 {
			err = errors.New("there was nothing to take over")
		}
		return err
	})
	if err != nil {
		return err
	}
	keep := func(args ...any) error {
		for _, id := range claimed {
			if err := r.rdb.Do(ctx, append([]any{"XCLAIM", streamKey, slow, thief, 0, id}, args...)...).Err(); err != nil {
				return err
			}
		}
		return nil
	}
	touched := time.Now()
	for began := touched; time.Since(began) < hastyIdle; time.Sleep(hastyIdle / 5) {
		owned, err := r.rdb.XPendingExt(ctx, &redis.XPendingExtArgs{
			Stream: streamKey, Group: slow, Start: "-", End: "+", Count: manyEntries, Consumer: thief,
		}).Result()
		if err != nil {
			return err
		}
		if time.Since(touched) >= hastyIdle {
			r.t.Logf("the machine is too busy: what was taken over could be claimed")
			break
		}
		if len(owned) != len(claimed) {
			r.violated("%d of %d entries that had been taken over were settled or taken back by their former owner",
				len(claimed)-len(owned), len(claimed))
			break
		}
		touched = time.Now()
		if err := keep("JUSTID"); err != nil { // a touch: nobody may claim them
			return err
		}
	}
	return keep("IDLE", time.Hour.Milliseconds(), "JUSTID")
}

// takeOver claims what slow holds in stopped processes, and lets them go on.
func (r *round) takeOver(ctx context.Context) ([]string, error) {
	r.brake(true)
	defer r.brake(false)
	if err := eventually(patience, func() error {
		held, err := r.rdb.XPending(ctx, streamKey, slow).Result()
		if err == nil && held.Count == 0 {
			err = errors.New("slow holds nothing")
		}
		return err
	}); err != nil {
		return nil, err
	}
	r.tellAll(syscall.SIGSTOP) // all of them, for else another one is quicker
	defer r.tellAll(syscall.SIGCONT)
	time.Sleep(hastyIdle + 100*time.Millisecond)
	claimed, _, err := r.rdb.XAutoClaimJustID(ctx, &redis.XAutoClaimArgs{
		Stream: streamKey, Group: slow, Consumer: thief, MinIdle: hastyIdle, Start: "0-0", Count: 1000,
	}).Result()
	return claimed, err
}

func (r *round) restartStorm(f fault) error {
	random := randomOf(f)
	for range 3 * f.n {
		r.tellAll(syscall.Signal(restartSignals[groups[random.IntN(len(groups))]]))
		time.Sleep(time.Duration(random.IntN(150)) * time.Millisecond)
	}
	return nil
}

func (r *round) reloadStorm(f fault) error {
	random := randomOf(f)
	for range 2 * f.n {
		// No guest where Redis loses data: a group that was made in a tail that is
		// lost stands for another stream.
		s := settings{consumers: 1 + random.IntN(4), drain: calm.drain, guest: r.temper == patient && random.IntN(2) == 0}
		if random.IntN(3) == 0 {
			s.drain += time.Second
		}
		if err := r.writeManifest(s); err != nil {
			return err
		}
		r.reload()
		time.Sleep(time.Duration(random.IntN(200)) * time.Millisecond)
	}
	return r.calmDown()
}

func (r *round) brokenReloads(f fault) error {
	for n := range f.n {
		broken := strings.Repeat("groups: [", n+1) + "\nversion: 1\ngroups: {analytics: {consumer: 1}}"
		if err := r.replaceManifest(broken); err != nil {
			return err
		}
		r.reload()
		time.Sleep(50 * time.Millisecond)
	}
	return r.calmDown()
}

func (r *round) scale(f fault) error {
	for _, n := range []int{f.n, 1} {
		if err := r.writeManifest(settings{consumers: n, drain: calm.drain}); err != nil {
			return err
		}
		r.reload()
		time.Sleep(f.hold / 2)
	}
	return r.calmDown()
}

func (r *round) calmDown() error {
	if err := r.writeManifest(calm); err != nil {
		return err
	}
	r.reload()
	return nil
}

// thirdProcess comes, and goes as it should.
func (r *round) thirdProcess(f fault) error {
	r.slots[2].start()
	time.Sleep(f.hold)
	return r.slots[2].stop(syscall.SIGTERM)
}

// brake makes slow stand still.
func (r *round) brake(on bool) {
	name := filepath.Join(r.dir, "brake")
	if !on {
		_ = os.Remove(name)
		return
	}
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		r.violated("brake: %v", err)
	}
}

func (r *round) tornEntries(f fault) error    { return r.special(torn, f.n) }
func (r *round) keylessEntries(f fault) error { return r.special(keyless, f.n) }
func (r *round) hugeEntries(f fault) error    { return r.special(huge, f.n) }
func (r *round) killers(fault) error          { return r.special(killer, 1) }

func (r *round) special(c class, n int) error {
	for range n {
		r.pub.special <- c
	}
	return nil
}
