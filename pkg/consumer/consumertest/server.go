// Package consumertest holds what tests of consumers need: an in-memory stream
// server whose [Source] keeps the promises of consumer.Source, and the
// conformance suite [TestSource] that it and the real one both pass.
//
// The server does no I/O, leaves no goroutine behind and knows the time by
// time.Now alone, so that it works inside a testing/synctest bubble: make it in
// the bubble that uses it.
package consumertest

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"example.com/fanout/pkg/deadletter"
	"example.com/fanout/pkg/stream"
)

// Stream is the stream of [Server.AddEvent] and of groups that were not
// created otherwise.
const Stream = "events_stream"

// Server is an in-memory stream server: streams, groups with their pending
// entries, and dead letters. It is safe for concurrent use. What a test may
// not do to it, and what the code under test does against the contract of
// consumer.Source, fails the test.
type Server struct {
	tb testing.TB

	mu         sync.Mutex // never held across a wait
	streams    map[string]*memStream
	groups     map[string]*group
	ledgers    map[string]*ledger
	calls      map[Call]int // by a Call without N
	faults     func(Call) Fault
	maxLetters int
	flushes    int
	changed    chan struct{} // closed and replaced when blocked readers must look again
}

type memStream struct {
	name    string
	entries []stream.Entry // in order
	last    stream.ID
}

// ledger is what is remembered of a group beside the state that Redis would
// have: it outlives the group.
type ledger struct {
	letters  []deadletter.Letter
	acked    map[stream.ID]int
	misacked []stream.ID
}

// NewServer makes an empty server. Misuse is reported to tb.
func NewServer(tb testing.TB) *Server {
	return &Server{
		tb:      tb,
		streams: map[string]*memStream{},
		groups:  map[string]*group{},
		ledgers: map[string]*ledger{},
		calls:   map[Call]int{},
		changed: make(chan struct{}),
	}
}

// Add appends an entry with the given names and values in turn; the server
// chooses the ID.
func (s *Server) Add(strm string, fields ...string) stream.ID {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := stream.ID{Ms: uint64(time.Now().UnixMilli())}
	if m := s.stream(strm); !m.last.Before(id) {
		id = m.last.Next()
	}
	s.add(strm, id, fields)
	return id
}

// AddAt appends an entry with this ID, which must be greater than every ID that
// the stream has had.
func (s *Server) AddAt(strm string, id stream.ID, fields ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.add(strm, id, fields)
}

// AddEvent appends an entry with the one field "event" to [Stream].
func (s *Server) AddEvent(payload string) stream.ID { return s.Add(Stream, "event", payload) }

func (s *Server) add(strm string, id stream.ID, fields []string) {
	s.tb.Helper()
	m := s.stream(strm)
	if !m.last.Before(id) || len(fields) == 0 || len(fields)%2 != 0 {
		s.tb.Fatalf("add %s to %s, which ends at %s: bad ID or fields", id, strm, m.last)
	}
	e := stream.Entry{ID: id}
	for pair := range slices.Chunk(fields, 2) {
		e.Fields = append(e.Fields, stream.Field{Name: []byte(pair[0]), Value: []byte(pair[1])})
	}
	m.entries = append(m.entries, e)
	m.last = id
	s.wake()
}

// Delete removes entries from a stream. Where they are pending, they stay so
// and their data is lost.
func (s *Server) Delete(strm string, ids ...stream.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.stream(strm)
	m.entries = slices.DeleteFunc(m.entries, func(e stream.Entry) bool { return slices.Contains(ids, e.ID) })
}

// Trim removes the oldest entries of a stream down to length.
func (s *Server) Trim(strm string, length int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.stream(strm)
	m.entries = slices.Delete(m.entries, 0, max(0, len(m.entries)-length))
}

// CreateGroup creates a group on a stream, which need not exist. The group
// reads what comes after the given ID. A group's name is used once on a server,
// whatever its stream; the group must not exist.
func (s *Server) CreateGroup(strm, name string, after stream.ID) {
	s.tb.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.groups[name] != nil {
		s.tb.Fatalf("create group %s: it exists", name)
	}
	s.createGroup(strm, name, after)
}

func (s *Server) createGroup(strm, name string, after stream.ID) {
	s.groups[name] = &group{stream: s.stream(strm), lastDelivered: after}
	s.ledger(name)
}

// DestroyGroup destroys a group with its pending entries, if it exists. Its
// dead letters stay.
func (s *Server) DestroyGroup(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.groups, name)
	s.wake()
}

// Flush removes all streams, groups and dead letters, as FLUSHALL does. Sources
// that are made afterwards have another epoch.
func (s *Server) Flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.streams)
	clear(s.groups)
	for _, l := range s.ledgers {
		l.letters = nil
	}
	s.flushes++
	s.wake()
}

// LimitLetters makes the dead letters of a group full at n; 0, the default, is
// no limit.
func (s *Server) LimitLetters(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.maxLetters = n
}

// Epoch is the epoch that sources of now give to their deliveries.
func (s *Server) Epoch() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.epoch()
}

func (s *Server) epoch() string { return fmt.Sprintf("epoch-%d", s.flushes+1) }

func (s *Server) stream(name string) *memStream {
	m := s.streams[name]
	if m == nil {
		m = &memStream{name: name}
		s.streams[name] = m
	}
	return m
}

func (s *Server) ledger(name string) *ledger {
	l := s.ledgers[name]
	if l == nil {
		l = &ledger{acked: map[stream.ID]int{}}
		s.ledgers[name] = l
	}
	return l
}

// wake makes every blocked reader look again.
func (s *Server) wake() {
	close(s.changed)
	s.changed = make(chan struct{})
}

func (m *memStream) get(id stream.ID) (stream.Entry, bool) {
	i, ok := slices.BinarySearchFunc(m.entries, id, entryCompare)
	if !ok {
		return stream.Entry{}, false
	}
	return m.entries[i], true
}

func entryCompare(e stream.Entry, id stream.ID) int { return e.ID.Compare(id) }
