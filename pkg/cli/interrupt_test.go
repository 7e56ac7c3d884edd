package cli

import (
	"context"
	"errors"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// The first signal asks, the second one forces, and two at once are one.
func TestInterruptible(t *testing.T) {
	t.Parallel()
	failed := errors.New("no answer")
	for _, test := range []struct {
		name  string
		lasts time.Duration // after it is asked to end
		err   error
		sends []time.Duration // signals
		ends  time.Duration
		code  int
	}{
		{"nothing is sent", 0, nil, nil, time.Hour, exitOK},
		{"one signal", 3 * time.Second, nil, []time.Duration{time.Second}, 4 * time.Second, exitOK},
		{"one signal, and it fails", 3 * time.Second, &exitError{exitFailure, failed}, []time.Duration{time.Second}, 4 * time.Second, exitFailure},
		{"one signal twice", 3 * time.Second, nil, []time.Duration{time.Second, time.Second + time.Millisecond}, 4 * time.Second, exitOK},
		{"two signals", 3 * time.Second, nil, []time.Duration{time.Second, 2 * time.Second}, 2 * time.Second, exitForced},
		{"three signals", 3 * time.Second, nil, []time.Duration{time.Second, time.Second + time.Millisecond, 1500 * time.Millisecond}, 1500 * time.Millisecond, exitForced},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				signals := make(chan os.Signal, 2)
				for i, at := range test.sends {
					time.AfterFunc(at, func() { signals <- []os.Signal{os.Interrupt, syscall.SIGTERM}[i%2] })
				}
				began := time.Now()
				err := untilForced(t.Context(), signals, func(ctx context.Context) error {
					select {
					case <-ctx.Done():
						time.Sleep(test.lasts)
						return test.err
					case <-time.After(time.Hour):
						return nil
					}
				})
				if took := time.Since(began); took != test.ends || exitCode(err) != test.code {
					t.Errorf("ended after %v with %d, want %v with %d: %v", took, exitCode(err), test.ends, test.code, err)
				}
				time.Sleep(2 * time.Hour) // what was forced ends, too
			})
		})
	}
}
