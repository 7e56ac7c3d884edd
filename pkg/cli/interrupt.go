package cli

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// oneSignal is how far apart two signals are that are one to the sender: timeout
// and terminals signal the process and its group.
const oneSignal = 100 * time.Millisecond

// forces reports whether a signal that comes now is the second one after that
// of which a stop was asked for at a time.
func forces(asked time.Time) bool { return time.Since(asked) >= oneSignal }

// interruptible runs what ends when its context does: Ctrl-C ends the context,
// a second one ends the command at once, whatever still runs.
func interruptible(ctx context.Context, run func(context.Context) error) error {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	return untilForced(ctx, signals, run)
}

func untilForced(ctx context.Context, signals <-chan os.Signal, run func(context.Context) error) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	var asked time.Time
	for {
		select {
		case err := <-ended:
			return err
		case <-signals:
			switch {
			case asked.IsZero():
				asked = time.Now()
				stop()
			case forces(asked):
				return &exitError{exitForced, errors.New("forced by a second signal")}
			}
		}
	}
}
