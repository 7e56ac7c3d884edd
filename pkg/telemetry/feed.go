package telemetry

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

// Event is something that an operator may want to know of at once: that a group
// changed its state, that its sink went away, that entries were lost.
type Event struct {
	At    time.Time `json:"time"`
	Group string    `json:"group"` // "" for the whole process
	Kind  string    `json:"kind"`  // one of the Event constants
	Text  string    `json:"text"`  // for people, in one line; parts of it come from others
}

// Kinds of events.
const (
	EventState       = "state"        // of a group
	EventRestart     = "restart"      //
	EventVerdict     = "verdict"      // on a group has changed
	EventSinkDown    = "sink-down"    //
	EventSinkUp      = "sink-up"      //
	EventLoss        = "loss"         // Redis lost entries
	EventDeadLetters = "dead-letters" // were written, a line for each second with some
	EventError       = "error"        // of a handler, of Redis, of a group itself
	EventReload      = "reload"       // of the manifest, done or refused
)

// Feed hands events to whoever follows them, and keeps the newest ones. It is
// safe for concurrent use; a nil Feed takes events and forgets them.
//
//   - Publish never waits: a follower that does not keep up loses its oldest
//     events and is told how many.
//   - Followers see events in the order of Publish.
type Feed struct {
	mu        sync.Mutex
	recent    []Event // at most recentEvents, oldest first
	followers map[*Follower]struct{}
}

// recentEvents is how many events a Feed keeps.
const recentEvents = 500

// Publish adds an event; a zero time is now.
func (f *Feed) Publish(e Event) {
	if f == nil {
		return
	}
	if e.At.IsZero() {
		e.At = time.Now()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.recent) == recentEvents {
		f.recent = slices.Delete(f.recent, 0, 1)
	}
	f.recent = append(f.recent, e)
	for follower := range f.followers {
		follower.push(e)
	}
}

// Say is Publish with a text that is put together.
func (f *Feed) Say(group, kind, format string, args ...any) {
	if f != nil {
		f.Publish(Event{Group: group, Kind: kind, Text: fmt.Sprintf(format, args...)})
	}
}

// Recent returns the newest events of a group, oldest first, at most limit of
// them; "" is all groups and the process.
func (f *Feed) Recent(group string, limit int) []Event {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.newest(group, limit)
}

func (f *Feed) newest(group string, limit int) []Event {
	var found []Event
	for i := len(f.recent) - 1; i >= 0 && len(found) < limit; i-- {
		if e := f.recent[i]; group == "" || e.Group == group {
			found = append(found, e)
		}
	}
	slices.Reverse(found)
	return found
}

// Follow returns the events of a group from now on, after at most recent of the
// newest ones; "" is all groups and the process. The Follower must be closed.
func (f *Feed) Follow(group string, recent int) *Follower {
	f.mu.Lock()
	defer f.mu.Unlock()
	follower := &Follower{feed: f, group: group, waiting: f.newest(group, min(recent, maxWaiting)), ready: make(chan struct{}, 1)}
	if len(follower.waiting) > 0 {
		follower.ready <- struct{}{}
	}
	if f.followers == nil {
		f.followers = map[*Follower]struct{}{}
	}
	f.followers[follower] = struct{}{}
	return follower
}

// maxWaiting bounds the events that wait for one follower.
const maxWaiting = 256

// Follower gets the events of a Feed.
type Follower struct {
	feed  *Feed
	group string
	ready chan struct{} // capacity 1: something waits

	mu      sync.Mutex
	waiting []Event // at most maxWaiting
	dropped int64   // since Next was last called
}

func (f *Follower) push(e Event) {
	if f.group != "" && f.group != e.Group {
		return
	}
	f.mu.Lock()
	if len(f.waiting) == maxWaiting {
		f.waiting = slices.Delete(f.waiting, 0, 1)
		f.dropped++
	}
	f.waiting = append(f.waiting, e)
	f.mu.Unlock()
	select {
	case f.ready <- struct{}{}:
	default:
	}
}

// Ready gives a value when Next has something.
func (f *Follower) Ready() <-chan struct{} { return f.ready }

// Next returns all events that wait, and how many before them were dropped
// because too many waited.
func (f *Follower) Next() (events []Event, dropped int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	events, dropped = f.waiting, f.dropped
	f.waiting, f.dropped = nil, 0
	return events, dropped
}

// Close ends the following.
func (f *Follower) Close() {
	f.feed.mu.Lock()
	defer f.feed.mu.Unlock()
	delete(f.feed.followers, f)
}
