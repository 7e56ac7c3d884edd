package chaos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/fanout/pkg/deadletter"
	"example.com/fanout/pkg/stream"
	"example.com/fanout/test/redistest"
)

// manyEntries is more than a round publishes.
const manyEntries = 10_000_000

func letterKey(group string) string { return "{" + streamKey + "}:dead:" + group }

// look is what Redis said at one moment of what the groups had done.
type look struct {
	groups  *redis.XInfoGroupsCmd
	pending map[string]*redis.XPendingExtCmd
	letters map[string]*redis.XMessageSliceCmd
}

// take does something to Redis, and looks at the groups in the same moment,
// before it is done.
func (r *round) take(do func(redis.Pipeliner)) (map[string]position, error) {
	ctx := context.Background()
	l := look{pending: map[string]*redis.XPendingExtCmd{}, letters: map[string]*redis.XMessageSliceCmd{}}
	var last redis.Cmder
	cmds, err := r.rdb.TxPipelined(ctx, func(p redis.Pipeliner) error {
		l.groups = p.XInfoGroups(ctx, streamKey)
		for _, g := range groups {
			l.pending[g] = p.XPendingExt(ctx, &redis.XPendingExtArgs{Stream: streamKey, Group: g, Start: "-", End: "+", Count: manyEntries})
			l.letters[g] = p.XRange(ctx, letterKey(g), "-", "+")
		}
		if do != nil {
			do(p)
		}
		return nil
	})
	if len(cmds) > 0 {
		last = cmds[len(cmds)-1]
	}
	// A group may be missing at the moment; what was to be done must be done.
	if last == nil || last.Err() != nil {
		return nil, fmt.Errorf("look at redis: %w", err)
	}
	r.keepLetters(l.letters)
	return l.positions(), nil
}

func (l look) positions() map[string]position {
	at := map[string]position{}
	for _, g := range groups { // one that is missing has everything before it
		at[g] = position{pending: map[stream.ID]bool{}}
	}
	for _, g := range l.groups.Val() {
		p, ours := at[g.Name]
		if !ours {
			continue
		}
		p.last, _ = stream.ParseID(g.LastDeliveredID)
		for _, e := range l.pending[g.Name].Val() {
			if id, err := stream.ParseID(e.ID); err == nil {
				p.pending[id] = true
			}
		}
		at[g.Name] = p
	}
	return at
}

// keepLetters writes down which entries have been buried.
func (r *round) keepLetters(found map[string]*redis.XMessageSliceCmd) {
	for g, cmd := range found {
		for _, m := range cmd.Val() {
			r.keepLetter(g, m)
		}
	}
}

// collect writes down the dead letters that are there now.
func (r *round) collect(error) {
	for _, g := range groups {
		found, err := r.rdb.XRange(context.Background(), letterKey(g), "-", "+").Result()
		if err != nil {
			r.violated("read dead letters of %s: %v", g, err)
		}
		for _, m := range found {
			r.keepLetter(g, m)
		}
	}
}

func (r *round) keepLetter(group string, m redis.XMessage) {
	e := stream.Entry{}
	e.ID, _ = stream.ParseID(m.ID)
	object, _ := m.Values["letter"].(string)
	event, _ := m.Values["event"].(string)
	e.Fields = []stream.Field{{Name: []byte("letter"), Value: []byte(object)}, {Name: []byte("event"), Value: []byte(event)}}
	letter, err := deadletter.Parse(e)
	if err != nil {
		r.violated("dead letter of %s: %v", group, err)
		return
	}
	var trade int64
	if _, err := fmt.Sscanf(event, `{"trade_id":%d,`, &trade); err != nil {
		r.violated("dead letter %s of %s does not hold what was published: %.200q", m.ID, group, event)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.letters[group][trade] = string(letter.Stage)
}

// destroy takes the whole stream away.
func (r *round) destroy(name string, same bool, do func(redis.Pipeliner)) error {
	r.steady.Lock()
	defer r.steady.Unlock()
	return r.destroyLocked(name, same, do)
}

func (r *round) destroyLocked(name string, same bool, do func(redis.Pipeliner)) error {
	r.ledger.mu.Lock()
	at, err := r.take(do)
	if err != nil {
		r.ledger.mu.Unlock()
		return err
	}
	for g, p := range at {
		pending, undelivered := r.ledger.unsettled(p, stream.MaxID)
		for _, e := range slices.Concat(pending, undelivered) {
			r.ledger.lose(g, e, name)
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
	err := eventually(20*time.Second, func() error {
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
	return err
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
	if err := eventually(5*time.Second, func() error {
		return r.rdb.XGroupDestroy(context.Background(), streamKey, f.group).Err()
	}); err != nil {
		return err
	}
	return r.groupsBack()
}

// trim removes what slow has not read yet.
func (r *round) trim(f fault) error {
	r.steady.Lock()
	defer r.steady.Unlock()
	r.brake(true)
	defer r.brake(false)
	time.Sleep(f.hold)
	r.ledger.mu.Lock()
	defer r.ledger.mu.Unlock()
	before, err := r.take(nil)
	if err != nil {
		return err
	}
	_, unread := r.ledger.unsettled(before[slow], stream.MaxID)
	if len(unread) < 2 {
		return errors.New("slow has read everything")
	}
	below := unread[min(200*f.n, len(unread)-1)].id
	at, err := r.take(func(p redis.Pipeliner) { p.XTrimMinID(context.Background(), streamKey, below.String()) })
	if err != nil {
		return err
	}
	for g, p := range at {
		pending, undelivered := r.ledger.unsettled(p, below)
		for _, e := range slices.Concat(pending, undelivered) {
			r.ledger.lose(g, e, f.kind.name)
		}
		r.mu.Lock()
		r.trimmed[g] += len(undelivered)
		r.mu.Unlock()
	}
	r.ledger.floor[r.ledger.life] = below
	return nil
}

// stopRedis stops Redis, in a hasty round beyond min_idle.
func (r *round) stopRedis(f fault) error {
	r.steady.Lock()
	defer r.steady.Unlock()
	r.redis.Pause(r.t)
	defer r.redis.Resume(r.t)
	time.Sleep(r.beyond(f.hold))
	return nil
}

// beyond is a time beyond min_idle, where that is short.
func (r *round) beyond(d time.Duration) time.Duration {
	if r.temper == hasty {
		return d + hastyIdle
	}
	return d
}

// killRedis loses nothing: Redis answers when the disk has it.
func (r *round) killRedis(f fault) error {
	r.steady.Lock()
	defer r.steady.Unlock()
	r.redis.Kill(r.t)
	time.Sleep(f.hold)
	return r.restartRedis()
}

// restartRedis returns when Redis has read its data again.
func (r *round) restartRedis() error {
	r.redis.Restart(r.t)
	return eventually(redistest.Patience, func() error { return r.rdb.Exists(context.Background(), streamKey).Err() })
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
	r.redis.Kill(r.t)
	since := time.Now().Add(-min(f.hold, 900*time.Millisecond))
	r.mu.Lock()
	i := slices.IndexFunc(r.aof, func(s aofSize) bool { return s.at.After(since) })
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
	if err := r.restartRedis(); err != nil {
		return err
	}
	kept := map[string]bool{}
	survivors, err := r.rdb.XRange(context.Background(), streamKey, "-", "+").Result()
	if err != nil {
		return fmt.Errorf("read what is left: %w", err)
	}
	for _, m := range survivors {
		kept[m.ID] = true
	}
	for _, e := range r.ledger.present() {
		if !kept[e.id.String()] {
			for _, g := range groups {
				r.ledger.lose(g, e, f.kind.name)
			}
		}
	}
	return nil
}
