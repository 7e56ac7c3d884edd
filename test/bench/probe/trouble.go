package probe

import (
	"context"
	"errors"
	"fmt"
	"time"

	"example.com/fanout/pkg/handler"
)

// Trouble makes the handler "trouble", which does harm in the way that its kind
// says:
//
//   - hang: a call never returns, whatever becomes of its context;
//   - fail: each call fails at once, so that everything is tried again;
//   - slow: a call takes 100 ms, whatever it has to do.
func Trouble() handler.Factory {
	return handler.Factory{
		Doc:    "hangs, fails or takes its time",
		Config: func() handler.Config { return &trouble{} },
	}
}

const slowCall = 100 * time.Millisecond

var errTrouble = errors.New("this handler always fails")

type trouble struct {
	Kind string `yaml:"kind" required:"true" doc:"hang, fail or slow"`
}

// Check implements [handler.Config].
func (c *trouble) Check() []handler.Finding {
	switch c.Kind {
	case "hang", "fail", "slow":
		return nil
	}
	return []handler.Finding{{Path: "kind", Message: fmt.Sprintf("%q is none of hang, fail and slow", c.Kind)}}
}

// New implements [handler.Config].
func (c *trouble) New(handler.Env) (handler.Handler, error) { return troubled(c.Kind), nil }

type troubled string

// Handle implements [handler.Handler].
func (t troubled) Handle(ctx context.Context, _ *handler.Batch) error {
	switch t {
	case "hang":
		select {}
	case "fail":
		return errTrouble
	}
	select {
	case <-time.After(slowCall):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Close implements [handler.Handler].
func (troubled) Close() error { return nil }
