package consumer_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"example.com/fanout/pkg/consumer/consumertest"
	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/stream"
)

// TestClaimOfOwnEntries: a claim resets the idle time of one of two entries that
// the consumer itself holds, for Redis does not leave out who asks. Another
// consumer takes the second one. The first must not stand for it when both are
// acknowledged, though they were read together and touched together.
func TestClaimOfOwnEntries(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		claim time.Duration // when it is asked for; Redis does it after 14 s
		touch time.Duration // how late the answer to the touch is, which is done after 3.3 s
		third time.Duration // when a third entry comes, whose acknowledgement takes long
		acks  time.Duration // how long that of the two takes
	}{
		"a touch begins meanwhile":                   {claim: time.Second, touch: 11 * time.Second},
		"a touch is under way":                       {claim: 4 * time.Second, touch: 11 * time.Second},
		"they are being acknowledged when it begins": {claim: 8 * time.Second, third: 5900 * time.Millisecond, acks: 4 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(r *rig) {
				r.server.SetFaults(func(f consumertest.Call) consumertest.Fault {
					switch {
					case f.Op != consumertest.Ack:
						return consumertest.Fault{}
					case f.N == 1 && c.third > 0:
						return consumertest.Fault{Delay: 6500 * time.Millisecond}
					}
					return consumertest.Fault{Delay: c.acks}
				})
				ids := r.add(2)
				h := &recorder{answer: func(ctx context.Context, b *handler.Batch) error {
					if has(b, ids[0]) {
						return pause(ctx, 12*time.Second)
					}
					return nil
				}}
				var stolen []stream.ID
				running := r.start("c-0", h, func(cfg *config) { cfg.Timeout, cfg.AuditInterval = time.Hour, 0 }, rewire(func(s *rewired) {
					s.hold = func(ctx context.Context, holds []stream.Hold) ([]stream.ID, error) {
						lost, err := s.Source.Hold(ctx, holds)
						time.Sleep(c.touch)
						return lost, err
					}
					s.claim = func(ctx context.Context, after stream.ID, idle time.Duration, _ int) (stream.Page, error) {
						time.Sleep(14*time.Second - r.at())
						page, err := s.Source.Claim(ctx, after, idle, 1)
						page.Done = true
						if stolen == nil {
							stolen = r.steal(minIdle)
						}
						return page, err
					}
				}))
				if c.third > 0 {
					time.Sleep(c.third)
					r.add(1)
				}
				time.Sleep(c.claim - r.at())
				running.Claim()
				pass(40*time.Second - r.at())
				if !slices.Equal(stolen, ids[1:]) {
					t.Fatalf("claimed %v, want %v", stolen, ids[1:])
				}
				r.wantAcked(ids[0])
				r.wantPending(map[stream.ID]int64{ids[1]: 1})
				r.wantAccounted()
			})
		})
	}
}

// TestClaimWaitsForAcks: acknowledgements that take one entry for another are
// under way when a claim is asked for. It comes after them.
func TestClaimWaitsForAcks(t *testing.T) {
	bubble(t, func(r *rig) {
		ids := r.add(2)
		r.server.SetFaults(func(f consumertest.Call) consumertest.Fault {
			if f.Op == consumertest.Ack {
				return consumertest.Fault{Delay: 4 * time.Second}
			}
			return consumertest.Fault{}
		})
		h := &recorder{answer: func(ctx context.Context, _ *handler.Batch) error { return pause(ctx, 9*time.Second) }}
		var asked time.Duration
		running := r.start("c-0", h, func(cfg *config) { cfg.Timeout, cfg.AuditInterval = time.Hour, 0 }, rewire(func(s *rewired) {
			s.claim = func(ctx context.Context, after stream.ID, idle time.Duration, limit int) (stream.Page, error) {
				asked = r.at()
				return s.Source.Claim(ctx, after, idle, limit)
			}
		}))
		time.Sleep(11 * time.Second)
		running.Claim()
		pass(20 * time.Second)
		if asked < 13*time.Second {
			t.Errorf("claimed after %s, want after the acknowledgement", asked)
		}
		r.wantAcked(ids...)
		r.wantAccounted()
	})
}
