package admin_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"example.com/fanout/pkg/admin"
	"example.com/fanout/pkg/stream"
	"example.com/fanout/pkg/telemetry"
)

// fakeOperator has one group, g, that takes its time to rest.
type fakeOperator struct {
	err   error
	tries atomic.Int32 // of Steer that run out of time before one is done
	asked atomic.Value // string
}

func (f *fakeOperator) Steer(ctx context.Context, group string, verb admin.Verb, by string) (admin.GroupStatus, error) {
	f.asked.Store(fmt.Sprint(verb, " ", group, " by ", by))
	switch {
	case group != "g":
		return admin.GroupStatus{}, admin.ErrUnknownGroup
	case f.err != nil:
		return admin.GroupStatus{}, f.err
	case f.tries.Add(-1) >= 0:
		<-ctx.Done()
		return admin.GroupStatus{Name: group, State: telemetry.StateDraining}, ctx.Err()
	}
	return admin.GroupStatus{Name: group, State: telemetry.StatePaused}, nil
}

func (f *fakeOperator) Position(context.Context, string) (admin.Position, error) {
	return admin.Position{Group: "g", LastDelivered: &stream.ID{Ms: 7}}, f.err
}

func (f *fakeOperator) Seek(_ context.Context, group string, r admin.SeekRequest) (admin.Seek, error) {
	f.asked.Store(fmt.Sprint(group, " ", r))
	return admin.Seek{Group: group, To: stream.ID{Ms: 3}}, f.err
}

func (f *fakeOperator) Pending(_ context.Context, group string, q admin.PendingQuery) (admin.PendingPage, error) {
	f.asked.Store(fmt.Sprint(group, " ", q))
	return admin.PendingPage{Group: group, Next: &stream.ID{Ms: 9}}, f.err
}

func (f *fakeOperator) Explain(_ context.Context, id stream.ID, name string) (admin.Explanation, error) {
	f.asked.Store(fmt.Sprint(id, " ", name))
	return admin.Explanation{ID: id}, f.err
}

func TestOperator(t *testing.T) {
	t.Parallel()
	f := &fakeOperator{}
	c := admin.NewClient(serveWith(t, admin.Config{Controller: running("g"), Operator: f}))
	asked := func(want string, err error) {
		t.Helper()
		if got := f.asked.Load(); got != want || err != nil {
			t.Errorf("asked for %q, %v, want %q", got, err, want)
		}
	}
	for _, verb := range []admin.Verb{admin.Pause, admin.Resume, admin.Stop, admin.Start} {
		g, err := c.Steer(t.Context(), "g", verb, "a\x1b[1mb\n"+strings.Repeat("c", 200))
		asked(fmt.Sprintf("%s g by a [1mb %s", verb, strings.Repeat("c", 93)), err)
		if g.State != telemetry.StatePaused {
			t.Errorf("state %s", g.State)
		}
	}
	if _, err := c.Steer(t.Context(), "h", admin.Pause, ""); !errors.Is(err, admin.ErrUnknownGroup) {
		t.Errorf("another group: %v", err)
	}
	p, err := c.Position(t.Context(), "g")
	if err != nil || p.LastDelivered == nil || p.LastDelivered.Ms != 7 || p.Lag != nil {
		t.Errorf("position %+v, %v", p, err)
	}
	s, err := c.Seek(t.Context(), "g", admin.SeekRequest{To: "-1h", DryRun: true})
	asked("g {-1h true false}", err)
	if s.To.Ms != 3 || s.Notes == nil {
		t.Errorf("seek %+v", s)
	}
	page, err := c.Pending(t.Context(), "g", admin.PendingQuery{Consumer: "a b", MinIdle: 90 * time.Second, After: stream.ID{Ms: 1}, Limit: 3})
	asked("g {a b 1m30s 1-0 3}", err)
	if page.Next == nil || page.Entries == nil || page.Consumers == nil {
		t.Errorf("page %+v", page)
	}
	x, err := c.Explain(t.Context(), stream.ID{Ms: 5}, "a&b")
	asked("5-0 a&b", err)
	if x.Groups == nil {
		t.Errorf("explanation %+v", x)
	}

	f.err = &admin.Refused{Reason: "g is stopped", Hint: "start it"}
	var refused *admin.Error
	if _, err := c.Steer(t.Context(), "g", admin.Pause, ""); !errors.As(err, &refused) || refused.Status != 409 || refused.Hint != "start it" {
		t.Errorf("refused: %v", err)
	}
	f.err = errors.New("redis is away")
	if _, err := c.Position(t.Context(), "g"); !errors.As(err, &refused) || refused.Status != 502 || refused.Hint == "" {
		t.Errorf("an error of redis: %v", err)
	}
}

// What outlasts one request is asked for again, until the client has enough.
func TestSteerTakesLong(t *testing.T) {
	t.Parallel()
	f := &fakeOperator{}
	f.tries.Store(1)
	c := admin.NewClient(serveWith(t, admin.Config{Controller: running("g"), Operator: f}))
	began := time.Now()
	if g, err := c.Steer(t.Context(), "g", admin.Pause, ""); err != nil || g.State != telemetry.StatePaused {
		t.Errorf("state %s, %v", g.State, err)
	}
	if took := time.Since(began); took < 3*time.Second {
		t.Errorf("done after %v, want that it takes a request more", took)
	}
	f.tries.Store(100)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := c.Steer(ctx, "g", admin.Pause, ""); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the client's patience: %v", err)
	}
}
