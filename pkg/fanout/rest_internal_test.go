package fanout

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"example.com/fanout/pkg/stream"
)

// A rest lasts two seconds; something that is read ends it at the next second,
// and what has stirred one rest does not end the next one.
func TestRestIsStirred(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &Fanout{began: time.Now()}
		r := slumber{stirred: make(chan struct{}, 1)}
		r.stir() // nobody rests
		rest := func(stirAfter time.Duration) time.Duration {
			began := time.Now()
			if stirAfter > 0 {
				time.AfterFunc(stirAfter, func() { r.stir(); r.stir() })
			}
			if !r.wait(t.Context(), f.together) {
				t.Fatal("a rest that was not cut short says that it was")
			}
			if r.is() {
				t.Error("it rests after its rest")
			}
			return time.Since(began)
		}
		for _, c := range []struct{ stirAfter, want time.Duration }{
			{0, 2 * time.Second},
			{300 * time.Millisecond, time.Second},
			{0, time.Second}, // up to the moment that is common to all
			{1300 * time.Millisecond, 2 * time.Second},
			{0, 2 * time.Second},
		} {
			if got := rest(c.stirAfter); got != c.want {
				t.Errorf("stirred after %v: rested for %v, want %v", c.stirAfter, got, c.want)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if r.wait(ctx, f.together) {
			t.Error("a rest that was cut short says that it was not")
		}
	})
}

func TestAtRest(t *testing.T) {
	t.Parallel()
	id := stream.ID{Ms: 5}
	for name, c := range map[string]struct {
		info *stream.GroupInfo
		want bool
	}{
		"unknown":   {nil, false},
		"empty":     {&stream.GroupInfo{}, true},
		"settled":   {&stream.GroupInfo{LastDelivered: id, LastGenerated: id}, true},
		"pending":   {&stream.GroupInfo{LastDelivered: id, LastGenerated: id, Pending: 1}, false},
		"unread":    {&stream.GroupInfo{LastGenerated: id}, false},
		"read past": {&stream.GroupInfo{LastDelivered: id}, true},
	} {
		if got := atRest(c.info); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// The second that was left out at rest is in the window, as long as nothing tells
// that it was another one.
func TestWindowHasTheSecondsOfRest(t *testing.T) {
	t.Parallel()
	began := time.Unix(1000, 0)
	at := func(seconds int) sample { return sample{at: began.Add(time.Duration(seconds) * time.Second)} }
	moved := at(2)
	moved.settled = 1
	works := at(2)
	works.waits = true
	for name, c := range map[string]struct {
		next sample
		want int
	}{
		"rest":         {at(2), 3},
		"a second":     {at(1), 2},
		"a long break": {at(5), 2},
		"moved":        {moved, 2},
		"works":        {works, 2},
	} {
		w := window(nil).addRested(at(0)).addRested(c.next)
		if len(w) != c.want {
			t.Errorf("%s: %d samples, want %d", name, len(w), c.want)
		}
		if len(w) == 3 && !w[1].at.Equal(began.Add(time.Second)) {
			t.Errorf("%s: the second is at %v", name, w[1].at)
		}
	}
}
