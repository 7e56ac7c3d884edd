// Package handlertest checks that a handler keeps its side of the contract in
// package handler, and makes deliveries and batches for tests of handlers.
//
//	func TestConformance(t *testing.T) {
//		t.Parallel()
//		handlertest.Run(t, handlertest.Config{
//			New: func(t *testing.T) handler.Handler { return newHandler(t, t.TempDir()) },
//		})
//	}
package handlertest

import (
	"testing"

	"example.com/fanout/pkg/handler"
)

// Config says what [Run] checks.
type Config struct {
	// New makes a handler for [Group] whose effects go to a place of its own
	// that works: a store, a server. Run calls it several times in a case and
	// closes what it gets.
	New func(t *testing.T) handler.Handler

	// Event is the payload of the i-th entry, a JSON document that the handler
	// takes; [Trade] when nil.
	Event func(i int) []byte

	// Bad is the payload of an entry that the handler can never take. When nil
	// the handler is taken for one that takes all.
	Bad func(i int) []byte

	// Effects describes all that a handler has done so far, equally for equal
	// effects whatever their order: the rows of its store, the requests that
	// its server got. It may be called after Close. When nil, effects are not
	// looked at.
	Effects func(t *testing.T, h handler.Handler) string

	// Once says that a redelivery changes nothing. It needs Effects.
	Once bool
}

// Run checks a handler. The cases run in parallel; under the race detector they
// find more.
func Run(t *testing.T, cfg Config) {
	t.Helper()
	if cfg.Event == nil {
		cfg.Event = Trade
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(t, cfg)
		})
	}
}

var cases = []struct {
	name string
	run  func(t *testing.T, cfg Config)
}{
	{"takes batches of one", batchesOfOne},
	{"takes a batch of 1000", largeBatch},
	{"takes calls at once", concurrentCalls},
	{"takes redeliveries", redelivery},
	{"takes the same ID of another epoch for another entry", otherEpoch},
	{"leaves the batch as it is", batchUnchanged},
	{"keeps nothing of a batch", nothingKept},
	{"refuses a bad entry and no other", badEntry},
	{"returns soon when ctx is done before", doneBefore},
	{"returns soon when ctx is done meanwhile", doneMeanwhile},
	{"closes unused", closeUnused},
	{"leaves no goroutine behind", noGoroutines},
}
