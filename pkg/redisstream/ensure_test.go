package redisstream_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sync/errgroup"

	"example.com/fanout/pkg/consumer/consumertest"
	"example.com/fanout/pkg/redisstream"
	"example.com/fanout/pkg/stream"
	"example.com/fanout/test/redistest"
)

// memoryStore is a local store without a file.
type memoryStore struct {
	mu   sync.Mutex
	kept map[string]redisstream.Checkpoint
}

func (s *memoryStore) Load(key string) (redisstream.Checkpoint, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.kept[key]
	return c, ok, nil
}

func (s *memoryStore) Save(key string, c redisstream.Checkpoint) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kept == nil {
		s.kept = map[string]redisstream.Checkpoint{}
	}
	s.kept[key] = c
	return nil
}

// scene is a server with a client and a local store.
type scene struct {
	*testing.T
	server *redistest.Server
	client *redisstream.Client
	store  *memoryStore
}

func newScene(t *testing.T) *scene {
	t.Helper()
	s := redistest.Start(t)
	return &scene{T: t, server: s, client: open(t, s), store: &memoryStore{}}
}

func (s *scene) do(args ...any) any { s.Helper(); return s.server.Do(s, args...) }

// add appends entries at the IDs 1-0, 2-0 and so on.
func (s *scene) add(from, to int) {
	s.Helper()
	for i := from; i <= to; i++ {
		s.do("XADD", key, fmt.Sprint(i, "-0"), "event", "{}")
	}
}

func (s *scene) group(start redisstream.Start) *redisstream.Group {
	cfg := config()
	cfg.Start = start
	cfg.Checkpoints = s.store
	return s.client.Group(cfg)
}

// work makes the group, reads and settles up to the entry upTo and leaves the
// checkpoint behind.
func (s *scene) work(upTo int) redisstream.Opened {
	s.Helper()
	g := s.group(redisstream.Start{})
	o := ensure(s.T, g)
	if upTo > 0 {
		src := g.Source("a", o.Epoch)
		defer src.Close()
		got, err := consumertest.Take(s.Context(), src, upTo, 0)
		if err != nil || len(got) != upTo {
			s.Fatalf("read %d, %v, want %d", len(got), err, upTo)
		}
		var refs []stream.ID
		for _, d := range got {
			refs = append(refs, d.Ref)
		}
		if _, err := src.Ack(s.Context(), refs[:1], refs); err != nil {
			s.Fatal(err)
		}
	}
	if low, err := g.Checkpoint(s.Context()); err != nil || low != (stream.ID{Ms: uint64(upTo)}) {
		s.Fatalf("checkpoint %v, %v, want %d-0", low, err, upTo)
	}
	return o
}

const (
	epochKey      = "{events}:fanout:epoch"
	checkpointKey = "{events}:fanout:checkpoint:g"
)

func at(ms uint64) redisstream.Start { return redisstream.Start{After: stream.ID{Ms: ms}} }

// A new group begins at its start, and Redis knows its lag wherever that can be
// known.
func TestEnsureNew(t *testing.T) {
	t.Parallel()
	latest := redisstream.Start{Latest: true}
	trimmed := func(s *scene) { s.add(1, 10); s.do("XTRIM", key, "MINID", "6-0") }
	tests := map[string]struct {
		before func(*scene)
		start  redisstream.Start
		at     uint64
		read   any // entries-read
		lag    any
		note   string
	}{
		"no stream, earliest":       {func(*scene) {}, redisstream.Start{}, 0, int64(0), int64(0), ""},
		"no stream, latest":         {func(*scene) {}, latest, 0, int64(0), int64(0), ""},
		"earliest":                  {func(s *scene) { s.add(1, 10) }, redisstream.Start{}, 0, int64(0), int64(10), ""},
		"latest":                    {func(s *scene) { s.add(1, 10) }, latest, 10, int64(10), int64(0), ""},
		"earliest, trimmed":         {trimmed, redisstream.Start{}, 0, int64(5), int64(5), ""},
		"latest, trimmed":           {trimmed, latest, 10, int64(10), int64(0), ""},
		"before the first":          {trimmed, at(5), 5, int64(5), int64(5), ""},
		"in the middle":             {trimmed, at(7), 7, nil, nil, ""},
		"at the last":               {trimmed, at(10), 10, int64(10), int64(0), ""},
		"trimmed to nothing":        {func(s *scene) { s.add(1, 4); s.do("XTRIM", key, "MAXLEN", 0) }, redisstream.Start{}, 0, int64(4), int64(0), ""},
		"trimmed to nothing, after": {func(s *scene) { s.add(1, 4); s.do("XTRIM", key, "MAXLEN", 0) }, at(2), 2, int64(4), int64(0), ""},
		"beyond the end":            {func(s *scene) { s.add(1, 2) }, at(999), 999, nil, nil, "the stream ends at 2-0"},
		"the last was deleted":      {func(s *scene) { s.add(1, 3); s.do("XDEL", key, "3-0") }, latest, 3, int64(3), int64(0), ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			test.before(s)
			o := ensure(t, s.group(test.start))
			if !o.Created || o.Recreated || o.NewEpoch || o.Epoch == "" || o.At != (stream.ID{Ms: test.at}) {
				t.Errorf("%+v, want created at %d", o, test.at)
			}
			if test.note == "" && o.Note != "" || !strings.Contains(o.Note, test.note) {
				t.Errorf("note %q, want %q", o.Note, test.note)
			}
			g := s.do("XINFO", "GROUPS", key).([]any)[0].(map[any]any)
			if g["entries-read"] != test.read {
				t.Errorf("entries-read %v, want %v", g["entries-read"], test.read)
			}
			if test.lag != nil && g["lag"] != test.lag {
				t.Errorf("lag %v, want %v", g["lag"], test.lag)
			}
			again := ensure(t, s.group(test.start))
			if again.Created || again.Epoch != o.Epoch || again.Note != "" {
				t.Errorf("second time: %+v, want the same group", again)
			}
		})
	}
}

// A group that was lost goes on where it stood, or begins again where the
// stream is another one.
func TestEnsureLost(t *testing.T) {
	t.Parallel()
	const stood = 4 // of 8 entries
	flush := func(s *scene) { s.do("FLUSHALL") }
	tests := map[string]struct {
		loss      func(*scene)
		at        uint64
		recreated bool
		newEpoch  bool
		lag       int64 // -1 unknown
	}{
		"XGROUP DESTROY":                    {func(s *scene) { s.do("XGROUP", "DESTROY", key, group) }, stood, true, false, -1},
		"destroyed, checkpoint only local":  {func(s *scene) { s.do("XGROUP", "DESTROY", key, group); s.do("DEL", checkpointKey) }, stood, true, false, -1},
		"destroyed, checkpoint only remote": {func(s *scene) { s.do("XGROUP", "DESTROY", key, group); s.store.kept = nil }, stood, true, false, -1},
		"destroyed, epoch evicted":          {func(s *scene) { s.do("XGROUP", "DESTROY", key, group); s.do("DEL", epochKey) }, stood, true, false, -1},
		"destroyed and trimmed past it":     {func(s *scene) { s.do("XGROUP", "DESTROY", key, group); s.do("XTRIM", key, "MINID", "7-0") }, stood, true, false, 2},
		"destroyed, nothing was left to do": {func(s *scene) { s.do("XGROUP", "DESTROY", key, group); s.do("XTRIM", key, "MAXLEN", 0) }, stood, true, false, 0},
		"destroyed, both checkpoints gone": {func(s *scene) {
			s.do("XGROUP", "DESTROY", key, group)
			s.do("DEL", checkpointKey)
			s.store.kept = nil
		}, 0, true, false, 8},
		"DEL of the stream":               {func(s *scene) { s.do("DEL", key) }, 0, true, true, 0},
		"DEL, no local checkpoint":        {func(s *scene) { s.do("DEL", key); s.store.kept = nil }, 0, true, true, 0},
		"DEL, then lower IDs":             {func(s *scene) { s.do("DEL", key); s.add(1, 3) }, 0, true, true, 3},
		"DEL, then the same IDs":          {func(s *scene) { s.do("DEL", key); s.add(1, 7) }, 0, true, true, 7},
		"DEL, then fewer with higher IDs": {func(s *scene) { s.do("DEL", key); s.add(20, 22) }, 0, true, true, 3},
		"DEL, then more with higher IDs":  {func(s *scene) { s.do("DEL", key); s.add(20, 40) }, 0, true, true, 21},
		"destroyed, others in the place of all": {func(s *scene) {
			s.do("XGROUP", "DESTROY", key, group)
			s.do("XTRIM", key, "MAXLEN", 0)
			s.add(20, 40)
		}, stood, true, false, 21},
		"DEL, then more from a lower ID": {func(s *scene) { s.do("DEL", key); s.do("XADD", key, "0-1", "a", "b"); s.add(1, 20) }, 0, true, true, 21},
		"DEL, then more that end before": {func(s *scene) {
			s.do("DEL", key)
			for i := range 20 {
				s.do("XADD", key, fmt.Sprint("5-", i), "event", "{}")
			}
		}, 0, true, true, 20},
		"FLUSHALL":                        {flush, 0, true, true, 0},
		"FLUSHALL, then the same entries": {func(s *scene) { flush(s); s.add(1, 8) }, 0, true, true, 8},
		"FLUSHALL, then higher IDs":       {func(s *scene) { flush(s); s.add(100, 120) }, 0, true, true, 21},
		"FLUSHALL, no local checkpoint":   {func(s *scene) { flush(s); s.add(1, 8); s.store.kept = nil }, 0, false, false, 8},
		"an empty server":                 {func(s *scene) { s.server.StartEmpty(s) }, 0, true, true, 0},
		"another group found out before": {func(s *scene) {
			s.do("DEL", key)
			s.do("SET", epochKey, "renewed")
			s.add(1, 30)
		}, 0, true, true, 30},
		"the local checkpoint is ahead": {func(s *scene) {
			s.do("XGROUP", "DESTROY", key, group)
			s.do("HSET", checkpointKey, "id", "2-0")
		}, stood, true, false, -1},
		"the local checkpoint is of an older epoch": {func(s *scene) {
			s.do("XGROUP", "DESTROY", key, group)
			for k, c := range s.store.kept {
				c.Epoch, c.ID = "old", stream.ID{Ms: 900}
				s.store.kept[k] = c
			}
		}, stood, true, false, -1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			s.add(1, 8)
			before := s.work(stood)
			test.loss(s)
			g := s.group(redisstream.Start{})
			o := ensure(t, g)
			if !o.Created || o.Recreated != test.recreated || o.NewEpoch != test.newEpoch || o.At != (stream.ID{Ms: test.at}) {
				t.Fatalf("%+v, want at %d, recreated %v, new epoch %v", o, test.at, test.recreated, test.newEpoch)
			}
			if o.Recreated {
				want := stream.ID{Ms: stood}
				if name == "destroyed, both checkpoints gone" {
					want = stream.ID{}
				}
				if o.Checkpoint != want || !strings.Contains(o.Note, o.At.String()) && !strings.Contains(o.Note, "4-0") {
					t.Errorf("checkpoint %v, note %q, want both to name %v", o.Checkpoint, o.Note, want)
				}
				if o.NewEpoch == (o.Epoch == before.Epoch) {
					t.Errorf("epoch %s, was %s", o.Epoch, before.Epoch)
				}
			}
			info, err := g.Info(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if info.LagKnown != (test.lag >= 0) || info.LagKnown && info.Lag != test.lag {
				t.Errorf("lag %d, known %v, want %d", info.Lag, info.LagKnown, test.lag)
			}
			if again := ensure(t, s.group(redisstream.Start{})); again.Created || again.Epoch != o.Epoch {
				t.Errorf("second time: %+v", again)
			}
			// What was lost once is known again.
			s.do("XGROUP", "DESTROY", key, group)
			if again := ensure(t, s.group(redisstream.Start{})); !again.Recreated || again.NewEpoch || again.Epoch != o.Epoch {
				t.Errorf("after another loss: %+v, want recreated in the same epoch", again)
			}
		})
	}
}

// A server that came back with an older state has the same stream as before: a
// local checkpoint that knows more of it does not make it another one.
func TestEnsureOlderState(t *testing.T) {
	t.Parallel()
	older := func(t *testing.T) (s *scene, epoch string) {
		s = newScene(t)
		s.add(1, 8)
		before := s.work(4)
		for k, c := range s.store.kept { // of what Redis has lost
			c.ID, c.LastGenerated, c.EntriesAdded = stream.ID{Ms: 9}, stream.ID{Ms: 10}, 20
			s.store.kept[k] = c
		}
		return s, before.Epoch
	}
	s, epoch := older(t)
	s.do("XGROUP", "DESTROY", key, group)
	s.do("XADD", key, "20-0", "event", "{}")
	if o := ensure(t, s.group(redisstream.Start{})); o.At != (stream.ID{Ms: 4}) || o.NewEpoch || o.Epoch != epoch {
		t.Errorf("%+v, want it to go on after 4-0 in epoch %s", o, epoch)
	}

	s, _ = older(t)
	s.do("DEL", key)
	s.add(11, 20)
	if o := ensure(t, s.group(redisstream.Start{})); !o.NewEpoch {
		t.Errorf("%+v, want another stream", o)
	}
}

// A group that began beyond the end of its stream is not taken for one of
// another stream.
func TestEnsureLostBeyondTheEnd(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.add(1, 3)
	first := ensure(t, s.group(at(999)))
	s.do("XGROUP", "DESTROY", key, group)
	if o := ensure(t, s.group(at(999))); !o.Recreated || o.NewEpoch || o.Epoch != first.Epoch || o.At != (stream.ID{Ms: 999}) {
		t.Fatalf("%+v, want recreated at 999-0", o)
	}
}

// The group is there, but the key of the epoch was evicted: it is put back.
func TestEnsureRestoresEpoch(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		loss func(*scene)
		same bool
	}{
		"epoch alone":                   {func(s *scene) { s.do("DEL", epochKey) }, true},
		"epoch and checkpoint":          {func(s *scene) { s.do("DEL", epochKey, checkpointKey) }, true},
		"epoch and local":               {func(s *scene) { s.do("DEL", epochKey); s.store.kept = nil }, true},
		"everything":                    {func(s *scene) { s.do("DEL", epochKey, checkpointKey); s.store.kept = nil }, false},
		"somebody made it anew by hand": {func(s *scene) { s.do("FLUSHALL"); s.add(1, 2); s.do("XGROUP", "CREATE", key, group, "0") }, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			s.add(1, 8)
			before := s.work(4)
			test.loss(s)
			o := ensure(t, s.group(redisstream.Start{}))
			if o.Created || o.Epoch == "" || (o.Epoch == before.Epoch) != test.same {
				t.Fatalf("%+v, epoch was %s, want the same: %v", o, before.Epoch, test.same)
			}
			if got := s.do("GET", epochKey); got != o.Epoch {
				t.Fatalf("key of the epoch holds %v, want %s", got, o.Epoch)
			}
		})
	}
}

// Checkpoint puts an evicted epoch back, too, or an evicted checkpoint. When both
// are gone the group may be one that somebody else has made: Ensure finds out.
func TestCheckpointRestores(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.add(1, 8)
	g := s.group(redisstream.Start{})
	o := ensure(t, g)
	for _, gone := range []string{epochKey, checkpointKey} {
		s.do("DEL", gone)
		if _, err := g.Checkpoint(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	s.do("DEL", epochKey, checkpointKey)
	if _, err := g.Checkpoint(t.Context()); !errors.Is(err, stream.ErrNoGroup) {
		t.Fatalf("error %v, want %v", err, stream.ErrNoGroup)
	}
	if again := ensure(t, g); again.Created || again.NewEpoch || again.Epoch != o.Epoch {
		t.Fatalf("%+v, want epoch %s as before", again, o.Epoch)
	}
	if _, err := g.Checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := s.do("GET", epochKey); got != o.Epoch {
		t.Errorf("epoch %v, want %s", got, o.Epoch)
	}
	if got := s.do("HGET", checkpointKey, "epoch"); got != o.Epoch {
		t.Errorf("epoch of the checkpoint %v, want %s", got, o.Epoch)
	}
}

// Many groups of many processes that find a new stream at once agree on one
// epoch, each begins before the first entry, and each is made once.
func TestEnsureAtOnce(t *testing.T) {
	t.Parallel()
	const groups, processes = 6, 4
	s := newScene(t)
	clients := make([]*redisstream.Client, processes)
	for i := range clients {
		clients[i] = open(t, s.server)
	}
	var mu sync.Mutex
	round := func() (epochs map[string]int, created, renewed int) {
		epochs = map[string]int{}
		var all errgroup.Group
		for _, c := range clients {
			for i := range groups {
				all.Go(func() error {
					cfg := config()
					cfg.Group = fmt.Sprint("g", i)
					cfg.Checkpoints = s.store
					o, err := c.Group(cfg).Ensure(t.Context())
					mu.Lock()
					defer mu.Unlock()
					epochs[o.Epoch]++
					if o.Created {
						created++
					}
					if o.NewEpoch {
						renewed++
					}
					if !o.At.IsZero() {
						err = errors.Join(err, fmt.Errorf("at %v", o.At))
					}
					return errors.Join(err, o.Warning)
				})
			}
		}
		if err := all.Wait(); err != nil {
			t.Fatal(err)
		}
		return epochs, created, renewed
	}
	if epochs, created, renewed := round(); len(epochs) != 1 || created != groups || renewed != 0 {
		t.Fatalf("first: epochs %v, %d created, %d renewed, want one, %d, none", epochs, created, renewed, groups)
	}
	for _, loss := range [][]any{{"DEL", key}, {"FLUSHALL"}, {"DEL", key}} {
		s.do(loss...)
		if epochs, created, renewed := round(); len(epochs) != 1 || created != groups || renewed != groups {
			t.Fatalf("after %v: epochs %v, %d created, %d renewed, want one, %d, all", loss, epochs, created, renewed, groups)
		}
	}
}

func TestEnsureFaults(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.do("SET", key, "no stream")
	if _, err := s.group(redisstream.Start{}).Ensure(t.Context()); err == nil || !strings.Contains(redisstream.Describe(err), "WRONGTYPE") {
		t.Errorf("stream of another type: %v", err)
	}
	s.do("DEL", key)

	// A store that is damaged is told of, and counts as empty.
	path := filepath.Join(t.TempDir(), "state", "fanout.json")
	cfg := config()
	cfg.Checkpoints = redisstream.NewFileStore(path)
	ensure(t, s.client.Group(cfg))
	write(t, path, "{torn")
	o, err := s.client.Group(cfg).Ensure(t.Context())
	if err != nil || o.Warning == nil || !strings.Contains(o.Warning.Error(), path) {
		t.Errorf("damaged store: %+v, %v, want a warning that names it", o, err)
	}
}

// Names with a hash tag of their own keep their slot; all streams have keys of
// their own.
func TestKeysStayInTheSlot(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	for _, name := range []string{"plain", "{tag}one", "{tag}two", "a{b}c", "{}x", "{open", "close}"} {
		cfg := config()
		cfg.Stream = name
		before := len(s.do("KEYS", "*").([]any))
		ensure(t, s.client.Group(cfg))
		keys := s.do("KEYS", "*").([]any)
		if len(keys) != before+4 {
			t.Errorf("%s: %d new keys, want 4: %q", name, len(keys)-before, keys)
		}
	}
	for _, want := range []string{"{plain}:fanout:epoch", "{tag}one:fanout:epoch", "a{b}c:fanout:checkpoint:g", "{{open}:fanout:epoch"} {
		if s.do("EXISTS", want) != int64(1) {
			t.Errorf("no key %s", want)
		}
	}
}

// A group that somebody else has made in another stream is noticed while it runs,
// by all who share it, and all agree on one epoch.
func TestMadeByOthers(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string][]any{"FLUSHALL": {"FLUSHALL"}, "DEL": {"DEL", key}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			s.add(1, 8)
			before := s.work(4)
			running, other := s.group(redisstream.Start{}), s.group(redisstream.Start{})
			ensure(t, running)
			ensure(t, other)
			if _, err := running.Checkpoint(t.Context()); err != nil {
				t.Fatal(err)
			}
			s.do(lose...)
			s.add(100, 130)
			s.do("XGROUP", "CREATE", key, group, "110-0")
			if _, err := running.Checkpoint(t.Context()); !errors.Is(err, stream.ErrNoGroup) {
				t.Fatalf("error %v, want %v", err, stream.ErrNoGroup)
			}
			o := ensure(t, running)
			if o.Created || !o.NewEpoch || o.Epoch == before.Epoch || !strings.Contains(o.Note, "somebody else") {
				t.Fatalf("%+v, want a new epoch", o)
			}
			if late := ensure(t, other); late.Epoch != o.Epoch || late.NewEpoch {
				t.Errorf("%+v, want epoch %s", late, o.Epoch)
			}
			if _, err := running.Checkpoint(t.Context()); err != nil {
				t.Error(err)
			}
			if info, err := running.Info(t.Context()); err != nil || info.LastDelivered.Ms != 110 {
				t.Errorf("stands at %s, %v, want where it was made", info.LastDelivered, err)
			}
		})
	}
}
