package app

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"example.com/fanout/pkg/admin"
)

// Who asks for the same list within two seconds is shown one, made once; another
// one waits until it is made.
func TestRankingsAreShared(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, made := newRankings(), 0
		get := func(ctx context.Context, want ranking, takes time.Duration, fault error) (string, error) {
			page, err := r.get(ctx, want, func() (admin.KeyPage, error) {
				time.Sleep(takes)
				made++
				return admin.KeyPage{By: want.by}, fault
			})
			return page.By, err
		}
		wants := func(by string, n int) {
			t.Helper()
			if got, err := get(t.Context(), ranking{by: by}, time.Second, nil); got != by || err != nil || made != n {
				t.Errorf("%s: got %s, %v; %d are made, want %d", by, got, err, made, n)
			}
		}
		for range 10 {
			go func() { _, _ = get(t.Context(), ranking{by: "volume"}, time.Second, nil) }()
		}
		synctest.Wait()
		short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := get(short, ranking{by: "trades"}, 0, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("while another one is made: %v", err)
		}
		wants("volume", 1)
		wants("trades", 2)
		wants("volume", 2)
		time.Sleep(rankingAge)
		wants("volume", 3)
		if len(r.kept) != 1 {
			t.Errorf("%d are kept", len(r.kept))
		}
		if _, err := get(t.Context(), ranking{by: "broken"}, 0, context.Canceled); !errors.Is(err, context.Canceled) {
			t.Errorf("a fault is %v", err)
		}
		wants("broken", 5)
	})
}
