package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/fanout/pkg/admin"
	"example.com/fanout/pkg/stream"
	"example.com/fanout/pkg/telemetry"
)

// fakeOperator answers what a test sets.
type fakeOperator struct {
	state string // after a verb
	seek  admin.Seek
	pages int // of two entries each

	mu    sync.Mutex
	asked []string
}

func (f *fakeOperator) ask(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, fmt.Sprintf(format, args...))
}

func (f *fakeOperator) Steer(_ context.Context, group string, verb admin.Verb, by string) (admin.GroupStatus, error) {
	f.ask("%s %s", verb, group)
	return admin.GroupStatus{Name: group, State: f.state, LastError: &admin.Failure{Error: "no such \x1btable"}}, nil
}

func (f *fakeOperator) Position(context.Context, string) (admin.Position, error) {
	return admin.Position{Group: "g"}, nil
}

func (f *fakeOperator) Seek(_ context.Context, _ string, r admin.SeekRequest) (admin.Seek, error) {
	f.ask("%+v", r)
	s := f.seek
	s.DryRun, s.Rebuild = r.DryRun, r.Rebuild
	return s, nil
}

func (f *fakeOperator) Pending(_ context.Context, group string, q admin.PendingQuery) (admin.PendingPage, error) {
	f.ask("%s %d", q.After, q.Limit)
	page := admin.PendingPage{Group: group, Total: int64(2 * f.pages), Oldest: &stream.ID{}, Newest: &stream.ID{}}
	for i := range uint64(min(2, q.Limit)) {
		page.Entries = append(page.Entries, admin.PendingEntry{ID: stream.ID{Ms: q.After.Ms + i + 1}, Consumer: "c\x1b", IdleSeconds: 61, Deliveries: 3})
	}
	if last := page.Entries[len(page.Entries)-1].ID; last.Ms < uint64(2*f.pages) {
		page.Next = &last
	}
	return page, nil
}

func (f *fakeOperator) Explain(_ context.Context, id stream.ID, _ string) (admin.Explanation, error) {
	return admin.Explanation{ID: id, Streams: []admin.StreamOfID{{Stream: "s", There: true}}, Groups: []admin.EntryInGroup{
		{Group: "g", State: admin.EntryDead, Detail: "dead letter 9-0", Reason: "bad \x1b[31mevent"},
		{RedisGroup: "other", State: admin.EntryWaiting, Detail: "comes to it"},
	}}, nil
}

func (f *fakeOperator) serve(t *testing.T) string {
	t.Helper()
	l, err := admin.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- admin.New(admin.Config{Controller: someGroups(), Operator: f}).Serve(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

// A verb that the group does not take well is a failure with the reason.
func TestSteer(t *testing.T) {
	t.Parallel()
	for _, verb := range []string{"pause", "resume", "stop", "start"} {
		f := &fakeOperator{state: telemetry.StateRunning}
		address := f.serve(t)
		stdout, _ := call(t, exitOK, verb, "g", "--admin", address)
		if stdout != "g is running\n" || strings.Join(f.asked, " ") != verb+" g" {
			t.Errorf("asked %q: %s", f.asked, stdout)
		}
		f.state = telemetry.StateTripped
		_, stderr := call(t, exitFailure, verb, "g", "--admin", address)
		contains(t, stderr, `no such \x1btable; see fanout status g`)
		call(t, exitUsage, verb, "--admin", address)
	}
}

// A rebuild asks, after it has said what it would do; anything but yes changes
// nothing.
func TestRebuildAsks(t *testing.T) {
	t.Parallel()
	f := &fakeOperator{seek: admin.Seek{Group: "g", From: &stream.ID{Ms: 7}, Repeats: 5, Exact: true, Notes: []string{"what g has is deleted"}}}
	address := f.serve(t)
	_, stderr := call(t, exitUsage, "seek", "g", "--rebuild", "--admin", address)
	contains(t, stderr, "cannot ask here: add --yes")
	for answer, code := range map[string]int{"": exitFailure, "y\n": exitFailure, "yes\n": exitOK} {
		f.asked = nil
		c := &caller{terminal: true}
		e := c.newEnv()
		e.in = struct {
			io.Reader
			io.Writer
		}{strings.NewReader(answer), io.Discard}
		got := e.run(t.Context(), []string{"seek", "g", "--rebuild", "--admin", address})
		out := c.out.String() + c.err.String()
		contains(t, out, "g would go on with the first entry; it stood at 7-0", "repeats 5 entries", "what g has is deleted", "delete what g has stored? type yes: ")
		if asked := len(f.asked); got != code || asked != 1 && code != exitOK || asked != 2 && code == exitOK {
			t.Errorf("answer %q: exit code %d, %d requests: %s", answer, got, asked, out)
		}
	}
	f.asked = nil
	call(t, exitOK, "seek", "g", "--rebuild", "--yes", "--admin", address)
	if len(f.asked) != 1 {
		t.Errorf("asked %q", f.asked)
	}
}

func TestSeekPrints(t *testing.T) {
	t.Parallel()
	day := time.Date(2025, 11, 23, 0, 0, 0, 0, time.Local)
	f := &fakeOperator{seek: admin.Seek{Group: "g", To: stream.ID{Ms: uint64(day.UnixMilli())}.Prev(), Skips: 1, Exact: false, Notes: []string{"a\x1bnote"}}}
	address := f.serve(t)
	stdout, _ := call(t, exitOK, "seek", "g", "--to", "2025-11-23", "--admin", address)
	contains(t, stdout, "g goes on with the first entry from 2025-11-23 00:00:00 on; it was missing in Redis\n", "  skips more than 1 entry\n", `  a\x1bnote`)
	if want := "{To:" + day.Format(time.RFC3339) + " DryRun:false Rebuild:false}"; f.asked[0] != want {
		t.Errorf("asked for %s, want %s", f.asked[0], want)
	}
	stdout, _ = call(t, exitOK, "seek", "g", "--admin", address)
	contains(t, stdout, "g: Redis does not have the group")
}

// pending asks for page after page until it has what it wants.
func TestPendingPages(t *testing.T) {
	t.Parallel()
	f := &fakeOperator{pages: 3}
	address := f.serve(t)
	stdout, _ := call(t, exitOK, "pending", "g", "--admin", address)
	contains(t, stdout, "g has 6 entries pending", `6-0    c\x1b     1m01s           3`)
	if got := strings.Join(f.asked, ", "); got != "0-0 100, 2-0 98, 4-0 96" {
		t.Errorf("asked for %s", got)
	}
	f.asked = nil
	stdout, _ = call(t, exitOK, "pending", "g", "--limit", "3", "--admin", address)
	contains(t, stdout, "there may be more; --limit 0 shows all")
	if got := strings.Join(f.asked, ", "); got != "0-0 3, 2-0 1" || strings.Contains(stdout, "4-0") {
		t.Errorf("asked for %s: %s", got, stdout)
	}
	call(t, exitUsage, "pending", "g", "--limit", "-1", "--admin", address)
}

func TestExplainPrints(t *testing.T) {
	t.Parallel()
	stdout, _ := call(t, exitOK, "explain", "5-0", "--admin", (&fakeOperator{}).serve(t))
	want := "5-0 in s: is in the stream\n" +
		"GROUP                        STATE          DETAIL\n" +
		"g                            dead           dead letter 9-0: bad \\x1b[31mevent\n" +
		"other (not in the manifest)  not delivered  comes to it\n"
	if stdout != want {
		t.Errorf("got:\n%s\nwant:\n%s", stdout, want)
	}
}
