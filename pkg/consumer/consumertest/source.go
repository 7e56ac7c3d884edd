package consumertest

import (
	"context"
	"sync/atomic"
	"time"

	"example.com/fanout/pkg/consumer"
	"example.com/fanout/pkg/deadletter"
	"example.com/fanout/pkg/stream"
)

// Source is one consumer's view of a group of a [Server]. Calls that the
// contract forbids (two readers or two settlers at once, anything during or
// after Close) fail the server's test.
type Source struct {
	server   *Server
	group    string
	consumer string
	minIdle  time.Duration
	stream   string
	epoch    string

	reading  atomic.Bool
	settling atomic.Bool
	closed   atomic.Bool

	rest  []stream.Delivery // delivered, and not taken by a read yet
	since time.Time
}

var _ consumer.Source = (*Source)(nil)

// Source makes a consumer's view of a group. minIdle is the claim.min_idle that
// Ack trusts in. A group that never was is created on [Stream], from its first
// entry on; one that was destroyed is not.
func (s *Server) Source(group, consumer string, minIdle time.Duration) *Source {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ledgers[group] == nil {
		s.createGroup(Stream, group, stream.ID{})
	}
	src := &Source{server: s, group: group, consumer: consumer, minIdle: minIdle, stream: Stream, epoch: s.epoch()}
	if g := s.groups[group]; g != nil {
		src.stream = g.stream.name
	}
	return src
}

// Read implements consumer.Reader. The entries refer to the memory of the chunk,
// so that whoever uses them for too long sees other ones.
func (s *Source) Read(ctx context.Context, c *stream.Chunk, limit int, wait time.Duration) error {
	defer s.enter(&s.reading, limit > 0)()
	c.Reset()
	rest := s.rest
	s.rest = nil // after an error nothing is left
	got, err := perform(ctx, s, Read, func() ([]stream.Delivery, error) {
		if len(rest) > 0 {
			return rest, nil
		}
		timer := time.NewTimer(wait)
		defer timer.Stop()
		for {
			got, changed, err := s.readNow(limit)
			if err != nil || len(got) > 0 || wait <= 0 {
				return got, err
			}
			select {
			case <-changed:
			case <-timer.C:
				return nil, nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
	})
	if err != nil {
		return err
	}
	if len(rest) == 0 {
		s.since = time.Now()
	}
	c.Since = s.since
	for n, bytes := 0, 0; n < len(got); n++ {
		if c.Limit > 0 && bytes >= c.Limit {
			s.rest, c.More = got[n:], true
			break
		}
		bytes += got[n].Size()
		c.Deliveries = append(c.Deliveries, into(c, got[n]))
	}
	return nil
}

// into copies what a delivery refers to into the memory of c.
func into(c *stream.Chunk, d stream.Delivery) stream.Delivery {
	memory := c.Segment(d.Size())
	copied := func(b []byte) []byte {
		n := copy(memory, b)
		out := memory[:n:n]
		memory = memory[n:]
		return out
	}
	fields := c.Fields(len(d.Fields))
	for i, f := range d.Fields {
		fields[i] = stream.Field{Name: copied(f.Name), Value: copied(f.Value)}
	}
	d.Fields = fields
	return d
}

// Rest implements consumer.Reader.
func (s *Source) Rest(context.Context) (refs []stream.ID, err error) {
	defer s.enter(&s.reading, true)()
	for _, d := range s.rest {
		refs = append(refs, d.Ref)
	}
	s.rest = nil
	return refs, nil
}

// readNow reads what there is. The channel is closed when it is worth trying
// again; it is taken under the same lock, so that no entry slips in between.
func (s *Source) readNow(limit int) ([]stream.Delivery, <-chan struct{}, error) {
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	g, err := s.find()
	if err != nil {
		return nil, nil, err
	}
	return s.deliveries(g.deliver(s.consumer, limit), stream.New), s.server.changed, nil
}

// Own implements consumer.Reader.
func (s *Source) Own(ctx context.Context, after stream.ID, limit int) (stream.Page, error) {
	defer s.enter(&s.reading, limit > 0)()
	return s.list(ctx, Own, stream.Own, func(g *group) listing {
		return g.own(s.consumer, after, limit)
	})
}

// Claim implements consumer.Reader.
func (s *Source) Claim(ctx context.Context, cursor stream.ID, minIdle time.Duration, limit int) (stream.Page, error) {
	defer s.enter(&s.reading, limit > 0)()
	return s.list(ctx, Claim, stream.Claimed, func(g *group) listing {
		return g.claim(s.consumer, cursor, minIdle, limit)
	})
}

// list makes a page of what do lists.
func (s *Source) list(ctx context.Context, op Op, origin stream.Origin, do func(*group) listing) (stream.Page, error) {
	return perform(ctx, s, op, func() (stream.Page, error) {
		s.server.mu.Lock()
		defer s.server.mu.Unlock()
		g, err := s.find()
		if err != nil {
			return stream.Page{}, err
		}
		l := do(g)
		return stream.Page{
			Deliveries: s.deliveries(l.entries, origin),
			Vanished:   l.vanished,
			Next:       l.next,
			Done:       l.done,
		}, nil
	})
}

// Ack implements consumer.Settler.
func (s *Source) Ack(ctx context.Context, probes, refs []stream.ID) (int, error) {
	defer s.enter(&s.settling, true)()
	return perform(ctx, s, Ack, func() (int, error) {
		s.server.mu.Lock()
		defer s.server.mu.Unlock()
		g, err := s.find()
		if err != nil {
			return 0, err
		}
		return g.ack(s.consumer, s.minIdle, probes, refs, s.server.ledger(s.group)), nil
	})
}

// Hold implements consumer.Settler.
func (s *Source) Hold(ctx context.Context, holds []stream.Hold) ([]stream.ID, error) {
	defer s.enter(&s.settling, true)()
	return perform(ctx, s, Hold, func() ([]stream.ID, error) {
		s.server.mu.Lock()
		defer s.server.mu.Unlock()
		g, err := s.find()
		if err != nil {
			return nil, err
		}
		return g.hold(s.consumer, holds), nil
	})
}

// Bury implements consumer.Settler.
func (s *Source) Bury(ctx context.Context, ref stream.ID, letter *deadletter.Letter) (stream.Burial, error) {
	defer s.enter(&s.settling, letter != nil)()
	return perform(ctx, s, Bury, func() (stream.Burial, error) {
		s.server.mu.Lock()
		defer s.server.mu.Unlock()
		g, err := s.find()
		if err != nil {
			return 0, err
		}
		return g.bury(s.consumer, ref, letter, s.server.maxLetters, s.server.ledger(s.group))
	})
}

// Close implements consumer.Source.
func (s *Source) Close() error {
	s.server.tb.Helper()
	if s.closed.Swap(true) {
		s.misuse("closed twice")
	}
	if s.reading.Load() || s.settling.Load() {
		s.misuse("closed while a method runs")
	}
	return nil
}

// enter notes the begin of a method, and the function that it returns the end.
func (s *Source) enter(side *atomic.Bool, valid bool) (leave func()) {
	s.server.tb.Helper()
	if s.closed.Load() {
		s.misuse("called after Close")
	}
	if !valid {
		s.misuse("called with a max below 1 or a nil letter")
	}
	if side.Swap(true) {
		s.misuse("two readers or two settlers at once")
	}
	return func() { side.Store(false) }
}

func (s *Source) misuse(what string) {
	s.server.tb.Helper()
	s.server.tb.Errorf("source of %s in group %s: %s", s.consumer, s.group, what)
}

// find is called with the server's lock held.
func (s *Source) find() (*group, error) {
	g := s.server.groups[s.group]
	if g == nil {
		return nil, stream.ErrNoGroup
	}
	return g, nil
}

// deliveries copies the entries, as a wire would.
func (s *Source) deliveries(entries []pendingEntry, origin stream.Origin) []stream.Delivery {
	out := make([]stream.Delivery, len(entries))
	for i, p := range entries {
		out[i] = stream.Delivery{
			Entry:  p.entry.Clone(),
			Stream: s.stream,
			Epoch:  s.epoch,
			Ref:    p.entry.ID,
			Origin: origin,
			Count:  p.count,
		}
	}
	return out
}
