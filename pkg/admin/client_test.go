package admin_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/fanout/pkg/admin"
	"example.com/fanout/pkg/stream"
	"example.com/fanout/pkg/telemetry"
)

func TestClient(t *testing.T) {
	t.Parallel()
	at := time.Date(2025, 11, 23, 10, 32, 0, 0, time.UTC)
	want := admin.GroupStatus{
		Name: "analytics", RedisGroup: "an", Stream: "events_stream", Handler: "window", Signal: "35",
		State: telemetry.StateTripped, Since: at, Incarnation: 7,
		Restarts: map[string]int64{"failed": 6}, LastRestart: &admin.Restart{Cause: "failed", At: at},
		NextRetry: &at, LastError: &admin.Failure{Error: "boom", At: at}, LastSuccess: &at,
		Errors: []admin.ErrorCount{{Kind: "handler", Error: "boom", Count: 3, First: at, Last: at}}, DeadLetters: new(int64(8)),
		Problems: []string{"dead letters full"},
		Read:     map[string]int64{"new": 9007199254740993}, Settled: map[string]int64{"acked": 1}, Lost: map[string]int64{},
		Losses: []admin.Loss{
			admin.LossOf(stream.Loss{Reason: stream.LossTrimmed, Certain: true, Entries: 3, First: stream.ID{Ms: 5, Seq: 1}, Last: stream.ID{Ms: 9}, At: at}),
			admin.LossOf(stream.Loss{Reason: stream.LossGroupMissing, Entries: stream.Unknown, RepeatsFrom: stream.ID{Ms: 1}, RepeatsTo: stream.ID{Ms: 2}, At: at, Note: "why"}),
		},
		Filtered: 1, Retrying: 2, InFlight: 3, StuckCalls: 4, AbandonedCalls: 5,
		Verdict:        admin.Verdict{Code: telemetry.VerdictTripped, Since: at, Why: "it failed too often", Do: "mend it"},
		Breaker:        &admin.Breaker{Since: at, Error: "refused", Next: &at},
		Rates:          admin.Rates{TenSeconds: admin.Rate{Read: new(1.5)}, OneMinute: admin.Rate{Settled: new(0.0), Added: new(2.0)}},
		LatestRestarts: []admin.Restart{{Cause: "failed", Error: "boom", At: at}}, Server: "redis 7.0.15",
		Backlog: new(int64(7)), BacklogHistory: []*float64{new(1.0), nil, new(7.0)}, DrainSeconds: new(12.5),
		ObservedAt: &at, StreamLength: 6, Pending: 7, OldestPendingSeconds: new(1.5), Lag: new(int64(0)), LagKnown: true, LagSeconds: new(0.0),
		Consumers: []admin.ConsumerStatus{{Name: "host-0", State: "reading", Pending: new(int64(1)), InFlight: 1, Connection: &admin.Connection{ID: 7, Addr: "127.0.0.1:5"}, LastActivity: &at}},
	}
	f := running("persistence", "a/b c")
	f.groups = append(f.groups, want)
	addr := serve(t, f)

	for _, form := range []string{addr, "http://" + addr, "http://" + addr + "/"} {
		client := admin.NewClient(form)
		groups, err := client.Groups(t.Context())
		if err != nil || len(groups) != 3 {
			t.Fatalf("Groups() at %s = %v, %v", form, groups, err)
		}
		got, err := client.Group(t.Context(), "analytics")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("status changed on its way (-want +got):\n%s", diff)
		}
	}

	client := admin.NewClient(addr)
	for _, name := range []string{"analytics", "a/b c"} {
		if err := client.Restart(t.Context(), name); err != nil {
			t.Errorf("Restart(%q): %v", name, err)
		}
	}
	if got := f.restarts(); got != "analytics a/b c" {
		t.Errorf("restarted %q", got)
	}
}

func TestClientUnknownGroup(t *testing.T) {
	t.Parallel()
	client := admin.NewClient(serve(t, running("analytics")))
	for name, hint := range map[string]string{
		"analytic": "did you mean analytics?", "x": "the groups are analytics", "": "", ".": "", "..": "", "../groups": "", "a?b#c": "",
	} {
		_, showErr := client.Group(t.Context(), name)
		for _, err := range []error{showErr, client.Restart(t.Context(), name)} {
			if !errors.Is(err, admin.ErrUnknownGroup) || !strings.Contains(err.Error(), hint) {
				t.Errorf("group %q: %v, want an unknown group and %q", name, err, hint)
			}
		}
	}

	f := running("analytics")
	f.restartErr = errors.New("group is draining")
	err := admin.NewClient(serve(t, f)).Restart(t.Context(), "analytics")
	var answer *admin.Error
	if !errors.As(err, &answer) || answer.Status != 409 || errors.Is(err, admin.ErrUnknownGroup) || !strings.Contains(err.Error(), "group is draining") {
		t.Errorf("a refused restart is %v", err)
	}
}

func TestClientErrorsSayWhatToDo(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free := l.Addr().String()
	l.Close()

	other := func(h http.HandlerFunc) string {
		s := httptest.NewServer(h)
		t.Cleanup(s.Close)
		return s.URL
	}
	html := other(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) })
	broken := other(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "oops", http.StatusBadGateway) })
	away := other(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "http://"+free, http.StatusFound) })
	cut := other(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })

	for addr, want := range map[string]string{
		free:                 "no fanout runs at " + free + "; start it with fanout run, or name the address with --admin",
		html:                 "is not fanout",
		broken:               "is not fanout",
		away:                 "is not fanout",
		cut:                  "name the address with --admin",
		"127.0.0.1:port":     "admin address",
		"http://bad host/":   "admin address",
		"gopher://127.0.0.1": "name the address with --admin",
	} {
		_, err := admin.NewClient(addr).Groups(t.Context())
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("at %s: %v, want %q", addr, err, want)
		}
	}
}

func TestClientStops(t *testing.T) {
	t.Parallel()
	reached := make(chan struct{}, 2)
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		reached <- struct{}{}
		<-r.Context().Done()
	}))
	t.Cleanup(silent.Close)
	client := admin.NewClient(silent.URL)

	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-reached; cancel() }()
	if _, err := client.Groups(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled call is %v", err)
	}

	ctx, cancel = context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := client.Groups(ctx); err == nil || !strings.Contains(err.Error(), "does not answer") {
		t.Errorf("a call without answer is %v", err)
	}
}
