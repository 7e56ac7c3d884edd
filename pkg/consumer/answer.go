package consumer

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"example.com/fanout/pkg/handler"
)

// answer is what a call of the handler came to.
type answer struct {
	err   error         // nil: all of the batch is done
	named map[int]error // failures by index, the others are done; nil: err stands for all
	mark  handler.Mark  // of err
	cause error         // why the call's context was done; nil: it was not
	took  time.Duration
}

func (a answer) timedOut() bool { return errors.Is(a.cause, handler.ErrTimeout) }

// exited is the answer of a call that ended its goroutine.
var exited = answer{err: &PanicError{Value: "the handler ended its goroutine"}}

// PanicError is a panic of a handler as the error of its call.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// ask calls the handler. A panic of it, or of the error that it returns,
// becomes a [PanicError].
func ask(ctx context.Context, h handler.Handler, b *handler.Batch) (a answer) {
	defer func() {
		if v := recover(); v != nil {
			a = answer{err: &PanicError{Value: v, Stack: debug.Stack()}}
		}
	}()
	return answerOf(h.Handle(ctx, b), len(b.Deliveries))
}

// answerOf reads the error of a call with n deliveries.
func answerOf(err error, n int) answer {
	if err == nil {
		return answer{}
	}
	var be *handler.BatchError
	if !errors.As(err, &be) {
		return plain(err)
	}
	if be == nil {
		return plain(errors.New("handler returned a nil *BatchError as its error"))
	}
	if named := usable(err, n); named != nil {
		a := plain(err)
		a.named = named
		return a
	}
	// The marks of its members stand for no delivery that can be told.
	return plain(fmt.Errorf("handler returned an unusable BatchError: %v", err)) //nolint:errorlint // wrapped, its marks would show
}

// plain is the answer that err stands for all deliveries. It uses err in every
// way in which the loop will, so that one that panics does so here.
func plain(err error) answer {
	_, _ = err.Error(), handler.RetryAfterOf(err)
	return answer{err: err, mark: handler.MarkOf(err)}
}

// usable returns what the BatchError inside err names, nil when it names
// nothing, or what is not there, or when err has something to say beside it:
// then the deliveries that it does not name may not be done.
func usable(err error, n int) map[int]error {
	for ; err != nil; err = errors.Unwrap(err) { // which ends at what joins several
		be, is := err.(*handler.BatchError) //nolint:errorlint // looks at one layer after the other
		if !is {
			continue
		}
		for i, e := range be.Failed {
			if i < 0 || i >= n || e == nil {
				return nil
			}
			_ = plain(e)
		}
		if len(be.Failed) > 0 {
			return be.Failed
		}
		return nil
	}
	return nil
}
