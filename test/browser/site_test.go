package browser

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/fanout/pkg/exchange"
	"example.com/fanout/test/integration/faulty"
	"example.com/fanout/test/redistest"
)

const eventsStream = "events_stream"

// site is what one test has for itself: a Redis, a board that steers the groups
// with the handler "faulty", a fanout that runs.
type site struct {
	t     *testing.T
	dir   string
	redis *redistest.Server
	rdb   *redis.Client
	board *faulty.Board
	admin string // host and port

	manifest func(groups string) string

	exchange *exchange.Exchange // of its trades

	log   *logBook
	cmd   *exec.Cmd
	ended chan struct{}
}

// settings of a site's manifest.
type settings struct {
	admin  string // keys of admin beside listen
	away   bool   // no Redis answers at the address of the manifest
	groups string
	env    []string
}

// market are groups as those that are shipped, with a webhook to nowhere.
const market = `
  analytics:
    handler:
      window:
        key: market_id
        time: timestamp
        size: 1m
        measures:
          trades: count()
          volume: sum(stake.value)
          open: first(odds.ticks)
          high: max(odds.ticks)
          low: min(odds.ticks)
          close: last(odds.ticks)
          vwap: wavg(odds.ticks, stake.value)
        decimals: {odds.ticks: 2, stake.value: 2}
        dsn: sqlite:data/analytics.db
        table: market_minutes
  persistence:
    handler: {sql: {dsn: "sqlite:data/trades.db", table: trades, columns: {trade_id: trade_id, market_id: market_id, odds: odds.ticks, stake: stake.value}}}
  notifications:
    where: stake.value >= 50000
    handler: {webhook: {url: "${HOOK}"}}
  tape: {consumers: 1, handler: live}
`

// newSite starts a Redis and a fanout, and waits until the groups run.
func newSite(t *testing.T, s settings) *site {
	t.Helper()
	dir, err := os.MkdirTemp("", "fanout-page-") // t.TempDir is too long for a socket in it
	if err != nil {
		t.Fatal(err)
	}
	x := &site{t: t, dir: dir, redis: redistest.Start(t), log: &logBook{}}
	x.rdb = x.redis.Client()
	if x.board, err = faulty.Listen(filepath.Join(dir, "board")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(x.board.Close)
	hook, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	inbox := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })}
	go func() { _ = inbox.Serve(hook) }()
	t.Cleanup(func() { _ = inbox.Close() })
	x.admin = freeAddress(t)
	url := x.redis.URL()
	if s.away {
		url = "redis://" + freeAddress(t)
	}
	x.manifest = func(groups string) string {
		return `version: 1
redis: {url: "` + url + `"}
admin: {listen: "` + x.admin + `", ` + s.admin + `}
defaults:
  stream: ` + eventsStream + `
  timeout: 5s
  drain_timeout: 3s
  claim: {min_idle: 60s, interval: 200ms}
  retry: {attempts: 1, min_backoff: 20ms, max_backoff: 200ms}
  restart: {min_backoff: 20ms, max_backoff: 500ms, intensity: 1000}
groups:
` + groups
	}
	x.declare(s.groups)
	x.cmd = exec.Command(binary, "run", "-c", "groups.yaml", "--log-format", "json")
	x.cmd.Dir = dir
	x.cmd.Env = append([]string{
		"HOME=" + dir, "PATH=" + os.Getenv("PATH"), "TMPDIR=" + dir, "BOARD=" + filepath.Join(dir, "board"), "HOOK=http://" + hook.Addr().String() + "/",
	}, s.env...)
	x.start()
	t.Cleanup(func() {
		_ = x.cmd.Process.Signal(syscall.SIGCONT)
		_ = x.cmd.Process.Kill()
		<-x.ended
		if t.Failed() {
			t.Logf("the last lines of fanout:\n%s", x.log.tail(60))
		}
		_ = os.RemoveAll(dir)
	})
	if !s.away {
		x.ready()
	}
	return x
}

// declare writes the manifest with other groups; a reload takes them.
func (x *site) declare(groups string) {
	x.t.Helper()
	if err := os.WriteFile(filepath.Join(x.dir, "groups.yaml"), []byte(x.manifest(groups)), 0o600); err != nil {
		x.t.Fatal(err)
	}
}

// reload has the process read its manifest again.
func (x *site) reload() {
	x.t.Helper()
	if err := x.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		x.t.Fatal(err)
	}
}

func (x *site) start() {
	x.t.Helper()
	cmd := exec.Command(x.cmd.Path, x.cmd.Args[1:]...)
	cmd.Dir, cmd.Env = x.cmd.Dir, x.cmd.Env
	cmd.Stdout, cmd.Stderr = x.log, x.log
	if err := cmd.Start(); err != nil {
		x.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	x.cmd, x.ended = cmd, ended
}

func (x *site) stop() {
	x.t.Helper()
	_ = x.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-x.ended:
	case <-time.After(*patience):
		x.t.Fatal("fanout does not end")
	}
}

func (x *site) ready() {
	x.t.Helper()
	eventually(x.t, "be ready", func() error {
		resp, err := http.Get(x.url() + "readyz")
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("%s", resp.Status)
		}
		return nil
	})
}

func (x *site) url() string { return "http://" + x.admin + "/" }

// publish appends events to the stream.
func (x *site) publish(events ...string) (ids []string) {
	x.t.Helper()
	for len(events) > 0 {
		n := min(len(events), 1000)
		cmds, err := x.rdb.Pipelined(context.Background(), func(p redis.Pipeliner) error {
			for _, e := range events[:n] {
				p.XAdd(context.Background(), &redis.XAddArgs{Stream: eventsStream, Values: []string{"event", e}})
			}
			return nil
		})
		if err != nil {
			x.t.Fatalf("publish: %v", err)
		}
		for _, cmd := range cmds {
			ids = append(ids, cmd.(*redis.StringCmd).Val())
		}
		events = events[n:]
	}
	return ids
}

// newExchange is an exchange whose time begins some time ago and goes on at a
// rate of trades a second.
func newExchange(ago time.Duration, rate float64) *exchange.Exchange {
	return exchange.New(exchange.Config{Seed: 7, Markets: 14, Start: time.Now().Add(-ago), Rate: rate})
}

// newMarket is a site with the groups of market and n trades, five a second, the
// first of them some time ago.
func newMarket(t *testing.T, ago time.Duration, n int) *site {
	t.Helper()
	x := newSite(t, settings{groups: market})
	x.exchange = newExchange(ago, 5)
	x.publish(x.trades(n)...)
	return x
}

// trades are the next n trades of the site's exchange, as they are published.
func (x *site) trades(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = string(exchange.AppendJSON(nil, x.exchange.Next()))
	}
	return all
}

// group is what Redis says of a group.
func (x *site) group(name string) (redis.XInfoGroup, error) {
	groups, err := x.rdb.XInfoGroups(context.Background(), eventsStream).Result()
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

// settled waits until a group has settled the whole stream.
func (x *site) settled(name string) {
	x.t.Helper()
	eventually(x.t, "settle all of "+name, func() error {
		info, err := x.rdb.XInfoStream(context.Background(), eventsStream).Result()
		if err != nil {
			return err
		}
		g, err := x.group(name)
		if err == nil && (g.Pending > 0 || g.LastDeliveredID != info.LastGeneratedID) {
			err = fmt.Errorf("%d pending, read up to %s of %s", g.Pending, g.LastDeliveredID, info.LastGeneratedID)
		}
		return err
	})
}

// status is a group as the API shows it.
func (x *site) status(name string) map[string]any {
	x.t.Helper()
	resp, err := http.Get(x.url() + "v1/groups/" + name)
	if err != nil {
		x.t.Fatal(err)
	}
	defer resp.Body.Close()
	var v map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&v); err != nil {
		x.t.Fatal(err)
	}
	return v
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

// eventually polls until check returns nil.
func eventually(t *testing.T, what string, check func() error) {
	t.Helper()
	deadline := time.Now().Add(*patience)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("did not %s within %v: %v", what, *patience, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// logBook keeps what a process writes.
type logBook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logBook) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logBook) tail(lines int) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := strings.Split(strings.TrimRight(l.text.String(), "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
