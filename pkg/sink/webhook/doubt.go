package webhook

import "sync"

// maxDoubts bounds what is remembered. More entries than that do not fail at
// once in one process; an entry that is forgotten is merely held once more.
const maxDoubts = 4096

// doubts tells the fault of an event from the fault of the endpoint where the
// answer does not (a 500, no answer): it is the event's once another entry has
// succeeded since this one first failed. The zero value is ready; it is safe
// for concurrent use.
type doubts struct {
	mu        sync.Mutex
	successes uint64            // calls that succeeded, ever
	since     map[string]uint64 // event to successes when it first failed
}

// settled forgets events that will not come again, or were accepted.
func (d *doubts) settled(events []string, accepted bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if accepted {
		d.successes++
	}
	if len(d.since) == 0 {
		return
	}
	for _, e := range events {
		delete(d.since, e)
	}
}

// failed reports whether a call that failed for these events is their fault: an
// event that is still failing has not succeeded itself, so any success since
// its first failure was another's.
func (d *doubts) failed(events []string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	theirs := false
	for _, e := range events {
		if first, known := d.since[e]; known {
			theirs = theirs || d.successes > first
			continue
		}
		if d.since == nil {
			d.since = map[string]uint64{}
		}
		if len(d.since) >= maxDoubts {
			for some := range d.since {
				delete(d.since, some)
				break
			}
		}
		d.since[e] = d.successes
	}
	return theirs
}
