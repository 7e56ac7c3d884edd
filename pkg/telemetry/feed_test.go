package telemetry_test

import (
	"fmt"
	"sync"
	"testing"

	"example.com/fanout/pkg/telemetry"
)

func texts(events []telemetry.Event) string {
	all := ""
	for _, e := range events {
		all += e.Text + " "
	}
	return all
}

func TestFeed(t *testing.T) {
	t.Parallel()
	var feed telemetry.Feed
	for i := range 600 {
		feed.Say([]string{"a", "b"}[i%2], telemetry.EventState, "%d", i)
	}
	if got := feed.Recent("", 1000); len(got) != 500 || got[0].Text != "100" || got[499].Text != "599" || got[0].At.IsZero() {
		t.Errorf("%d events are kept", len(got))
	}
	if got := texts(feed.Recent("b", 2)); got != "597 599 " {
		t.Errorf("the newest of b are %s", got)
	}
	follower := feed.Follow("a", 1)
	defer follower.Close()
	<-follower.Ready()
	if got, dropped := follower.Next(); texts(got) != "598 " || dropped != 0 {
		t.Errorf("at first come %s", texts(got))
	}
	feed.Say("b", telemetry.EventState, "not for a")
	feed.Say("", telemetry.EventReload, "nor this")
	feed.Say("a", telemetry.EventState, "for a")
	<-follower.Ready()
	if got, dropped := follower.Next(); texts(got) != "for a " || dropped != 0 {
		t.Errorf("then come %s", texts(got))
	}
	select {
	case <-follower.Ready():
		t.Error("nothing waits, and it is ready")
	default:
	}
}

// Who does not keep up misses the oldest events and hears how many; the others
// notice nothing.
func TestFeedDrops(t *testing.T) {
	t.Parallel()
	var feed telemetry.Feed
	slow, gone := feed.Follow("", 0), feed.Follow("", 0)
	gone.Close()
	for i := range 1000 {
		feed.Say("a", telemetry.EventState, "%d", i)
	}
	events, dropped := slow.Next()
	if len(events) != 256 || dropped != 744 || events[0].Text != "744" || events[255].Text != "999" {
		t.Errorf("%d events from %s on, %d dropped", len(events), events[0].Text, dropped)
	}
	if events, dropped := slow.Next(); len(events)+int(dropped) != 0 {
		t.Errorf("%d events and %d dropped are told twice", len(events), dropped)
	}
	if events, _ := gone.Next(); len(events) > 0 {
		t.Error("one that has ended still gets events")
	}
}

func TestFeedOfNobody(t *testing.T) {
	t.Parallel()
	var feed *telemetry.Feed
	feed.Say("a", telemetry.EventState, "into the void")
	feed.Publish(telemetry.Event{})
}

// All that is published comes in order, or is counted, whatever happens at
// once.
func TestFeedAtOnce(t *testing.T) {
	t.Parallel()
	const writers, each = 4, 500
	var (
		feed    telemetry.Feed
		writing sync.WaitGroup
		reading sync.WaitGroup
	)
	done := make(chan struct{})
	for range 3 {
		follower := feed.Follow("", 0)
		reading.Go(func() {
			defer follower.Close()
			seen, last := 0, map[string]int{}
			take := func() {
				events, dropped := follower.Next()
				seen += len(events) + int(dropped)
				for _, e := range events {
					var n int
					if _, err := fmt.Sscan(e.Text, &n); err != nil || n < last[e.Group] {
						t.Errorf("%s of %s comes after %d: %v", e.Text, e.Group, last[e.Group], err)
					}
					last[e.Group] = n
				}
			}
			for {
				select {
				case <-follower.Ready():
					take()
				case <-done:
					take()
					if seen != writers*each {
						t.Errorf("%d events came or were counted, want %d", seen, writers*each)
					}
					return
				}
			}
		})
	}
	for w := range writers {
		writing.Go(func() {
			for i := range each {
				feed.Say(fmt.Sprint(w), telemetry.EventState, "%d", i)
			}
		})
	}
	writing.Wait()
	close(done)
	reading.Wait()
}
