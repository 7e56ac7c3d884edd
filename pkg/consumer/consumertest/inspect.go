package consumertest

import (
	"slices"
	"time"

	"example.com/fanout/pkg/deadletter"
	"example.com/fanout/pkg/stream"
)

// PendingEntry is one entry of a group's pending list.
type PendingEntry struct {
	ID       stream.ID
	Consumer string
	Idle     time.Duration
	Count    int64
}

// Pending lists what is pending in a group, in order; nothing when there is no
// such group.
func (s *Server) Pending(group string) []PendingEntry {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.groups[group]
	if g == nil {
		return nil
	}
	list := make([]PendingEntry, len(g.pending))
	for i, p := range g.pending {
		list[i] = PendingEntry{ID: p.id, Consumer: p.owner, Idle: time.Since(p.since), Count: p.count}
	}
	return list
}

// Letters are the dead letters of a group, in order.
func (s *Server) Letters(group string) []deadletter.Letter {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.ledger(group).letters)
}

// LastDelivered is the ID up to which a group has read; zero when there is no
// such group.
func (s *Server) LastDelivered(group string) stream.ID {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.groups[group]
	if g == nil {
		return stream.ID{}
	}
	return g.lastDelivered
}

// Acked tells how many times Ack has acknowledged an entry for a group, over
// the group's whole life and those of its successors. Burying does not count.
func (s *Server) Acked(group string, id stream.ID) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ledger(group).acked[id]
}

// Misacked lists the entries that a consumer has acknowledged while they were
// another one's. A real server cannot tell: it happens when Ack is called with
// probes that do not stand for all of its refs.
func (s *Server) Misacked(group string) []stream.ID {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.ledger(group).misacked)
}
