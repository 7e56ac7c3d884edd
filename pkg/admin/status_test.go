package admin_test

import (
	"fmt"
	"testing"
	"time"

	"example.com/fanout/pkg/admin"
	"example.com/fanout/pkg/stream"
	"example.com/fanout/pkg/telemetry"
)

func TestCount(t *testing.T) {
	t.Parallel()
	g := telemetry.NewMetrics("dev").Group("g", "s", "log")
	at := time.Unix(1_763_856_000, 0)
	g.SetState(telemetry.StateRunning)
	g.Restarted(telemetry.CauseSignal)
	g.Read[stream.New].Add(10)
	g.Read[stream.Replayed].Add(1)
	g.Settled[telemetry.Acked].Add(8)
	g.Settled[telemetry.LeaseLost].Add(1)
	g.Lost[telemetry.LostTrimmed].Add(4)
	g.Filtered.Add(3)
	g.InFlight.Set(2)
	g.Retrying.Set(1)
	g.Pending.Set(2)
	g.StreamLength.Set(100)
	g.StuckCalls.Set(1)
	g.AbandonedCalls.Set(5)
	g.OldestPending.Set(1.5)
	g.Lag.Set(0)
	g.LastSuccess.Set(at)

	var s admin.GroupStatus
	s.Count(g)
	for _, tt := range []struct{ what, got, want string }{
		{"state", s.State, "running"},
		{"restarts", fmt.Sprint(s.Restarts), "map[signal:1]"},
		{"read", fmt.Sprint(s.Read), "map[claimed:0 new:10 own:0 replayed:1 stranded:0]"},
		{"settled", fmt.Sprint(s.Settled), "map[acked:8 buried:0 lease_lost:1 released:0 vanished:0]"},
		{"lost", fmt.Sprint(s.Lost), "map[deleted:0 group_missing:0 rolled_back:0 trimmed:4]"},
		{"numbers", fmt.Sprint(s.Filtered, s.InFlight, s.Retrying, s.Pending, s.StreamLength, s.StuckCalls, s.AbandonedCalls), "3 2 1 2 100 1 5"},
		{"oldest pending", fmt.Sprint(*s.OldestPendingSeconds), "1.5"},
		{"lag", fmt.Sprint(*s.Lag, s.LagKnown), "0 true"},
		{"last success", fmt.Sprint(s.LastSuccess.Equal(at)), "true"},
	} {
		if tt.got != tt.want {
			t.Errorf("%s is %s, want %s", tt.what, tt.got, tt.want)
		}
	}
	if s.LagSeconds != nil {
		t.Errorf("lag in seconds is %v, want unknown", *s.LagSeconds)
	}

	g.Lag.SetUnknown()
	if s.Count(g); s.Lag != nil || s.LagKnown {
		t.Error("a lag that became unknown is still there")
	}
}
