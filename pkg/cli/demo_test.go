package cli

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"example.com/fanout/pkg/admin"
	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/sink/builtin"
)

// watchedPort listens and counts who connects.
func watchedPort(t *testing.T) (address string, connections *atomic.Int32) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	connections = new(atomic.Int32)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			connections.Add(1)
			conn.Close()
		}
	}()
	return l.Addr().String(), connections
}

// demoManifest is like the shipped one, with all its addresses at outside.
func demoManifest(outside, dir string) string {
	return fmt.Sprintf(`version: 1
redis: {url: "redis://user:secret@%[1]s/0"}
admin: {listen: "%[1]s"}
state: %[2]s/state.json
groups:
  analytics:
    handler:
      window:
        key: market_id
        time: timestamp
        size: 1m
        measures: {trades: count(), volume: sum(stake.value)}
        dsn: sqlite:%[2]s/analytics.db
        table: market_minutes
  persistence:
    handler:
      sql:
        dsn: sqlite:%[2]s/trades.db
        table: trades
        columns: {trade_id: trade_id, stake: stake.value}
  notifications:
    where: stake.value >= 5000
    handler: {webhook: {url: "http://%[1]s/", headers: {authorization: Bearer x}}}
  asleep:
    enabled: false
    handler: {webhook: {url: "http://%[1]s/"}}
`, outside, dir)
}

// demoDir finds the demo's directory in its output; it is removed with the test.
func demoDir(t *testing.T, output string) string {
	t.Helper()
	found := regexp.MustCompile(`stores are in (\S+),`).FindStringSubmatch(output)
	if found == nil {
		t.Fatalf("no directory in\n%s", output)
	}
	t.Cleanup(func() { os.RemoveAll(found[1]) })
	return found[1]
}

// The demo touches nothing outside, and what it says at the end is what is in
// its files.
func TestDemo(t *testing.T) {
	t.Parallel()
	outside, connections := watchedPort(t)
	elsewhere := t.TempDir()
	c := new(caller)
	cancel, wait := c.start(t, "demo", "-c", write(t, "groups.yaml", demoManifest(outside, elsewhere)), "--rate", "500")
	round := regexp.MustCompile(`(?m)^(0:\d\d |     )  (analytics|persistence|notifications)  +(running|starting)  +\d+  +\d+  +(\d+|unknown)  +\d+  +0$`)
	busy := regexp.MustCompile(`notifications  running +\d{3,} +\d{3,}`)
	eventually(t, "work of all groups", func() bool {
		out := c.out.String()
		return len(round.FindAllString(out, -1)) >= 6 && len(busy.FindAllString(out, -1)) >= 2
	})
	cancel()
	if code := wait(); code != exitOK || c.err.String() != "" {
		t.Errorf("exit code %d: %s", code, c.err.String())
	}
	stdout := c.out.String()
	dir := demoDir(t, stdout)
	if n := connections.Load(); n > 0 {
		t.Errorf("%d connections to what the manifest names", n)
	}
	if files, _ := os.ReadDir(elsewhere); len(files) > 0 {
		t.Errorf("the demo has made %v", files)
	}
	// The manifest's admin address is the watched port, which is taken.
	if strings.Contains(stdout, outside) || !strings.Contains(stdout, "http://127.0.0.1:") {
		t.Errorf("no admin address of its own:\n%s", stdout)
	}
	rounds := round.FindAllString(stdout, -1)
	if len(rounds)%3 != 0 {
		t.Errorf("%d lines of three groups:\n%s", len(rounds), stdout)
	}
	for i, line := range rounds {
		if len(line) != len(rounds[0]) || (line[0] == ' ') != (i%3 != 0) {
			t.Errorf("the lines do not stand below each other:\n%s", strings.Join(rounds, "\n"))
		}
	}
	contains(t, stdout, "TIME   GROUP ", "stored in "+dir+"/analytics.db\n", "stored in "+dir+"/trades.db\n")

	settled := map[string]int{}
	filtered := map[string]int{}
	for _, m := range regexp.MustCompile(`(?m)^(\w+) +\d+ +(\d+) +(\d+) +0  stopped$`).FindAllStringSubmatch(stdout, -1) {
		settled[m[1]], filtered[m[1]] = atoi(t, m[2]), atoi(t, m[3])
	}
	var rows, large, counted, volume, stakes int
	query(t, dir+"/trades.db", "SELECT count(*), sum(stake), count(*) FILTER (WHERE stake >= 5000) FROM trades", &rows, &stakes, &large)
	query(t, dir+"/analytics.db", "SELECT sum(trades), sum(volume) FROM market_minutes", &counted, &volume)
	if rows != settled["persistence"] || rows < 100 {
		t.Errorf("%d rows of trades, %d settled:\n%s", rows, settled["persistence"], stdout)
	}
	if counted != settled["analytics"] {
		t.Errorf("%d trades counted, %d settled:\n%s", counted, settled["analytics"], stdout)
	}
	if rows == counted && volume != stakes {
		t.Errorf("the windows have a volume of %d, the trades one of %d", volume, stakes)
	}
	notified := atoi(t, regexp.MustCompile(`(\d+) notifications? received with a valid signature\n`).FindStringSubmatch(stdout)[1])
	published := atoi(t, regexp.MustCompile(`(?m)^(\d+) trades in `).FindStringSubmatch(stdout)[1])
	if notified != settled["notifications"]-filtered["notifications"] || notified == 0 || rows == published && notified > large {
		t.Errorf("%d notifications received, %d trades are large enough:\n%s", notified, large, stdout)
	}
	if strings.Contains(stdout, "without one, or again") {
		t.Errorf("webhooks without a signature, or twice:\n%s", stdout)
	}
}

func query(t *testing.T, file, statement string, into ...any) {
	t.Helper()
	db, err := sql.Open("sqlite", file)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRowContext(t.Context(), statement).Scan(into...); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

func atoi(t *testing.T, text string) int {
	t.Helper()
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// The demo ends by itself when it is told to, and its admin server may be off.
func TestDemoFor(t *testing.T) {
	t.Parallel()
	began := time.Now()
	stdout, _ := call(t, exitOK, "demo", "--for", "300ms", "--rate", "10", "-c", write(t, "groups.yaml", "admin: {listen: \"off\"}\n"+twoGroups))
	demoDir(t, stdout)
	if took := time.Since(began); took < 300*time.Millisecond {
		t.Errorf("it ended after %v", took)
	}
	if strings.Contains(stdout, "http://") || !strings.Contains(stdout, "\naudit ") || strings.Contains(stdout, "billing") {
		t.Errorf("output:\n%s", stdout)
	}
}

// Nothing of the stream is kept beyond what the in-process Redis can bear. Not
// parallel: it needs the machine for itself.
func TestDemoStreamIsShort(t *testing.T) {
	c := new(caller)
	cancel, wait := c.start(t, "demo", "--rate", "20000", "-c", write(t, "groups.yaml", `version: 1
admin: {listen: "127.0.0.1:0"}
groups:
  audit:
    handler: {log: {level: none}}
`))
	var address string
	eventually(t, "admin address", func() bool {
		if m := regexp.MustCompile(`http://(\S+) shows it live`).FindStringSubmatch(c.out.String()); m != nil {
			address = m[1]
		}
		return address != ""
	})
	var longest int64
	eventually(t, "trades beyond the bound", func() bool {
		resp, err := http.Get("http://" + address + "/v1/groups/audit")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		var g admin.GroupStatus
		if json.NewDecoder(resp.Body).Decode(&g) != nil {
			return false
		}
		longest = max(longest, g.StreamLength)
		return g.Read["new"] > demoStream+2000 && g.StreamLength > 0
	})
	if longest > demoStream {
		t.Errorf("the stream has grown to %d entries, %d at most are wanted", longest, demoStream)
	}
	cancel()
	if code := wait(); code != exitOK {
		t.Errorf("exit code %d: %s", code, c.err.String())
	}
	out := c.out.String()
	dir := demoDir(t, out)
	if !regexp.MustCompile(`\n\d{5,} trades in [\d.]+m?s\nGROUP  +READ .*\naudit +\d+ +\d+ +0 +0  stopped\n`).MatchString(out) {
		t.Errorf("no summary:\n%s", out)
	}
	if files, _ := filepath.Glob(dir + "/*.db"); len(files) > 0 {
		t.Errorf("a log makes %v", files)
	}
}

// outward writes outside, and nobody can redirect it.
type outward struct{}

func (*outward) Check() []handler.Finding { return nil }
func (*outward) New(handler.Env) (handler.Handler, error) {
	panic("a handler that was refused is built")
}

func TestDemoRefuses(t *testing.T) {
	t.Parallel()
	registry := builtin.Registry()
	registry.Register("outward", handler.Factory{Doc: "writes outside", Config: func() handler.Config { return &outward{} }})
	const groups = `version: 1
groups:
  audit: {handler: log}
  risk: {handler: outward}
  hedge: {handler: outward}
  asleep: {handler: outward, enabled: false}
`
	c := &caller{registry: registry}
	stdout, stderr := c.call(t, exitFailure, "demo", "-c", write(t, "groups.yaml", groups))
	contains(t, stderr, "cannot redirect", "groups.risk: handler outward, groups.hedge: handler outward;", "enabled: false")
	if stdout != "" || strings.Contains(stderr, "asleep") {
		t.Errorf("%s%s", stdout, stderr)
	}
}
