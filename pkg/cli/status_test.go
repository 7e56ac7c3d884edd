package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"example.com/fanout/pkg/admin"
	"example.com/fanout/pkg/telemetry"
)

// fakeGroups are what a running fanout shows.
type fakeGroups struct {
	groups []admin.GroupStatus
	err    error // of every restart

	mu        sync.Mutex
	restarted []string
}

func (f *fakeGroups) Groups() []admin.GroupStatus { return f.groups }
func (f *fakeGroups) Health() admin.Health        { return admin.Health{Alive: true} }

func (f *fakeGroups) Restart(_ context.Context, group string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, g := range f.groups {
		if g.Name == group && f.err == nil {
			f.restarted = append(f.restarted, group)
			return nil
		}
	}
	if f.err != nil {
		return f.err
	}
	return fmt.Errorf("%w %q", admin.ErrUnknownGroup, group)
}

// serve shows the groups and returns the address.
func (f *fakeGroups) serve(t *testing.T) string {
	t.Helper()
	l, err := admin.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- admin.New(admin.Config{Controller: f}).Serve(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

func someGroups() *fakeGroups {
	now, lag := time.Now(), int64(12)
	return &fakeGroups{groups: []admin.GroupStatus{
		{
			Name: "analytics", RedisGroup: "analytics", Stream: "events_stream", Handler: "window", Signal: "35",
			State: telemetry.StateRunning, Since: now.Add(-65 * time.Second), Incarnation: 2,
			LastRestart: &admin.Restart{Cause: "signal", At: now.Add(-65 * time.Second)},
			Restarts:    map[string]int64{"signal": 1},
			Read:        map[string]int64{"new": 5000, "claimed": 12}, Settled: map[string]int64{"acked": 4990, "buried": 2, "vanished": 3, "released": 7},
			InFlight: 10, ObservedAt: &now, Pending: 10, Lag: &lag, LagKnown: true,
			Verdict: admin.Verdict{Code: telemetry.VerdictOK, Since: now.Add(-60 * time.Second), Why: "keeps up"},
			Rates:   admin.Rates{TenSeconds: admin.Rate{Settled: new(123.4), Added: new(1.25)}}, DrainSeconds: new(61.0),
			LatestRestarts: []admin.Restart{{Cause: "failed", Error: "boom\nstack", At: now.Add(-2 * time.Hour)}, {Cause: "signal", At: now.Add(-65 * time.Second)}},
			BacklogHistory: []*float64{new(0.0), nil, new(22.0)},
			Server:         "redis 7.0.15",
			Consumers: []admin.ConsumerStatus{
				{Name: "host-0", State: "reading", Pending: new(int64(4)), InFlight: 10, Connection: &admin.Connection{ID: 7, Addr: "127.0.0.1:5000"}},
				{Name: "other-0", State: admin.Elsewhere, Pending: new(int64(6))},
			},
		},
		{
			Name: "notifications", RedisGroup: "notifications", Stream: "events_stream", Handler: "webhook",
			State: telemetry.StateTripped, Since: now.Add(-3 * time.Hour),
			LastError: &admin.Failure{Error: "no such \x1b[31mtable\nand more", At: now.Add(-5 * time.Second)},
			Problems:  []string{"sink unavailable"},
			Verdict:   admin.Verdict{Code: telemetry.VerdictTripped, Since: now.Add(-3 * time.Hour), Why: "it failed too often", Do: "fanout restart notifications"},
		},
	}}
}

func TestStatus(t *testing.T) {
	t.Parallel()
	address := someGroups().serve(t)
	table, _ := call(t, exitOK, "status", "--admin", address)
	lines := strings.Split(table, "\n")
	for i, want := range []string{
		"GROUP          VERDICT  SINCE  STATE        LAG  PENDING   RATE  DRAIN  READ  SETTLED  DEAD  RESTARTS",
		"analytics      OK       1m00s  running       12       10  123/s  1m01s  5012     4995     2         1",
		"notifications  TRIPPED  3h00m  tripped  unknown  unknown      -      -     0        0     0         0",
		"notifications: tripped since ",
		"notifications: sink unavailable",
		"notifications: last error 5s ago: no such \\x1b[31mtable",
		"notifications: → fanout restart notifications",
		"",
	} {
		if i >= len(lines) || !strings.HasPrefix(lines[i], want) || i < 3 && lines[i] != want {
			t.Fatalf("line %d is not %q:\n%s", i, want, table)
		}
	}
	if strings.Contains(table, "\x1b") {
		t.Errorf("the table steers the terminal: %q", table)
	}

	stdout, _ := call(t, exitOK, "status", "--admin", address, "-o", "json")
	var all admin.GroupList
	if err := json.Unmarshal([]byte(stdout), &all); err != nil || len(all.Groups) != 2 || all.Groups[0].Read["new"] != 5000 {
		t.Errorf("%v: %s", err, stdout)
	}
	stdout, _ = call(t, exitOK, "status", "--admin", address, "-o", "json", "analytics")
	var one admin.GroupStatus
	if err := json.Unmarshal([]byte(stdout), &one); err != nil || one.Name != "analytics" || *one.Lag != 12 {
		t.Errorf("%v: %s", err, stdout)
	}
}

func TestStatusOfOneGroup(t *testing.T) {
	t.Parallel()
	address := someGroups().serve(t)
	text, _ := call(t, exitOK, "status", "--admin", address, "analytics")
	for _, want := range []string{
		"analytics: OK since 1m00s; running since 1m05s\n", "  keeps up\n", "  server       redis 7.0.15\n",
		"  handler      window\n", "  stream       events_stream, as group analytics\n", "  signal       35\n",
		"  incarnation  2\n", "  restart      1m05s ago, signal\n  restart      2h00m ago, failed: boom\n",
		"  rates        123/s settled, 1.2/s added; - and - over a minute\n", "  drain        1m01s\n", "  lag          12\n", "  pending      10\n",
		"  in flight    10, 0 of them wait for a retry\n", "  read         5012 (claimed 12, new 5000)\n",
		"  settled      5002 (acked 4990, buried 2, released 7, vanished 3)\n", "  consumer     host-0 reading, in flight 10, pending 4, client 7 at 127.0.0.1:5000\n",
		"  consumer     other-0 elsewhere, pending 6\n",
	} {
		contains(t, text, want)
	}
	text, _ = call(t, exitOK, "status", "--admin", address, "notifications")
	contains(t, text, "notifications: TRIPPED since 3h00m; tripped since 3h00m\n  tripped since ", "\n  sink unavailable\n", "\n  last error 5s ago: ", "  lag          unknown\n")

	_, stderr := call(t, exitFailure, "status", "--admin", address, "analytic")
	contains(t, stderr, `unknown group "analytic"`, "did you mean analytics?")
}

func TestStatusColours(t *testing.T) {
	t.Parallel()
	address := someGroups().serve(t)
	terminal := &caller{terminal: true}
	table, _ := terminal.call(t, exitOK, "status", "--admin", address)
	contains(t, table, green+"OK"+plain, green+"running"+plain, red+"TRIPPED"+plain, red+"tripped"+plain)
	plainly := &caller{terminal: true, environ: map[string]string{"NO_COLOR": "1"}}
	if table, _ := plainly.call(t, exitOK, "status", "--admin", address); strings.Contains(table, "\x1b") {
		t.Errorf("colours in spite of NO_COLOR: %q", table)
	}
}

// The table fits every terminal: what matters least goes first.
func TestStatusFits(t *testing.T) {
	t.Parallel()
	for _, n := range []int64{0, 9_999_999, 10_000_000, 999_949_999, 123_456_789_012, 999_000_000_000_000} {
		now := time.Now()
		g := admin.GroupStatus{
			Name: strings.Repeat("long-", 12) + "end", State: telemetry.StateBackingOff, Since: now.Add(-47 * time.Hour),
			Read: map[string]int64{"new": n}, Settled: map[string]int64{"buried": n}, Restarts: map[string]int64{"failed": n},
			Pending: n, Lag: &n, ObservedAt: &now, Handler: strings.Repeat("h", 100), Stream: strings.Repeat("s", 100),
			Rates: admin.Rates{TenSeconds: admin.Rate{Settled: new(float64(n))}}, DrainSeconds: new(float64(n)),
			Verdict: admin.Verdict{Code: telemetry.VerdictSinkDown, Why: strings.Repeat("why ", 50), Do: strings.Repeat("do ", 50)},
		}
		address := (&fakeGroups{groups: []admin.GroupStatus{g}}).serve(t)
		for _, width := range []int{50, 60, 80, 100, 160} {
			terminal := &caller{terminal: true, width: width, environ: map[string]string{"NO_COLOR": "1"}}
			table, _ := terminal.call(t, exitOK, "status", "--admin", address)
			for _, line := range strings.Split(table, "\n") {
				if got := utf8.RuneCountInString(line); got > width {
					t.Errorf("%d columns on a terminal of %d: %s", got, width, line)
				}
			}
			contains(t, table, "long-long-lo…", "-long-end", "SINK DOWN", "LAG")
			if width == 160 {
				contains(t, table, "RESTARTS", "TREND", "DRAIN")
			}
		}
	}
}

func TestStatusCheck(t *testing.T) {
	t.Parallel()
	group := func(name, code string) admin.GroupStatus {
		return admin.GroupStatus{Name: name, State: telemetry.StateRunning, Verdict: admin.Verdict{Code: code, Why: "because"}}
	}
	unwell := group("c", telemetry.VerdictOK)
	unwell.StuckCalls = 1
	for name, tt := range map[string]struct {
		groups []admin.GroupStatus
		code   int
		says   string
	}{
		"all well":         {[]admin.GroupStatus{group("a", telemetry.VerdictOK), group("b", telemetry.VerdictOK)}, 0, "OK 2 groups\n"},
		"one lags":         {[]admin.GroupStatus{group("a", telemetry.VerdictOK), group("b", telemetry.VerdictLagging)}, 1, "LAGGING b: because\n"},
		"all lag":          {[]admin.GroupStatus{group("a", telemetry.VerdictLagging), group("b", telemetry.VerdictLosing)}, 1, "LOSING b: because\n"},
		"one is down":      {[]admin.GroupStatus{group("a", telemetry.VerdictOK), group("b", telemetry.VerdictSinkDown)}, 1, "SINK DOWN b: because\n"},
		"all are down":     {[]admin.GroupStatus{group("a", telemetry.VerdictStalled), group("b", telemetry.VerdictTripped)}, 2, "STALLED a: because\n"},
		"the only is down": {[]admin.GroupStatus{group("a", telemetry.VerdictStopped)}, 2, "STOPPED a: because\n"},
		"stuck calls":      {[]admin.GroupStatus{group("a", telemetry.VerdictOK), unwell}, 1, "OK c: 1 calls of the handler"},
		"no groups":        {nil, 0, "OK 0 groups\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stdout, _ := call(t, tt.code, "status", "--check", "--admin", (&fakeGroups{groups: tt.groups}).serve(t))
			contains(t, stdout, tt.says)
		})
	}
	_, stderr := call(t, 2, "status", "--check", "--admin", "127.0.0.1:1")
	contains(t, stderr, "no fanout runs at 127.0.0.1:1")
	_, stderr = call(t, 2, "status", "--check", "--admin", someGroups().serve(t), "nobody")
	contains(t, stderr, "unknown group")
}

func TestSparkline(t *testing.T) {
	t.Parallel()
	line := func(values ...float64) (all []*float64) {
		for _, v := range values {
			all = append(all, &v)
		}
		return all
	}
	rising := make([]float64, 60)
	for i := range rising {
		rising[i] = float64(i)
	}
	for want, values := range map[string][]*float64{
		"                    ": nil,
		"                   ▁": line(0, 0, 0),
		"                  ▅█": line(5, 5, 0, 9),
		"▁▁▂▂▂▃▃▄▄▄▅▅▆▆▆▇▇███": line(rising...),
		"                  █ ": {new(1.0), nil, nil, nil},
	} {
		if got := sparkline(values); got != want {
			t.Errorf("%d values are drawn as %q, want %q", len(values), got, want)
		}
	}
}

func TestNumber(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{
		0: "0", 9_999_999: "9999999", 10_000_000: "10.0M", 12_345_678: "12.3M", 999_900_000: "999.9M", 1_000_000_000: "1.0G", 2_500_000_000_000: "2.5T",
	} {
		if got := number(n); got != want {
			t.Errorf("number(%d) is %s, want %s", n, got, want)
		}
	}
}

func TestAgo(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 59 * time.Second: "59s", 61 * time.Second: "1m01s", 3*time.Hour + 5*time.Minute: "3h05m", 72 * time.Hour: "3d",
	} {
		if got := ago(now.Add(-d), now); got != want {
			t.Errorf("%v ago is %s, want %s", d, got, want)
		}
	}
	if got := ago(time.Time{}, now); got != "-" {
		t.Errorf("never is %s", got)
	}
}

func TestRestart(t *testing.T) {
	t.Parallel()
	f := someGroups()
	address := f.serve(t)
	stdout, _ := call(t, exitOK, "restart", "--admin", address, "analytics")
	if stdout != "analytics restarts\n" || strings.Join(f.restarted, " ") != "analytics" {
		t.Errorf("restarted %v: %s", f.restarted, stdout)
	}
	_, stderr := call(t, exitFailure, "restart", "--admin", address, "analitics")
	contains(t, stderr, `unknown group "analitics"`, "did you mean analytics?")
	_, stderr = call(t, exitFailure, "restart", "--admin", address, "../x")
	contains(t, stderr, "unknown group")

	f.err = errors.New("groups are not started yet: redis is away")
	_, stderr = call(t, exitFailure, "restart", "--admin", address, "analytics")
	contains(t, stderr, "not started yet: redis is away", "see fanout status analytics")
}

// Whoever asks where nothing answers is told what to do.
func TestNoRunningFanout(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	config := write(t, "groups.yaml", "admin: {listen: \""+address+"\"}\n"+twoGroups)
	off := write(t, "off.yaml", "admin: {listen: \"off\"}\n"+twoGroups)
	for _, command := range [][]string{{"status"}, {"status", "audit"}, {"restart", "audit"}} {
		want := "fanout: no fanout runs at " + address + "; start it with fanout run, or name its address with --admin\n"
		if _, stderr := call(t, exitFailure, append(command, "-c", config)...); stderr != want {
			t.Errorf("%v says %s", command, stderr)
		}
		_, stderr := call(t, exitFailure, append(command, "-c", off)...)
		contains(t, stderr, "admin.listen is off in "+off)
		_, stderr = call(t, exitFailure, append(command, "-c", write(t, "messy.yaml", messy+"admin: {listen: \""+address+"\"}\n"))...)
		contains(t, stderr, "has 3 faults now, fanout check shows them", "no fanout runs at "+address)
		_, stderr = call(t, exitFailure, append(command, "-c", write(t, "broken.yaml", messy+"admin: [\n"))...)
		contains(t, stderr, "broken.yaml has 1 fault", "name it with --admin ADDRESS")
	}
}

// The README shows the table as it is: with TREND on a terminal, without it
// elsewhere.
func TestReadmeShowsTheTable(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	e := &env{terminal: func(io.Writer) bool { return false }}
	for command, width := range map[string]int{"status": 0, "status --watch": 500} {
		want := strings.Fields(e.groupTable(nil, width, time.Now())[0])
		_, shown, ok := strings.Cut(string(text), "fanout "+command+"\nGROUP")
		head, _, _ := strings.Cut(shown, "\n")
		if got := strings.Fields("GROUP" + head); !ok || !slices.Equal(got, want) {
			t.Errorf("the table of fanout %s has the columns\n%s\nand in the README\n%s", command, want, got)
		}
	}
}
