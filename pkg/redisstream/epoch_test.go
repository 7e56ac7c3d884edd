package redisstream_test

import (
	"errors"
	"testing"
	"time"

	"example.com/fanout/pkg/consumer/consumertest"
	"example.com/fanout/pkg/redisstream"
	"example.com/fanout/pkg/stream"
)

// TestOldEpochReadsNothing shows a process that had no read under way when the
// stream went and another process opened the group on the new one.
func TestOldEpochReadsNothing(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	g := s.group(redisstream.Start{})
	opened, err := g.Ensure(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	old := g.Source("a", opened.Epoch)
	defer old.Close()
	s.add(1, 3)
	if ds, err := consumertest.Take(t.Context(), old, 10, 0); err != nil || len(ds) != 3 {
		t.Fatalf("read %d entries, %v", len(ds), err)
	}

	s.do("FLUSHALL")
	s.add(1, 5)
	again, err := s.group(redisstream.Start{}).Ensure(t.Context())
	if err != nil || again.Epoch == opened.Epoch {
		t.Fatalf("opened again with epoch %q after %q, %v", again.Epoch, opened.Epoch, err)
	}

	if ds, err := consumertest.Take(t.Context(), old, 2, 0); !errors.Is(err, stream.ErrNoGroup) || len(ds) > 0 {
		t.Errorf("read %d entries, %v; want %v", len(ds), err, stream.ErrNoGroup)
	}
	if page, err := old.Own(t.Context(), stream.ID{}, 10); !errors.Is(err, stream.ErrNoGroup) {
		t.Errorf("own pending gave %d entries, %v; want %v", len(page.Deliveries), err, stream.ErrNoGroup)
	}
	if page, err := old.Claim(t.Context(), stream.ID{}, time.Millisecond, 10); !errors.Is(err, stream.ErrNoGroup) {
		t.Errorf("claim gave %d entries, %v; want %v", len(page.Deliveries), err, stream.ErrNoGroup)
	}

	fresh := g.Source("a", again.Epoch) // nothing is lost: it is pending under the same name
	defer fresh.Close()
	if page, err := fresh.Own(t.Context(), stream.ID{}, 10); err != nil || len(page.Deliveries) != 2 {
		t.Errorf("own pending of the new epoch gave %d entries, %v; want 2", len(page.Deliveries), err)
	}
}
