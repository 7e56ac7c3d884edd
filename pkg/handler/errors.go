package handler

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// BatchError settles the deliveries of a batch that it does not name.
type BatchError struct {
	// Failed holds an error, marked or not, for each failed index of
	// Batch.Deliveries.
	Failed map[int]error
}

func (e *BatchError) Error() string {
	if len(e.Failed) == 0 {
		return "batch failed without naming a delivery"
	}
	first := slices.Min(slices.Collect(maps.Keys(e.Failed)))
	return fmt.Sprintf("failed deliveries: %d, the first: %v", len(e.Failed), e.Failed[first])
}

// Unwrap gives the named errors in order of their index.
func (e *BatchError) Unwrap() []error {
	errs := make([]error, 0, len(e.Failed))
	for _, i := range slices.Sorted(maps.Keys(e.Failed)) {
		errs = append(errs, e.Failed[i])
	}
	return errs
}

// Fail names delivery i. The first error of an index stays; nil names nothing.
func (e *BatchError) Fail(i int, err error) {
	if err == nil {
		return
	}
	if e.Failed == nil {
		e.Failed = map[int]error{}
	}
	if _, ok := e.Failed[i]; !ok {
		e.Failed[i] = err
	}
}

// Err returns e, or nil when it names nothing.
func (e *BatchError) Err() error {
	if e == nil || len(e.Failed) == 0 {
		return nil
	}
	return e
}

// Mark is what an error says about trying again.
type Mark uint8

// The marks.
const (
	Unmarked        Mark = iota // counts an attempt, retried until the policy is spent
	MarkPermanent               // never tried again: bury now
	MarkUnavailable             // the sink is down: hold and retry, count nothing
)

type marked struct {
	err   error
	mark  Mark
	after time.Duration
}

func (m *marked) Error() string { return m.err.Error() }
func (m *marked) Unwrap() error { return m.err }

// Permanent marks err as one that no retry can mend: the deliveries that it
// stands for are buried at once. Permanent(nil) is nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &marked{err: err, mark: MarkPermanent}
}

// Unavailable marks err as the sink being down: it says nothing about the
// deliveries. They are held and tried again for as long as it takes, no
// attempt is counted and nothing is buried. Unavailable(nil) is nil.
func Unavailable(err error) error {
	if err == nil {
		return nil
	}
	return &marked{err: err, mark: MarkUnavailable}
}

// RetryAfter asks that err's deliveries are not tried again before d has
// passed; the group's max_backoff caps it. It keeps err's mark.
// RetryAfter(nil, d) is nil.
func RetryAfter(err error, d time.Duration) error {
	if err == nil {
		return nil
	}
	return &marked{err: err, after: d}
}

// MarkOf returns the outermost mark of err, of joined errors the first. The
// marks inside a *[BatchError] belong to the deliveries that it names: it has a
// mark itself only when all of them have the same.
func MarkOf(err error) Mark {
	switch e := err.(type) {
	case *marked:
		if e.mark != Unmarked {
			return e.mark
		}
		return MarkOf(e.err)
	case *BatchError:
		return e.commonMark()
	case interface{ Unwrap() error }:
		return MarkOf(e.Unwrap())
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			if mark := MarkOf(inner); mark != Unmarked {
				return mark
			}
		}
	}
	return Unmarked
}

func (e *BatchError) commonMark() Mark {
	marks := map[Mark]bool{}
	for _, inner := range e.Failed {
		marks[MarkOf(inner)] = true
	}
	if len(marks) == 1 {
		for mark := range marks {
			return mark
		}
	}
	return Unmarked
}

// RetryAfterOf returns the delay that [RetryAfter] asked for, 0 for none: the
// outermost one, of joined errors and of a *[BatchError] the greatest.
func RetryAfterOf(err error) time.Duration {
	switch e := err.(type) {
	case *marked:
		if e.after > 0 {
			return e.after
		}
		return RetryAfterOf(e.err)
	case interface{ Unwrap() error }:
		return RetryAfterOf(e.Unwrap())
	case interface{ Unwrap() []error }:
		var most time.Duration
		for _, inner := range e.Unwrap() {
			most = max(most, RetryAfterOf(inner))
		}
		return most
	}
	return 0
}
