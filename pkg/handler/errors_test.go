package handler_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"example.com/fanout/pkg/handler"
)

var (
	errA = errors.New("a")
	errB = errors.New("b")
)

func named(failed map[int]error) *handler.BatchError { return &handler.BatchError{Failed: failed} }

func TestMarks(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		err   error
		mark  handler.Mark
		after time.Duration
	}{
		{"nil", nil, handler.Unmarked, 0},
		{"unmarked", errA, handler.Unmarked, 0},
		{"permanent", handler.Permanent(errA), handler.MarkPermanent, 0},
		{"unavailable", handler.Unavailable(errA), handler.MarkUnavailable, 0},
		{"wrapped", fmt.Errorf("write: %w", handler.Permanent(errA)), handler.MarkPermanent, 0},
		{"the outermost wins", handler.Permanent(fmt.Errorf("x: %w", handler.Unavailable(errA))), handler.MarkPermanent, 0},
		{"the other way round", handler.Unavailable(handler.Permanent(errA)), handler.MarkUnavailable, 0},
		{"joined: the first mark", errors.Join(errA, handler.Unavailable(errB), handler.Permanent(errB)), handler.MarkUnavailable, 0},

		{"later", handler.RetryAfter(errA, time.Second), handler.Unmarked, time.Second},
		{"later, marked inside", handler.RetryAfter(handler.Unavailable(errA), time.Second), handler.MarkUnavailable, time.Second},
		{"later, marked outside", handler.Unavailable(handler.RetryAfter(errA, time.Second)), handler.MarkUnavailable, time.Second},
		{"later, wrapped", fmt.Errorf("x: %w", handler.RetryAfter(fmt.Errorf("y: %w", handler.Permanent(errA)), 1)), handler.MarkPermanent, 1},
		{"later twice: the outermost", handler.RetryAfter(handler.RetryAfter(errA, 2), 1), handler.Unmarked, 1},
		{"later by nothing", handler.RetryAfter(handler.RetryAfter(errA, 2), 0), handler.Unmarked, 2},
		{"later by less than nothing", handler.RetryAfter(errA, -1), handler.Unmarked, 0},
		{"joined: the latest", errors.Join(handler.RetryAfter(errA, 2), handler.RetryAfter(errB, 3)), handler.Unmarked, 3},

		{"a batch, all the same", named(map[int]error{1: handler.Permanent(errA), 7: handler.Permanent(errB)}), handler.MarkPermanent, 0},
		{"a batch, not the same", named(map[int]error{1: handler.Permanent(errA), 7: errB}), handler.Unmarked, 0},
		{"a batch, two marks", named(map[int]error{1: handler.Permanent(errA), 7: handler.Unavailable(errB)}), handler.Unmarked, 0},
		{"a batch that names nothing", named(nil), handler.Unmarked, 0},
		{"a batch, wrapped and marked", handler.Unavailable(named(map[int]error{1: handler.Permanent(errA)})), handler.MarkUnavailable, 0},
		{"a batch, later", named(map[int]error{1: handler.RetryAfter(errA, 5), 7: handler.RetryAfter(errB, 4)}), handler.Unmarked, 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for range 20 { // maps have no order
				if got := handler.MarkOf(c.err); got != c.mark {
					t.Fatalf("mark %d, want %d", got, c.mark)
				}
				if got := handler.RetryAfterOf(c.err); got != c.after {
					t.Fatalf("retry after %s, want %s", got, c.after)
				}
			}
		})
	}
}

func TestMarksKeepTheError(t *testing.T) {
	t.Parallel()
	for name, err := range map[string]error{
		"permanent":   handler.Permanent(errA),
		"unavailable": handler.Unavailable(errA),
		"later":       handler.RetryAfter(errA, time.Second),
	} {
		if !errors.Is(err, errA) || err.Error() != "a" {
			t.Errorf("%s: %v is not the error that was marked", name, err)
		}
	}
	for name, err := range map[string]error{
		"permanent":   handler.Permanent(nil),
		"unavailable": handler.Unavailable(nil),
		"later":       handler.RetryAfter(nil, time.Second),
	} {
		if err != nil {
			t.Errorf("%s of nil is %v, want nil", name, err)
		}
	}
}

func TestBatchError(t *testing.T) {
	t.Parallel()
	var e handler.BatchError
	if err := e.Err(); err != nil {
		t.Errorf("an error that names nothing is %v, want nil", err)
	}
	if err := (*handler.BatchError)(nil).Err(); err != nil {
		t.Errorf("the error of nil is %v, want nil", err)
	}
	e.Fail(3, nil)
	if err := e.Err(); err != nil {
		t.Errorf("after Fail with nil it is %v, want nil", err)
	}
	e.Fail(7, errB)
	e.Fail(2, errA)
	e.Fail(2, errB)
	err := fmt.Errorf("write: %w", e.Err())
	var got *handler.BatchError
	if !errors.As(err, &got) || len(got.Failed) != 2 || got.Failed[2] != errA || got.Failed[7] != errB {
		t.Fatalf("%v names %v, want a at 2 and b at 7", err, got)
	}
	if errs := got.Unwrap(); !slices.Equal(errs, []error{errA, errB}) {
		t.Errorf("unwraps to %v, want a and b", errs)
	}
	if want := "write: failed deliveries: 2, the first: a"; err.Error() != want {
		t.Errorf("reads %q, want %q", err, want)
	}
	if !errors.Is(err, errA) || !errors.Is(err, errB) {
		t.Errorf("%v does not hold what it names", err)
	}
	if text := named(nil).Error(); text == "" {
		t.Errorf("an error that names nothing has no text")
	}
}
