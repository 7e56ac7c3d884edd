package redisstream

import (
	"strings"
	"time"

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

	line   line        // the reading goroutine's, as what follows
	behind bool        // the last large read has brought all that it asked for
	timer  *time.Timer // of a wait for others; not running
	talks  talks
}

// Source returns the view of one consumer. Deliveries carry epoch. It does no
// I/O; Redis makes the consumer when it first reads.
func (g *Group) Source(consumer, epoch string) *Source {
	s := &Source{group: g, consumer: consumer, epoch: epoch, timer: time.NewTimer(0)}
	s.timer.Stop()
	s.line.options, s.line.name, s.line.dialing = g.client.options, clientName(g.cfg.Group, consumer), g.client.dialing
	return s
}

// Close closes the reader's connection.
func (s *Source) Close() error {
	s.talks.close()
	s.line.close()
	return nil
}

// Connection tells what CLIENT LIST shows of the reader's connection: its ID, 0
// where that is not known, and the address of this end, "" while there is none.
// It may be called from any goroutine.
func (s *Source) Connection() (id int64, addr string) {
	d := s.line.present.Load()
	if d == nil {
		return 0, ""
	}
	if conn := d.connection(); conn != nil {
		addr = conn.LocalAddr().String()
	}
	return d.id.Load(), addr
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
