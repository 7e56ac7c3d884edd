package app_test

import (
	"slices"
	"strings"
	"testing"

	"example.com/fanout/pkg/app"
	"example.com/fanout/test/redistest"
)

// What all groups have settled goes, and a reload begins and ends it.
func TestRetention(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	length := func() any { return s.Do(t, "XLEN", "events_stream") }
	r := newRig(t).manifest(s.URL(), groups("a", "b")).start()
	r.runs("a b")
	add(t, s, 2500)
	r.manifest(s.URL(), groups("a", "b")+"retention:\n  events_stream: {min_len: 5, interval: 1s}\n")
	if plan, err := r.app.Reload(t.Context()); err != nil || !strings.Contains(plan.String(), "retain  events_stream") {
		t.Fatalf("reload: %v, %v", plan, err)
	}
	r.eventually("trim", func() bool { return length() == int64(5) })
	r.logs("stream trimmed")
	r.logs("entries=2495 left=5")

	r.manifest(s.URL(), groups("a", "b"))
	if _, err := r.app.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	add(t, s, 100)
	r.stop()
	if err := r.end(); err != nil {
		t.Fatal(err)
	}
	if n := length(); n != int64(105) {
		t.Errorf("%v entries without a retention, want 105", n)
	}
}

// A group that nobody reads is named at the start, holds what it has not read,
// and the bound that it keeps the stream from is told until it has gone.
func TestRetentionIsHeld(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	add(t, s, 30)
	s.Do(t, "XGROUP", "CREATE", "events_stream", "left", "0")
	r := newRig(t).manifest(s.URL(), groups("a")+"retention:\n  events_stream: {max_len: 10, interval: 1s}\n").start()
	r.logs(`group in redis that the manifest does not name`)
	r.logs(`stream exceeds its bounds`)
	r.logs(`20 entries more than max_len 10; needed by group left`)
	if n := s.Do(t, "XLEN", "events_stream"); n != int64(30) {
		t.Errorf("%v entries are left of what a group needs, want 30", n)
	}
	s.Do(t, "XGROUP", "DESTROY", "events_stream", "left")
	r.logs(`stream is within its bounds`)
	r.eventually("trim", func() bool { return s.Do(t, "XLEN", "events_stream") == int64(0) })
	if log := r.log.String(); strings.Count(log, "exceeds its bounds") != 1 || strings.Count(log, "does not name") != 1 {
		t.Error("a fault that lasts is logged more than once")
	}
}

// A bound that may drop does, and says of each group what it has lost.
func TestRetentionDrops(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	add(t, s, 30)
	s.Do(t, "XGROUP", "CREATE", "events_stream", "left", "0", "ENTRIESREAD", 0)
	r := newRig(t).manifest(s.URL(), groups("a")+"retention:\n  events_stream: {max_len: 10, policy: drop_and_report, interval: 1s}\n").start()
	r.logs("stream was trimmed past a group")
	r.logs("redis_group=left undelivered=20 pending=0")
	if n := s.Do(t, "XLEN", "events_stream"); n != int64(10) {
		t.Errorf("%v entries are left, want 10", n)
	}
}

// A process that runs some of the groups still waits for all of them.
func TestOnlyKnowsTheOtherReaders(t *testing.T) {
	t.Parallel()
	r := newRig(t).manifest("redis://127.0.0.1", groups("a", "b", "c"))
	m, err := r.load()
	if err != nil {
		t.Fatal(err)
	}
	for _, names := range [][]string{{"b"}, {"a", "b"}, nil} {
		some, err := app.Only(m, names)
		if err != nil {
			t.Fatal(err)
		}
		if some, err = app.Only(some, names); err != nil { // of what is a part already
			t.Fatal(err)
		}
		readers, _ := some.Readers("events_stream")
		slices.Sort(readers)
		if got := strings.Join(readers, " "); got != "a b c" {
			t.Errorf("only %v: readers %s", names, got)
		}
	}
}
