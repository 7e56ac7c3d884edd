package faulty

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"time"

	"example.com/fanout/pkg/handler"
)

// Config is the handler's part of the manifest.
type Config struct {
	Socket string `yaml:"socket" required:"true" doc:"unix socket of the board"`
}

// Factory makes the handler known to a registry.
func Factory() handler.Factory {
	return handler.Factory{
		Doc:    "does what a test tells it",
		Config: func() handler.Config { return &Config{} },
	}
}

// Check finds nothing: the manifest asks for the socket.
func (c *Config) Check() []handler.Finding { return nil }

// New builds the handler. It speaks with the board when it is called.
func (c *Config) New(env handler.Env) (handler.Handler, error) {
	return &faulty{socket: c.Socket, group: env.Group}, nil
}

type faulty struct{ socket, group string }

func (f *faulty) Close() error { return nil }

func (f *faulty) Handle(ctx context.Context, batch *handler.Batch) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", f.socket)
	if err != nil {
		return handler.Unavailable(fmt.Errorf("reach the board: %w", err))
	}
	defer conn.Close()
	encoder, decoder := json.NewEncoder(conn), json.NewDecoder(conn)

	if err := encoder.Encode(f.call(batch)); err != nil {
		return handler.Unavailable(fmt.Errorf("ask the board: %w", err))
	}
	verdict, err := await(ctx, conn, decoder)
	if err != nil {
		return err
	}
	switch verdict.Act {
	case Panic:
		panic("told to panic")
	case Crash:
		os.Exit(70)
	}
	failed := verdict.failures(len(batch.Deliveries))
	if len(failed.Failed) < len(batch.Deliveries) {
		var confirmed commit
		if err := encoder.Encode(commit{true}); err != nil {
			return handler.Unavailable(fmt.Errorf("commit to the board: %w", err))
		}
		if err := decoder.Decode(&confirmed); err != nil {
			return handler.Unavailable(fmt.Errorf("hear from the board: %w", err))
		}
	}
	if len(failed.Failed) == len(batch.Deliveries) && len(verdict.Only) == 0 {
		return verdict.err()
	}
	return failed.Err()
}

// await reads the verdict. It ends with ctx, unless the board says that this
// call is deaf.
func await(ctx context.Context, conn net.Conn, decoder *json.Decoder) (Verdict, error) {
	var first prelude
	if err := decoder.Decode(&first); err != nil {
		return Verdict{}, handler.Unavailable(fmt.Errorf("hear from the board: %w", err))
	}
	unblock := func() {}
	if !first.Deaf {
		cut := make(chan struct{})
		stop := context.AfterFunc(ctx, func() {
			_ = conn.SetReadDeadline(time.Unix(1, 0))
			close(cut)
		})
		unblock = func() {
			if !stop() {
				<-cut
			}
			_ = conn.SetReadDeadline(time.Time{})
		}
	}
	var verdict Verdict
	err := decoder.Decode(&verdict)
	unblock()
	if err == nil {
		return verdict, nil
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return Verdict{}, fmt.Errorf("wait for the board: %w", context.Cause(ctx))
	}
	return Verdict{}, handler.Unavailable(fmt.Errorf("hear from the board: %w", err))
}

func (f *faulty) call(batch *handler.Batch) Call {
	c := Call{Group: f.group, PID: os.Getpid()}
	for _, d := range batch.Deliveries {
		c.Deliveries = append(c.Deliveries, Delivery{
			Stream: d.Stream, Epoch: d.Epoch, ID: d.ID.String(), Origin: d.Origin.String(),
			Attempt: d.Attempt, Count: d.Count, Event: d.Event.Raw(),
		})
	}
	return c
}

// failures names each of n deliveries that the verdict is against.
func (v Verdict) failures(n int) *handler.BatchError {
	failed := &handler.BatchError{}
	err := v.err()
	if err == nil {
		return failed
	}
	for i := range n {
		if len(v.Only) == 0 || slices.Contains(v.Only, i) {
			failed.Fail(i, err)
		}
	}
	return failed
}

func (v Verdict) err() error {
	err := fmt.Errorf("told to %s", v.Act)
	switch v.Act {
	case Fail:
		return err
	case Permanent:
		return handler.Permanent(err)
	case Unavailable:
		return handler.Unavailable(err)
	}
	return nil
}
