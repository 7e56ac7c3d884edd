package redisstream

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/redis/go-redis/v9"

	"example.com/fanout/pkg/stream"
)

// Source is one consumer's view of its group. It has a connection of its own
// for reads; everything else goes over the client's control pool.
//
// Read, Own and Claim are for one goroutine at a time, Ack, Hold and Bury for
// one goroutine at a time; the two may be at work at once.
type Source struct {
	group    *Group
	consumer string
	epoch    string

	reader *redis.Client // the reading goroutine's; of one connection

	// Of the reader's present connection, set when it is made.
	connID atomic.Int64 // what ends its block; 0 where that is not possible
	connMu sync.Mutex
	conn   net.Conn
}

// Source returns the view of one consumer. Deliveries carry epoch. It does no
// I/O; Redis makes the consumer when it first reads.
func (g *Group) Source(consumer, epoch string) *Source {
	s := &Source{group: g, consumer: consumer, epoch: epoch}
	s.reader = s.newReader()
	return s
}

// Close closes the reader's connection.
func (s *Source) Close() error {
	if err := s.reader.Close(); err != nil {
		return fmt.Errorf("close reader %s: %w", s.consumer, err)
	}
	return nil
}

func (s *Source) newReader() *redis.Client {
	o := s.group.client.options
	o.PoolSize = 1
	o.ReadTimeout = longBlock + replyTimeout // the library sets it for blocking reads as well
	o.ConnMaxIdleTime = -1
	o.OnConnect = s.introduce
	dial := o.Dialer
	o.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
		s.connID.Store(0)
		conn, err := dial(ctx, network, addr)
		s.connMu.Lock()
		s.conn = conn
		s.connMu.Unlock()
		return conn, err
	}
	return redis.NewClient(&o)
}

// introduce names the connection, learns its ID and whether its block can be
// ended. A server that does not let us is as good as one that cannot.
func (s *Source) introduce(ctx context.Context, conn *redis.Conn) error {
	pipe := conn.Pipeline()
	pipe.ClientSetName(ctx, clientName(s.group.cfg.Group, s.consumer))
	id := pipe.ClientID(ctx)
	unblock := pipe.ClientUnblock(ctx, 0) // nobody's ID: it asks for the permission alone
	if _, err := pipe.Exec(ctx); err != nil && !answered(err) {
		return err
	}
	if id.Err() == nil && unblock.Err() == nil {
		s.connID.Store(id.Val())
	}
	return nil
}

// clientName is what CLIENT LIST shows; names must not hold spaces and the like.
func clientName(group, consumer string) string {
	return strings.Map(func(r rune) rune {
		if r < '!' || r > '~' {
			return '_'
		}
		return r
	}, "fanout:"+group+":"+consumer)
}

// hangUp closes the connection under a read that nothing else ends.
func (s *Source) hangUp() {
	s.connMu.Lock()
	conn := s.conn
	s.connMu.Unlock()
	if conn != nil {
		_ = conn.Close()
	}
}

func (s *Source) delivery(e stream.Entry, origin stream.Origin, count int64) stream.Delivery {
	return stream.Delivery{
		Entry:  e,
		Stream: s.group.cfg.Stream,
		Epoch:  s.epoch,
		Ref:    e.ID,
		Origin: origin,
		Count:  count,
	}
}

func (s *Source) op(verb string) string {
	return verb + " " + s.group.cfg.Group + " as " + s.consumer
}
