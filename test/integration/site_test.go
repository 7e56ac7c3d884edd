package integration

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/fanout/pkg/exchange"
	"example.com/fanout/test/integration/faulty"
	"example.com/fanout/test/redistest"
)

// eventsStream is the stream that the manifests of the tests read.
const eventsStream = "events_stream"

// site is what one test has for itself: a Redis, a board that steers the
// handler "faulty", and a working directory with groups.yaml.
type site struct {
	t     *testing.T
	dir   string
	redis *redistest.Server
	rdb   *redis.Client
	board *faulty.Board
}

func newSite(t *testing.T, opts ...redistest.Option) *site {
	t.Helper()
	s := newDir(t)
	s.redis = redistest.Start(t, opts...)
	s.rdb = s.redis.Client()
	board, err := faulty.Listen(s.path("board"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(board.Close)
	s.board = board
	return s
}

// newDir is a site with nothing but a working directory.
func newDir(t *testing.T) *site {
	t.Helper()
	dir, err := os.MkdirTemp("", "fanout-site-") // t.TempDir is too long for a socket in it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return &site{t: t, dir: dir}
}

func (s *site) path(name string) string { return filepath.Join(s.dir, name) }

// manifest writes groups.yaml. Its head is the same in all tests: short
// timings, all addresses by variables of the environment that command sets.
func (s *site) manifest(groups string) *site {
	s.t.Helper()
	return s.file("groups.yaml", `version: 1
redis: {url: "${REDIS_URL}"}
admin: {listen: "${FANOUT_ADMIN}"}
defaults:
  stream: `+eventsStream+`
  timeout: 1s
  drain_timeout: 3s
  claim: {min_idle: 60s, interval: 200ms}
  retry: {min_backoff: 20ms, max_backoff: 200ms}
  restart: {min_backoff: 20ms, max_backoff: 500ms, intensity: 1000}
groups:
`+groups)
}

// file writes a file into the working directory.
func (s *site) file(name, text string) *site {
	s.t.Helper()
	if err := os.WriteFile(s.path(name), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return s
}

// command makes a command of one of the binaries, with the environment that
// the manifests ask for.
func (s *site) command(binary, admin string, args ...string) *exec.Cmd {
	cmd := exec.Command(binary, args...)
	cmd.Dir = s.dir
	cmd.Env = []string{
		"HOME=" + s.dir, "PATH=" + os.Getenv("PATH"), "TMPDIR=" + s.dir,
		"FANOUT_ADMIN=" + admin, "BOARD=" + s.path("board"),
	}
	if s.redis != nil {
		cmd.Env = append(cmd.Env, "REDIS_URL="+s.redis.URL())
	}
	return cmd
}

// run starts `run` of the binary with the handler "faulty".
func (s *site) run(args ...string) *process {
	s.t.Helper()
	admin := freeAddress(s.t)
	args = append([]string{"run", "-c", "groups.yaml", "--log-format", "json"}, args...)
	return spawn(s.t, s.command(faultyBinary, admin, args...), admin)
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// trades are the first n trades of an exchange, ten minutes of simulated time
// for each 6,000 of them.
func trades(seed uint64, n int) []exchange.Trade {
	x := exchange.New(exchange.Config{
		Seed: seed, Markets: 8, Start: time.UnixMilli(1763856000000), Rate: 10,
	})
	all := make([]exchange.Trade, n)
	for i := range all {
		all[i] = x.Next()
	}
	return all
}

// events are the trades as they are published.
func events(trades []exchange.Trade) []string {
	all := make([]string, len(trades))
	for i, t := range trades {
		all[i] = string(exchange.AppendJSON(nil, t))
	}
	return all
}

// publish appends events to the stream and returns their IDs.
func (s *site) publish(events ...string) []string {
	s.t.Helper()
	var ids []string
	for len(events) > 0 {
		n := min(len(events), 1000)
		cmds, err := s.rdb.Pipelined(context.Background(), func(p redis.Pipeliner) error {
			for _, e := range events[:n] {
				p.XAdd(context.Background(), &redis.XAddArgs{Stream: eventsStream, Values: []string{"event", e}})
			}
			return nil
		})
		if err != nil {
			s.t.Fatalf("publish: %v", err)
		}
		for _, cmd := range cmds {
			ids = append(ids, cmd.(*redis.StringCmd).Val())
		}
		events = events[n:]
	}
	return ids
}

// add appends one entry with the given fields, under the given ID or "*".
func (s *site) add(id string, fields ...string) string {
	s.t.Helper()
	got, err := s.rdb.XAdd(context.Background(), &redis.XAddArgs{Stream: eventsStream, ID: id, Values: fields}).Result()
	if err != nil {
		s.t.Fatalf("publish: %v", err)
	}
	return got
}

// settled waits until the groups have read the whole stream and nothing is
// pending in them.
func (s *site) settled(within time.Duration, groups ...string) {
	s.t.Helper()
	eventually(s.t, within, "settle all of "+strings.Join(groups, ", "), func() error { return s.isSettled(groups...) })
}

// isSettled says what the groups have still to do, nil for nothing.
func (s *site) isSettled(groups ...string) error {
	info, err := s.rdb.XInfoStream(context.Background(), eventsStream).Result()
	if err != nil {
		return err
	}
	for _, name := range groups {
		g, err := s.group(name)
		if err != nil {
			return err
		}
		if g.Pending > 0 || g.LastDeliveredID != info.LastGeneratedID {
			return fmt.Errorf("%s: %d pending, read up to %s of %s", name, g.Pending, g.LastDeliveredID, info.LastGeneratedID)
		}
	}
	return nil
}

// group is what Redis says of a group.
func (s *site) group(name string) (redis.XInfoGroup, error) {
	groups, err := s.rdb.XInfoGroups(context.Background(), eventsStream).Result()
	if err != nil {
		return redis.XInfoGroup{}, err
	}
	for _, g := range groups {
		if g.Name == name {
			return g, nil
		}
	}
	return redis.XInfoGroup{}, fmt.Errorf("no group %s", name)
}

// pending are the owners of a group's pending entries by ID.
func (s *site) pending(group string) map[string]string {
	s.t.Helper()
	owners := map[string]string{}
	for _, p := range s.pendingList(group) {
		owners[p.ID] = p.Consumer
	}
	return owners
}

// pendingList is the pending list of a group as Redis has it.
func (s *site) pendingList(group string) []redis.XPendingExt {
	s.t.Helper()
	list, err := s.rdb.XPendingExt(context.Background(), &redis.XPendingExtArgs{
		Stream: eventsStream, Group: group, Start: "-", End: "+", Count: 1_000_000,
	}).Result()
	if err != nil {
		s.t.Fatalf("list the pending entries of %s: %v", group, err)
	}
	return list
}

// connections are the IDs of the client connections of a group's consumers.
func (s *site) connections(group string) map[string]string {
	s.t.Helper()
	list, err := s.rdb.ClientList(context.Background()).Result()
	if err != nil {
		s.t.Fatalf("list the clients: %v", err)
	}
	ids := map[string]string{}
	for _, line := range strings.Split(list, "\n") {
		var id, name string
		for _, field := range strings.Fields(line) {
			if v, ok := strings.CutPrefix(field, "id="); ok {
				id = v
			}
			if v, ok := strings.CutPrefix(field, "name="); ok {
				name = v
			}
		}
		if strings.HasPrefix(name, "fanout:"+group+":") {
			ids[id] = name
		}
	}
	return ids
}

// onceEach wants every ID handled by the group exactly once, and nothing else.
func (s *site) onceEach(group string, ids []string) {
	s.t.Helper()
	times := s.board.Times(group)
	s.all(group, ids)
	for id, n := range times {
		if n > 1 {
			s.t.Errorf("%s handled %s %d times", group, id, n)
		}
	}
	if len(times) > len(ids) {
		s.t.Errorf("%s handled %d entries of %d", group, len(times), len(ids))
	}
}

// all wants every ID handled by the group at least once.
func (s *site) all(group string, ids []string) {
	s.t.Helper()
	times, missing := s.board.Times(group), 0
	for _, id := range ids {
		if times[id] == 0 {
			missing++
			if missing <= 5 {
				s.t.Errorf("%s never handled %s", group, id)
			}
		}
	}
	if missing > 5 {
		s.t.Errorf("%s never handled %d of %d entries", group, missing, len(ids))
	}
}
