package redisstream

import (
	"context"
	"sync/atomic"
	"time"
)

// lookout is the place from which one consumer of a group waits for new entries,
// while the others of this process wait for the place (the pattern Leader/Followers
// of Schmidt and others, 2000). Who has found something leaves it to another, who
// gets the next entries. With all of them waiting in Redis each entry of a burst
// would be an answer of its own, to a consumer of its own; one after the other they
// find all that has come since.
type lookout struct {
	place chan struct{} // capacity 1: holds an element while it is taken
	until atomic.Int64  // when whoever has it must have left, in Unix nanoseconds
	next  time.Time     // whoever has it does not ask before this
}

func newLookout() *lookout { return &lookout{place: make(chan struct{}, 1)} }

// take waits for the place for at most wait or until ctx is done. timer is one to be
// used for it, which is not running. It reports whether the caller is to wait in
// Redis, and whether it has the place: it has not where who has it is overdue.
func (l *lookout) take(ctx context.Context, timer *time.Timer, wait time.Duration) (goOn, taken bool) {
	select {
	case l.place <- struct{}{}:
		return true, true
	default:
	}
	if time.Now().UnixNano() > l.until.Load() {
		return true, false
	}
	timer.Reset(wait)
	defer timer.Stop()
	select {
	case l.place <- struct{}{}:
		return true, true
	case <-ctx.Done():
	case <-timer.C:
	}
	return false, false
}

// occupy begins the time after which the others go on all the same: a server that
// does not answer one consumer must not keep them from asking.
func (l *lookout) occupy() { l.until.Store(time.Now().Add(2 * longBlock).UnixNano()) }

func (l *lookout) leave() { <-l.place }

// rest waits for the next question's time. It reports false when ctx is done.
func (l *lookout) rest(ctx context.Context, timer *time.Timer) bool {
	wait := time.Until(l.next)
	if wait <= 0 {
		return true
	}
	timer.Reset(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
