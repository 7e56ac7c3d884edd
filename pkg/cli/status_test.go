package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
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
			Consumers: []admin.ConsumerStatus{{Name: "host-0", State: "reading", InFlight: 10}},
		},
		{
			Name: "notifications", RedisGroup: "notifications", Stream: "events_stream", Handler: "webhook",
			State: telemetry.StateTripped, Since: now.Add(-3 * time.Hour),
			LastError: &admin.Failure{Error: "no such \x1b[31mtable\nand more", At: now.Add(-5 * time.Second)},
			Problems:  []string{"sink unavailable"},
		},
	}}
}

func TestStatus(t *testing.T) {
	t.Parallel()
	address := someGroups().serve(t)
	table, _ := call(t, exitOK, "status", "--admin", address)
	lines := strings.Split(table, "\n")
	for i, want := range []string{
		"GROUP          STATE    SINCE      LAG  PENDING  READ  SETTLED  DEAD  RESTARTS",
		"analytics      running  1m05s       12       10  5012     4995     2         1",
		"notifications  tripped  3h00m  unknown  unknown     0        0     0         0",
		"notifications: tripped since ",
		"notifications: sink unavailable",
		"notifications: last error 5s ago: no such \\x1b[31mtable",
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
		"analytics: running since 1m05s\n",
		"  handler      window\n", "  stream       events_stream, as group analytics\n", "  signal       35\n",
		"  incarnation  2, restarted 1m05s ago (signal)\n", "  lag          12\n", "  pending      10\n",
		"  in flight    10, 0 of them wait for a retry\n", "  read         5012 (claimed 12, new 5000)\n",
		"  settled      5002 (acked 4990, buried 2, released 7, vanished 3)\n", "  consumer     host-0 reading, in flight 10\n",
	} {
		contains(t, text, want)
	}
	text, _ = call(t, exitOK, "status", "--admin", address, "notifications")
	contains(t, text, "notifications: tripped since 3h00m\n  tripped since ", "\n  sink unavailable\n", "\n  last error 5s ago: ", "  lag          unknown\n")

	_, stderr := call(t, exitFailure, "status", "--admin", address, "analytic")
	contains(t, stderr, `unknown group "analytic"`, "did you mean analytics?")
}

func TestStatusColours(t *testing.T) {
	t.Parallel()
	address := someGroups().serve(t)
	terminal := &caller{terminal: true}
	table, _ := terminal.call(t, exitOK, "status", "--admin", address)
	contains(t, table, green+"running"+plain+"  1m05s", red+"tripped"+plain)
	plainly := &caller{terminal: true, environ: map[string]string{"NO_COLOR": "1"}}
	if table, _ := plainly.call(t, exitOK, "status", "--admin", address); strings.Contains(table, "\x1b") {
		t.Errorf("colours in spite of NO_COLOR: %q", table)
	}
}

// The widest table that there can be fits a terminal of 100 columns.
func TestStatusFits(t *testing.T) {
	t.Parallel()
	for _, n := range []int64{0, 9_999_999, 10_000_000, 999_949_999, 123_456_789_012, 999_000_000_000_000} {
		now := time.Now()
		g := admin.GroupStatus{
			Name: strings.Repeat("long-", 12) + "end", State: telemetry.StateBackingOff, Since: now.Add(-47 * time.Hour),
			Read: map[string]int64{"new": n}, Settled: map[string]int64{"buried": n}, Restarts: map[string]int64{"failed": n},
			Pending: n, Lag: &n, ObservedAt: &now, Handler: strings.Repeat("h", 100), Stream: strings.Repeat("s", 100),
		}
		table, _ := call(t, exitOK, "status", "--admin", (&fakeGroups{groups: []admin.GroupStatus{g}}).serve(t))
		for _, line := range strings.Split(table, "\n")[:2] {
			if width := utf8.RuneCountInString(line); width > 100 {
				t.Errorf("%d columns: %s", width, line)
			}
		}
		contains(t, table, "long-long-lo…", "-long-end")
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
		_, stderr = call(t, exitFailure, append(command, "-c", write(t, "messy.yaml", messy))...)
		contains(t, stderr, "unknown key", "has 3 faults")
	}
}
