package faulty_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"example.com/fanout/pkg/event"
	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/stream"
	"example.com/fanout/test/integration/faulty"
)

func open(t *testing.T) (*faulty.Board, handler.Handler) {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "board")
	board, err := faulty.Listen(socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(board.Close)
	h, err := (&faulty.Config{Socket: socket}).New(handler.Env{Group: "g"})
	if err != nil {
		t.Fatal(err)
	}
	return board, h
}

func batch(n int) *handler.Batch {
	b := &handler.Batch{Group: "g"}
	for i := range n {
		b.Deliveries = append(b.Deliveries, handler.Delivery{
			Delivery: &stream.Delivery{Entry: stream.Entry{ID: stream.ID{Ms: 1, Seq: uint64(i)}}},
			Event:    new(event.Event),
			Attempt:  1,
		})
	}
	return b
}

func TestVerdicts(t *testing.T) {
	t.Parallel()
	tests := []struct {
		verdict faulty.Verdict
		mark    handler.Mark
		failed  int // of three
	}{
		{faulty.Verdict{}, handler.Unmarked, 0},
		{faulty.Verdict{Act: faulty.Fail}, handler.Unmarked, 3},
		{faulty.Verdict{Act: faulty.Permanent}, handler.MarkPermanent, 3},
		{faulty.Verdict{Act: faulty.Unavailable}, handler.MarkUnavailable, 3},
		{faulty.Verdict{Act: faulty.Permanent, Only: []int{1}}, handler.MarkPermanent, 1},
	}
	for _, tt := range tests {
		board, h := open(t)
		board.Tell("g", tt.verdict)
		err := h.Handle(t.Context(), batch(3))
		if (err == nil) != (tt.failed == 0) || handler.MarkOf(err) != tt.mark {
			t.Errorf("%+v gave %v with mark %v, want %v", tt.verdict, err, handler.MarkOf(err), tt.mark)
		}
		if got := len(board.Handled("g")); got != 3-tt.failed {
			t.Errorf("%+v recorded %d as handled, want %d", tt.verdict, got, 3-tt.failed)
		}
	}
}

func TestPanic(t *testing.T) {
	t.Parallel()
	board, h := open(t)
	board.Tell("g", faulty.Verdict{Act: faulty.Panic})
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	_ = h.Handle(t.Context(), batch(1))
}

func TestHoldEndsWithItsContext(t *testing.T) {
	t.Parallel()
	board, h := open(t)
	board.Tell("g", faulty.Verdict{Hold: faulty.Never})
	ctx, cancel := context.WithTimeoutCause(t.Context(), 10*time.Millisecond, handler.ErrTimeout)
	defer cancel()
	if err := h.Handle(ctx, batch(1)); !errors.Is(err, handler.ErrTimeout) {
		t.Errorf("got %v, want the cause of the context", err)
	}
	if got := len(board.Handled("g")); got != 0 {
		t.Errorf("recorded %d as handled", got)
	}
}

func TestDeafHoldOutlivesItsContext(t *testing.T) {
	t.Parallel()
	board, h := open(t)
	release := make(chan struct{})
	board.Tell("g", faulty.Verdict{Hold: release, Deaf: true})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- h.Handle(ctx, batch(1)) }()
	for board.Waiting("g") == 0 {
		time.Sleep(time.Millisecond)
	}
	cancel()
	select {
	case err := <-ended:
		t.Fatalf("the call ended with its context: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	close(release)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if got := len(board.Handled("g")); got != 1 {
		t.Errorf("recorded %d as handled, want 1", got)
	}
}

func TestNoBoard(t *testing.T) {
	t.Parallel()
	h, err := (&faulty.Config{Socket: filepath.Join(t.TempDir(), "none")}).New(handler.Env{})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Handle(t.Context(), batch(1)); handler.MarkOf(err) != handler.MarkUnavailable {
		t.Errorf("got %v, want it marked as unavailable", err)
	}
}
