package handlertest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/handler/handlertest"
)

// store is a handler that keeps the payload of each entry under its identity.
// Each fault makes it break the contract in one way.
type store struct {
	fault string

	mu   sync.Mutex
	rows map[string][]byte
	done chan struct{}
	wg   sync.WaitGroup
}

func newStore(fault string) *store {
	return &store{fault: fault, rows: map[string][]byte{}, done: make(chan struct{})}
}

func (s *store) Handle(ctx context.Context, b *handler.Batch) error {
	if s.fault == "ignores ctx" {
		defer func() {
			if ctx.Err() != nil {
				time.Sleep(1500 * time.Millisecond)
			}
		}()
	}
	if err := context.Cause(ctx); err != nil && s.fault != "ignores ctx" {
		return err
	}
	if s.fault == "one at a time" {
		if !s.mu.TryLock() {
			return errors.New("busy")
		}
		time.Sleep(time.Millisecond)
	} else {
		s.mu.Lock()
	}
	defer s.mu.Unlock()
	var failed handler.BatchError
	for i := range b.Deliveries {
		d := &b.Deliveries[i]
		if bytes.Contains(d.Event.Raw(), []byte("bad")) && s.fault != "swallows" {
			if s.fault == "blames all" && len(b.Deliveries) > 1 {
				return handler.Permanent(errors.New("bad"))
			}
			at := i
			if s.fault == "blames the neighbour" && i > 0 {
				at = i - 1
			}
			failed.Fail(at, handler.Permanent(errors.New("bad")))
			continue
		}
		if err := s.put(d); err != nil {
			return err
		}
	}
	switch s.fault {
	case "spoils":
		b.Deliveries[0].Event.Raw()[0] = ' '
	case "refuses large":
		if len(b.Deliveries) > 500 {
			return errors.New("too many")
		}
	case "leaks":
		s.wg.Go(func() { <-s.done })
	}
	return failed.Err()
}

func (s *store) put(d *handler.Delivery) error {
	key := fmt.Sprintf("%s %s %s", d.Stream, d.Epoch, d.ID)
	switch s.fault {
	case "no epoch":
		key = d.ID.String()
	case "counts twice":
		key = fmt.Sprint(len(s.rows))
	case "refuses twice":
		if s.rows[key] != nil {
			return errors.New("duplicate")
		}
	case "keeps":
		s.rows[key] = d.Event.Raw()
		return nil
	}
	s.rows[key] = bytes.Clone(d.Event.Raw())
	return nil
}

func (s *store) Close() error {
	if s.fault == "does not close" {
		return errors.New("no")
	}
	return nil
}

func config(fault string) handlertest.Config {
	return handlertest.Config{
		New:  func(*testing.T) handler.Handler { return newStore(fault) },
		Bad:  func(int) []byte { return []byte(`{"bad": true}`) },
		Once: true,
		Effects: func(_ *testing.T, h handler.Handler) string {
			var lines []string
			s := h.(*store)
			for k, v := range s.rows {
				lines = append(lines, k+" "+string(v))
			}
			slices.Sort(lines)
			return strings.Join(lines, "\n")
		},
	}
}

func TestRunPasses(t *testing.T) {
	t.Parallel()
	handlertest.Run(t, config(""))
}

// faultVariable makes TestRunOfFault check a handler with that fault.
const faultVariable = "HANDLERTEST_FAULT"

func TestRunOfFault(t *testing.T) {
	fault := os.Getenv(faultVariable)
	if fault == "" {
		return // only as a child of TestRunFinds
	}
	handlertest.Run(t, config(fault))
}

// TestRunFinds runs the suite on broken handlers, in a process of its own each,
// and wants the right case to fail.
func TestRunFinds(t *testing.T) {
	t.Parallel()
	for fault, want := range map[string]string{
		"ignores ctx":          "returns soon when ctx is done before",
		"swallows":             "refuses a bad entry and no other",
		"blames all":           "refuses a bad entry and no other",
		"blames the neighbour": "refuses a bad entry and no other",
		"spoils":               "leaves the batch as it is",
		"refuses large":        "takes a batch of 1000",
		"leaks":                "leaves no goroutine behind",
		"no epoch":             "takes the same ID of another epoch for another entry",
		"counts twice":         "takes redeliveries",
		"refuses twice":        "takes redeliveries",
		"keeps":                "keeps nothing of a batch",
		"does not close":       "closes unused",
		"one at a time":        "takes calls at once",
	} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestRunOfFault$", "-test.timeout=60s")
			child.Env = append(os.Environ(), faultVariable+"="+fault)
			out, err := child.CombinedOutput()
			if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) {
				t.Fatalf("run: %v, want a failed test\n%s", err, out)
			}
			name := "FAIL: TestRunOfFault/" + strings.ReplaceAll(want, " ", "_")
			if !bytes.Contains(out, []byte(name)) {
				t.Errorf("the output lacks %q:\n%s", name, out)
			}
		})
	}
}
