// Package probe is a handler that remembers nothing: it writes down every
// delivery that it has handled, so that a checker sees each repeat. It can be
// slow, it can fail in all the ways in which a handler can, and it dies of
// entries that say so.
package probe

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"example.com/fanout/pkg/event"
	"example.com/fanout/pkg/handler"
)

// Config is the handler's part of the manifest.
type Config struct {
	Journal string        `yaml:"journal" required:"true" doc:"folder of the journals, one file a process and group"`
	Delay   time.Duration `yaml:"delay" default:"0s" min:"0s" max:"1s" doc:"what each delivery takes"`
	Brake   string        `yaml:"brake" doc:"while this file exists, calls wait"`
	Flaky   bool          `yaml:"flaky" default:"false" doc:"fail at random; end the process at an event with chaos: kill"`
}

// Factory makes the handler known to a registry.
func Factory() handler.Factory {
	return handler.Factory{
		Doc:    "writes down what it handles",
		Config: func() handler.Config { return &Config{} },
	}
}

// Check finds nothing: the manifest asks for the journal.
func (c *Config) Check() []handler.Finding { return nil }

// New opens the journal. A line of it is a trade_id and a newline; a line
// without its newline was not written to its end, and does not count.
func (c *Config) New(env handler.Env) (handler.Handler, error) {
	if err := os.MkdirAll(c.Journal, 0o755); err != nil {
		return nil, fmt.Errorf("make the folder of the journals: %w", err)
	}
	name := fmt.Sprintf("%s.%d.%d", env.Group, os.Getpid(), time.Now().UnixNano())
	f, err := os.OpenFile(filepath.Join(c.Journal, name), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open the journal: %w", err)
	}
	p := &probe{cfg: *c, journal: f}
	if p.trade, err = event.ParsePath("trade_id"); err != nil {
		return nil, err
	}
	if p.chaos, err = event.ParsePath("chaos"); err != nil {
		return nil, err
	}
	return p, nil
}

type probe struct {
	cfg          Config
	trade, chaos event.Path

	mu      sync.Mutex // one write at a time
	journal *os.File
}

// Close implements [handler.Handler].
func (p *probe) Close() error { return p.journal.Close() }

// Handle implements [handler.Handler].
func (p *probe) Handle(ctx context.Context, batch *handler.Batch) error {
	if err := p.brake(ctx); err != nil {
		return err
	}
	if err := wait(ctx, p.cfg.Delay*time.Duration(len(batch.Deliveries))); err != nil {
		return err
	}
	var failed handler.BatchError
	if p.cfg.Flaky {
		if err := p.fail(ctx, batch, &failed); err != nil {
			return err
		}
	}
	var lines []byte
	for i := range batch.Deliveries {
		if failed.Failed[i] != nil {
			continue
		}
		id, ok := batch.Deliveries[i].Event.Lookup(p.trade)
		if !ok {
			failed.Fail(i, handler.Permanent(errors.New("event has no trade_id")))
			continue
		}
		lines = append(id.AppendText(lines), '\n')
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, err := p.journal.Write(lines); err != nil {
		return fmt.Errorf("write to the journal: %w", err)
	}
	return failed.Err()
}

// brake waits until there is no brake.
func (p *probe) brake(ctx context.Context) error {
	for p.cfg.Brake != "" {
		if _, err := os.Stat(p.cfg.Brake); err != nil {
			return nil
		}
		if err := wait(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

func wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// fail throws the dice. Nothing has been handled when it returns an error.
func (p *probe) fail(ctx context.Context, batch *handler.Batch, failed *handler.BatchError) error {
	for i := range batch.Deliveries {
		if v, ok := batch.Deliveries[i].Event.Lookup(p.chaos); ok && v.Text() == "kill" {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			<-make(chan struct{}) // it takes a moment
		}
	}
	failure := errors.New("the dice say so")
	switch n := rand.IntN(1000); {
	case n < 15:
		return failure
	case n < 20:
		return handler.Unavailable(failure)
	case n < 25:
		return handler.RetryAfter(failure, 50*time.Millisecond)
	case n < 30:
		panic(failure)
	case n < 32:
		<-ctx.Done()
		return context.Cause(ctx)
	case n < 50:
		failed.Fail(rand.IntN(len(batch.Deliveries)), failure)
	}
	return nil
}
