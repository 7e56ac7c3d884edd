package integration

import (
	"testing"
	"time"

	"example.com/fanout/test/integration/faulty"
)

// One group fails in every way there is; the others finish everything
// meanwhile, and it finishes everything itself when it is healed.
func TestFaultStaysInItsGroup(t *testing.T) {
	t.Parallel()
	s := newSite(t).manifest(
		faultyGroup("bad", "batch: {size: 20}", "retry: {attempts: 1000000}") +
			faultyGroup("good") + rowsGroup)
	p := s.run().ready()

	faults := []struct {
		name    string
		verdict func(healed <-chan struct{}) faulty.Verdict
		shows   []string // the metric that shows the fault, with its label
	}{
		{"error", func(<-chan struct{}) faulty.Verdict {
			return faulty.Verdict{Act: faulty.Fail}
		}, []string{"fanout_handle_errors_total", `reason="error"`}},
		{"panic", func(<-chan struct{}) faulty.Verdict {
			return faulty.Verdict{Act: faulty.Panic}
		}, []string{"fanout_handle_errors_total", `reason="panic"`}},
		{"hang until the deadline", func(<-chan struct{}) faulty.Verdict {
			return faulty.Verdict{Hold: faulty.Never}
		}, []string{"fanout_handle_errors_total", `reason="timeout"`}},
		{"hang beyond the deadline", func(healed <-chan struct{}) faulty.Verdict {
			return faulty.Verdict{Hold: healed, Deaf: true}
		}, []string{"fanout_stuck_calls"}},
	}
	all := events(trades(2, 400*len(faults)))
	var ids []string
	for i, fault := range faults {
		healed := make(chan struct{})
		s.board.Tell("bad", fault.verdict(healed))
		ids = append(ids, s.publish(all[i*400:(i+1)*400]...)...)

		s.settled(15*time.Second, "good", "rows")
		labels := append([]string{`group="bad"`}, fault.shows[1:]...)
		p.above(0, fault.shows[0], labels...)
		p.alive()
		if len(s.pending("bad")) == 0 {
			t.Errorf("%s: nothing is pending in the group that fails", fault.name)
		}

		s.board.Tell("bad", faulty.Verdict{})
		close(healed)
		s.settled(20*time.Second, "bad")
	}
	s.onceEach("good", ids)
	s.all("bad", ids)
	s.rows("rows.db", "trades", len(ids))
	noLetters(t, s, "bad", "good", "rows")
	p.stop()
}
