package chaos

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/fanout/pkg/stream"
)

// trim removes the head of the stream, with much that slow has not read.
func (r *round) trim(f fault) error {
	return r.takeAway(f, func(present, unread []*entry) []*entry {
		end := unread[min(most(f.n), len(unread)-1)]
		n := 0
		for present[n] != end {
			n++
		}
		return present[:n]
	}, func(p redis.Pipeliner, list []*entry) *redis.IntCmd {
		return p.XTrimMinID(context.Background(), streamKey, list[len(list)-1].id.Next().String())
	})
}

// deleteEntries removes single entries, among many others that slow has not read.
func (r *round) deleteEntries(f fault) error {
	random := randomOf(f)
	return r.takeAway(f, func(_, unread []*entry) []*entry {
		list := unread[:1]
		for _, e := range unread[1:min(most(f.n), len(unread))] {
			if random.IntN(3) == 0 {
				list = append(list, e)
			}
		}
		return list
	}, func(p redis.Pipeliner, list []*entry) *redis.IntCmd {
		ids := make([]string, len(list))
		for i, e := range list {
			ids[i] = e.id.String()
		}
		return p.XDel(context.Background(), streamKey, ids...)
	})
}

// takeAway removes entries while slow stands still, and lets it go on when it
// has been told what is lost.
func (r *round) takeAway(f fault, choose func(present, unread []*entry) []*entry, remove func(redis.Pipeliner, []*entry) *redis.IntCmd) error {
	r.steady.Lock()
	defer r.steady.Unlock()
	r.alive.Lock()
	defer r.alive.Unlock()
	r.brake(true)
	defer r.brake(false)
	time.Sleep(f.hold)
	// As a rule the others have read what is taken: what a group loses that goes
	// on is told within a minute.
	if err := eventually(patience, func() error { return r.slowStands(f.n, f.seed%4 != 0) }); err != nil {
		return err
	}
	now := time.Now()
	gone, err := r.removeNow(f, now, choose, remove)
	if err != nil {
		return err
	}
	err = eventually(patience, func() error {
		told, _, err := r.reports()
		if err != nil {
			return err
		}
		for g, list := range gone.undelivered {
			for _, e := range list {
				if !told.covers(g, e.id, now) {
					return fmt.Errorf("that %s has lost %s is not reported", g, e.name())
				}
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := r.certain(f, now, gone); err != nil {
		return err
	}
	// What was pending is reported, too, or settled, before anything else can
	// happen to it.
	r.brake(false)
	err = eventually(patience, func() error {
		at, err := r.take(nil)
		if err != nil {
			return err
		}
		for g, list := range gone.pending {
			for _, e := range list {
				if at[g].pending[e.id] {
					return fmt.Errorf("%s, which is gone, is still pending in %s", e.name(), g)
				}
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return eventually(patience, r.allTold)
}

// allTold returns nil when all losses that have been found have been told. Those
// that have not are lost with Redis.
func (r *round) allTold() error {
	for _, g := range groups {
		fields, err := r.rdb.HKeys(context.Background(), bookKey(g)).Result()
		if err != nil {
			return err
		}
		for _, f := range fields {
			if strings.HasPrefix(f, "tell:") || strings.HasPrefix(f, "gone:") {
				return fmt.Errorf("a loss of %s is not told: %s", g, f)
			}
		}
	}
	return nil
}

// most is how many entries are taken away at most.
func most(n int) int { return 200 * n }

// slowStands returns nil when slow is behind, and fanout has noted where. With
// alone the others must be beyond what is going to be taken.
func (r *round) slowStands(n int, alone bool) error {
	at, err := r.take(nil)
	if err != nil {
		return err
	}
	noted, err := r.rdb.HMGet(context.Background(), bookKey(slow), "at", "read").Result()
	if err != nil {
		return err
	}
	if last := at[slow].last.String(); noted[0] != last {
		return fmt.Errorf("slow is at %s, and noted is %v", last, noted[0])
	}
	r.ledger.mu.Lock()
	defer r.ledger.mu.Unlock()
	_, unread := at[slow].unsettled(r.ledger.present())
	if len(unread) < 10 {
		return fmt.Errorf("slow has left only %d entries", len(unread))
	}
	if noted[1] == "-1" && len(unread) < countable {
		return errors.New("it is not counted yet what slow has read") // one more look does that
	}
	end := unread[min(most(n), len(unread)-1)].id
	for g, p := range at {
		if alone && g != slow && p.last.Before(end) {
			return fmt.Errorf("%s is at %v, and not beyond %v", g, p.last, end)
		}
	}
	return nil
}

// bookKey is where fanout notes the losses of a group.
func bookKey(group string) string { return "{" + streamKey + "}:fanout:losses:" + group }

// countable is how far behind a group may be for its losses to be counted.
const countable = 9000

// certain wants the loss of a group that did not move to be told with its number.
func (r *round) certain(f fault, since time.Time, gone removal) error {
	at, err := r.take(nil)
	if err != nil {
		return err
	}
	told, _, err := r.reports()
	if err != nil {
		return err
	}
	lost := len(gone.undelivered[slow])
	if n, _ := told.since(since).counted(slow); at[slow].last == gone.stood && gone.behind < countable && n < int64(lost) {
		r.violated("slow stood still while %s took %d entries: only %d were reported as certain", f.kind.name, lost, n)
	}
	return nil
}

// removal is what was taken from each group that it had not settled.
type removal struct {
	undelivered, pending map[string][]*entry
	stood                stream.ID // where slow was,
	behind               int       // and how far behind
}

// removeNow removes entries.
func (r *round) removeNow(f fault, now time.Time, choose func(present, unread []*entry) []*entry, remove func(redis.Pipeliner, []*entry) *redis.IntCmd) (removal, error) {
	r.ledger.mu.Lock()
	defer r.ledger.mu.Unlock()
	if err := r.resolve(); err != nil {
		return removal{}, err
	}
	before, err := r.take(nil)
	if err != nil {
		return removal{}, err
	}
	present := r.ledger.present()
	_, unread := before[slow].unsettled(present)
	list := choose(present, unread)
	var removed *redis.IntCmd
	at, err := r.take(func(p redis.Pipeliner) { removed = remove(p, list) })
	if err != nil {
		return removal{}, err
	}
	if n := removed.Val(); n != int64(len(list)) {
		r.violated("%s has removed %d entries, want %d", f.kind.name, n, len(list))
	}
	gone := removal{map[string][]*entry{}, map[string][]*entry{}, at[slow].last, len(unread)}
	for g, p := range at {
		gone.pending[g], gone.undelivered[g] = p.unsettled(list)
		for _, e := range gone.pending[g] {
			r.ledger.lose(g, e, loss{fault: f.kind.name, at: now, pending: true})
		}
		for _, e := range gone.undelivered[g] {
			r.ledger.lose(g, e, loss{fault: f.kind.name, at: now})
		}
		r.mu.Lock()
		sum := r.taken[g]
		sum.pending += int64(len(gone.pending[g]))
		sum.undelivered += int64(len(gone.undelivered[g]))
		r.taken[g] = sum
		r.mu.Unlock()
	}
	for _, e := range list {
		e.gone = true
	}
	return gone, nil
}

// resolve finds out which of the entries that Redis did not confirm are there;
// the ledger is locked.
func (r *round) resolve() error {
	for _, e := range r.ledger.present() {
		if !e.unsure {
			continue
		}
		found, err := r.rdb.XRange(context.Background(), streamKey, e.id.String(), e.id.String()).Result()
		if err != nil {
			return fmt.Errorf("look for %v: %w", e.id, err)
		}
		e.unsure = len(found) == 0
		e.gone = e.unsure
	}
	return nil
}

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
