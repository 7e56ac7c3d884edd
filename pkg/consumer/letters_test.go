package consumer_test

import (
	"testing"
	"time"

	"example.com/fanout/pkg/consumer"
	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/telemetry"
)

// TestLettersFull: while there is no room for dead letters a consumer holds what
// it would bury, takes no more, and goes on when there is room.
func TestLettersFull(t *testing.T) {
	bubble(t, func(r *rig) {
		r.server.LimitLetters(2)
		good := r.add(5)
		for range 4 {
			r.server.AddEvent(`{"truncated`)
		}
		c := r.start("c-0", &recorder{})
		time.Sleep(time.Second)
		r.wantAcked(good...)
		if n := len(r.server.Letters(groupName)); n != 2 {
			t.Errorf("%d letters, want 2", n)
		}
		if s := c.Status(); s.Hold.Kind != consumer.LettersFull || s.RedisError != "" || s.Hold.Since.IsZero() || s.Hold.Next.IsZero() {
			t.Errorf("status %+v, want it holding", s)
		}
		later := r.add(5)
		time.Sleep(time.Hour)
		if n := len(r.server.Pending(groupName)); n > 7 {
			t.Errorf("%d are taken", n)
		}
		r.server.LimitLetters(10)
		time.Sleep(6 * time.Second)
		if n := len(r.server.Letters(groupName)); n != 4 {
			t.Errorf("%d letters, want 4", n)
		}
		time.Sleep(time.Second)
		r.wantAcked(later...)
		if s := c.Status(); s.Hold != (consumer.Hold{}) {
			t.Errorf("status %+v, want no hold", s)
		}
		_ = c.stop(handler.ErrStopping)
		r.wantAccounted()
	})
}

// TestStopWithLettersFull gives back at once what finds no room.
func TestStopWithLettersFull(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cause error
		free  int
	}{
		"stop": {handler.ErrStopping, 2}, "restart": {errRestart, 0},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(r *rig) {
				r.server.LimitLetters(1)
				for range 3 {
					r.server.AddEvent(`{"truncated`)
				}
				running := r.start("c-0", &recorder{})
				time.Sleep(time.Second)
				began := time.Now()
				if err := running.stop(c.cause); err != nil {
					t.Error(err)
				}
				if took := time.Since(began); took > time.Millisecond {
					t.Errorf("the stop took %s", took)
				}
				r.wantSettled(telemetry.Released, 2)
				r.wantAccounted()
				if got := r.steal(time.Hour); len(got) != c.free {
					t.Errorf("claimable at once: %v, want %d", got, c.free)
				}
			})
		})
	}
}
