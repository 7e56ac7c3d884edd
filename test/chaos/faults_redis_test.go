package chaos

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/fanout/pkg/stream"
)

// manyEntries is more than a round publishes.
const manyEntries = 10_000_000

// destroy takes the whole stream away.
func (r *round) destroy(name string, same bool, do func(redis.Pipeliner)) error {
	r.steady.Lock()
	defer r.steady.Unlock()
	r.ledger.mu.Lock()
	now := time.Now()
	at, err := r.take(do)
	if err != nil {
		r.ledger.mu.Unlock()
		return err
	}
	for g, p := range at {
		pending, undelivered := p.unsettled(r.ledger.present())
		for _, e := range slices.Concat(pending, undelivered) {
			r.ledger.lose(g, e, loss{fault: name, at: now})
		}
	}
	r.ledger.reborn()
	if same {
		r.pub.again()
	}
	r.ledger.mu.Unlock()
	return r.groupsBack()
}

// groupsBack waits until all groups exist again, and until Redis has made that
// durable.
func (r *round) groupsBack() error {
	err := eventually(patience, func() error {
		for _, g := range groups {
			if err := r.rdb.XPending(context.Background(), streamKey, g).Err(); err != nil {
				return fmt.Errorf("%s is not there again: %w", g, err)
			}
		}
		return nil
	})
	r.mu.Lock()
	r.aof = nil // what came before is not given up any more
	r.mu.Unlock()
	if err != nil {
		return err
	}
	if err := eventually(patience, r.begun); err != nil {
		return err
	}
	return eventually(patience, r.allTold)
}

func (r *round) flush(f fault) error {
	return r.destroy(f.kind.name, false, func(p redis.Pipeliner) { p.FlushAll(context.Background()) })
}

func (r *round) flushSameIDs(f fault) error {
	return r.destroy(f.kind.name, true, func(p redis.Pipeliner) { p.FlushAll(context.Background()) })
}

func (r *round) deleteStream(f fault) error {
	return r.destroy(f.kind.name, false, func(p redis.Pipeliner) { p.Del(context.Background(), streamKey) })
}

// destroyGroup takes no entry away: all of them must still be handled.
func (r *round) destroyGroup(f fault) error {
	r.steady.Lock()
	defer r.steady.Unlock()
	if err := eventually(patience, func() error {
		return r.rdb.XGroupDestroy(context.Background(), streamKey, f.group).Err()
	}); err != nil {
		return err
	}
	return r.groupsBack()
}

// stopRedis stops Redis, in a hasty round beyond min_idle.
func (r *round) stopRedis(f fault) error {
	r.steady.Lock()
	defer r.steady.Unlock()
	return r.outages.during(func() error {
		r.redis.Pause(r.t)
		defer r.redis.Resume(r.t)
		time.Sleep(r.beyond(f.hold))
		return nil
	})
}

// beyond is a time beyond min_idle, where that is short.
func (r *round) beyond(d time.Duration) time.Duration {
	if r.temper == hasty {
		return d + hastyIdle
	}
	return d
}

// killRedis loses nothing where Redis answers when the disk has it, and else
// what it has not written yet.
func (r *round) killRedis(f fault) error {
	r.steady.Lock()
	defer r.steady.Unlock()
	r.ledger.mu.Lock()
	defer r.ledger.mu.Unlock()
	now := time.Now()
	before, err := r.standing()
	if err != nil {
		return err
	}
	err = r.outages.during(func() error {
		r.redis.Kill(r.t)
		time.Sleep(f.hold)
		return r.restartRedis()
	})
	if err != nil {
		return err
	}
	return r.noteTail(loss{fault: f.kind.name, at: now, unseen: true}, before)
}

// standing is where the groups are before Redis loses something.
type standing struct {
	at    map[string]position
	seen  map[string]stream.ID // the last entry that each has noted
	lives [2]int
}

func (r *round) standing() (standing, error) {
	s := standing{seen: map[string]stream.ID{}, lives: r.lives()}
	for _, g := range groups {
		last, err := r.rdb.HGet(context.Background(), checkpointKey(g), "last").Result()
		if err != nil {
			return s, fmt.Errorf("read the checkpoint of %s: %w", g, err)
		}
		if s.seen[g], err = stream.ParseID(last); err != nil {
			return s, err
		}
	}
	var err error
	s.at, err = r.take(nil)
	return s, err
}

// restartRedis returns when Redis has read its data again.
func (r *round) restartRedis() error {
	r.redis.Restart(r.t)
	return eventually(patience, func() error { return r.rdb.Exists(context.Background(), streamKey).Err() })
}

// aofSize is how long the append-only file was at a moment.
type aofSize struct {
	at   time.Time
	file string
	size int64
}

// watchAOF writes down how the append-only file grows.
func (r *round) watchAOF(ctx context.Context) {
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		files, _ := filepath.Glob(filepath.Join(r.redis.Dir, "appendonlydir", "*.incr.aof"))
		if len(files) == 0 {
			continue
		}
		file := files[len(files)-1]
		info, err := os.Stat(file)
		if err != nil {
			continue
		}
		r.mu.Lock()
		r.aof = append(r.aof, aofSize{time.Now(), file, info.Size()})
		r.mu.Unlock()
	}
}

// loseTail is a power cut: what Redis had not yet brought to the disk, up to a
// second of everything, is gone.
func (r *round) loseTail(f fault) error {
	r.steady.Lock()
	defer r.steady.Unlock()
	time.Sleep(f.hold)
	r.ledger.mu.Lock()
	defer r.ledger.mu.Unlock()
	before, err := r.standing()
	if err != nil {
		return err
	}
	return r.setBack(loss{fault: f.kind.name, at: time.Now(), unseen: true}, time.Now().Add(-min(f.hold, 900*time.Millisecond)), before)
}

// loseSeen is a power cut after which Redis comes back as it was some seconds
// ago: what it has lost fanout had seen, in processes that still run.
func (r *round) loseSeen(f fault) error {
	r.steady.Lock()
	defer r.steady.Unlock()
	r.alive.Lock()
	defer r.alive.Unlock()
	r.brake(true)
	defer r.brake(false)
	back := time.Now()
	time.Sleep(f.hold)
	r.ledger.mu.Lock()
	defer r.ledger.mu.Unlock()
	before := r.lives()
	// When the first mark has been seen every process has looked since then that
	// sees the second one.
	for range 2 {
		r.pub.mark()
		if err := eventually(patience, r.marked); err != nil {
			return err
		}
	}
	what := loss{fault: f.kind.name, at: time.Now()}
	stood, err := r.standing()
	if err != nil {
		return err
	}
	if err := r.setBack(what, back, stood); err != nil {
		return err
	}
	if before == r.lives() && before[0]*before[1] > 0 {
		return eventually(patience, func() error { return r.tailTold(what) })
	}
	for _, g := range groups { // a killer came in between
		for trade, lost := range r.ledger.lost[g] {
			if lost == what {
				lost.unseen = true
				r.ledger.lost[g][trade] = lost
			}
		}
	}
	return nil
}

// tailTold returns nil when the loss of a tail has been told for every group. The
// ledger is locked.
func (r *round) tailTold(what loss) error {
	told, _, err := r.reports()
	if err != nil {
		return err
	}
	for g, lost := range r.ledger.lost {
		for trade, l := range lost {
			if e := r.ledger.all[trade-1]; l == what && !told.covers(g, e.id, what.at) {
				return fmt.Errorf("that %s has lost %s is not reported", g, e.name())
			}
		}
	}
	return nil
}

// marked returns nil when each group has noted where the stream ends.
func (r *round) marked() error {
	ctx := context.Background()
	info, err := r.rdb.XInfoStream(ctx, streamKey).Result()
	if err != nil {
		return err
	}
	for _, g := range groups {
		last, err := r.rdb.HGet(ctx, checkpointKey(g), "last").Result()
		if err != nil {
			return err
		}
		if last != info.LastGeneratedID {
			return fmt.Errorf("%s has seen the stream up to %s of %s", g, last, info.LastGeneratedID)
		}
	}
	return nil
}

// begun returns nil when each group has noted something of this life: else IDs
// that come again cannot be told from those of before.
func (r *round) begun() error {
	for _, g := range groups {
		last, err := r.rdb.HGet(context.Background(), checkpointKey(g), "last").Result()
		if err != nil {
			return err
		}
		if last == "0-0" {
			return fmt.Errorf("%s has not looked at the stream", g)
		}
	}
	return nil
}

func checkpointKey(group string) string { return "{" + streamKey + "}:fanout:checkpoint:" + group }

// setBack brings Redis back to what it was at a moment; the ledger is locked.
func (r *round) setBack(what loss, moment time.Time, before standing) error {
	err := r.outages.during(func() error {
		r.redis.Kill(r.t)
		r.mu.Lock()
		i := slices.IndexFunc(r.aof, func(s aofSize) bool { return s.at.After(moment) })
		var to aofSize
		if i >= 0 {
			to = r.aof[i]
		}
		r.mu.Unlock()
		if to.file != "" {
			if err := os.Truncate(to.file, to.size); err != nil {
				return err
			}
		}
		return r.restartRedis()
	})
	if err != nil {
		return err
	}
	return r.noteTail(what, before)
}

// noteTail finds out what is not in the stream any more, and which groups had
// still to settle it; the ledger is locked. What a group had noted before Redis
// went is not unseen, unless the process that had noted it has died as well.
func (r *round) noteTail(what loss, before standing) error {
	kept := map[string]bool{}
	survivors, err := r.rdb.XRange(context.Background(), streamKey, "-", "+").Result()
	if err != nil {
		return fmt.Errorf("read what is left: %w", err)
	}
	for _, m := range survivors {
		kept[m.ID] = true
	}
	var gone []*entry
	for _, e := range r.ledger.present() {
		e.gone = !kept[e.id.String()]
		if !e.gone {
			e.unsure = false
			continue
		}
		if r.temper == patient && !e.unsure {
			r.violated("redis has lost %s, which it had confirmed", e.name())
		}
		gone = append(gone, e)
	}
	died := before.lives != r.lives()
	for _, g := range groups {
		pending, undelivered := before.at[g].unsettled(gone)
		for _, e := range slices.Concat(pending, undelivered) {
			lost := what
			lost.unseen = what.unseen && (died || before.seen[g].Before(e.id))
			r.ledger.lose(g, e, lost)
		}
	}
	return nil
}
