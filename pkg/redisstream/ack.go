package redisstream

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/fanout/pkg/stream"
)

// Many entries are acknowledged with XACK itself: ackScript costs Redis half as
// much again. XACK takes an entry from whoever holds it, so it stands in a
// transaction that Redis gives up when anything has been taken over since its
// owner was looked at (https://redis.io/docs/latest/develop/using-commands/transactions,
// "optimistic locking using check-and-set"):
//
//	WATCH untaken, EXISTS untaken, XPENDING of each probe, MULTI: are all ours?
//	XACK, EXEC: nil when untaken was touched meanwhile
//
// The key untaken stands for "nobody has taken entries of this group over". The
// scripts that do, or that make or move the group, delete it; what acknowledges
// next makes it again. Whatever is not as it should be goes to the script.
const (
	plainAcks  = 128         // from how many on the second round trip pays
	ackLines   = 32          // connections to acknowledge on at most, and no more than consumers
	plainPause = time.Minute // after a server has refused a part of it
	maxProbes  = 16
)

// ackOnLine acknowledges refs over a line of its own, for which the client library
// needs half of the time that a few entries take in all. It reports that it has
// not tried when it has done nothing; after another error it may have been done.
func (s *Source) ackOnLine(ctx context.Context, probes, refs []stream.ID) (acked int, tried bool, err error) {
	c := s.group.client
	l := c.ackers.take(ctx)
	if l == nil {
		return 0, false, nil
	}
	defer c.ackers.give(l)
	l.dropClosed(time.Second)
	if err := l.connect(ctx); err != nil {
		return 0, false, nil //nolint:nilerr // the library will say it
	}
	stop := context.AfterFunc(ctx, l.hangUp)
	defer stop()
	var chunk stream.Chunk
	l.wire.begin(&chunk)
	if s.plainly(probes, refs) {
		acked, tried, err = s.ackPlainly(l, probes, refs)
		if err != nil && answered(err) && !redis.HasErrorPrefix(err, "NOGROUP") {
			c.plainAfter.Store(time.Now().Add(plainPause).UnixNano())
		}
	}
	if err == nil && !tried {
		acked, tried, err = s.ackByScript(l, probes, refs)
	}
	if err != nil { // what else is on the wire, and what is watched, cannot be told
		l.close()
		if !tried {
			err = nil
		}
		return 0, tried, err
	}
	l.wire.end()
	l.used = time.Now()
	return acked, tried, nil
}

// lines are connections that are made when they are needed. The one that was used
// last is used first, so that there are as few as work at once.
type lines struct {
	create func() *line
	slots  chan struct{} // one element for each that is in use
	mu     sync.Mutex    // guards idle
	idle   []*line
}

// take returns nil when ctx is done before a line is free.
func (p *lines) take(ctx context.Context) *line {
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.idle); n > 0 {
		l := p.idle[n-1]
		p.idle = p.idle[:n-1]
		return l
	}
	return p.create()
}

func (p *lines) give(l *line) {
	p.mu.Lock()
	p.idle = append(p.idle, l)
	p.mu.Unlock()
	<-p.slots
}

// close closes those that are not in use.
func (p *lines) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.idle {
		l.close()
	}
	p.idle = nil
}

// ackByScript runs ackScript.
func (s *Source) ackByScript(l *line, probes, refs []stream.ID) (acked int, tried bool, err error) {
	l.out = l.out[:0]
	cfg := &s.group.cfg
	l.command("EVALSHA", ackScript.Hash(), "1", cfg.Stream, cfg.Group, s.consumer,
		strconv.FormatInt(cfg.MinIdle.Milliseconds(), 10), string(list(probes)), string(list(refs)))
	if err := l.send(0); err != nil {
		return 0, true, err
	}
	err = l.wire.take(func(k *cursor) (err error) { acked, err = k.answer(':'); return err })
	return acked, err == nil || !answered(err), err
}

// plainly reports whether it pays, and is possible, to acknowledge with XACK.
func (s *Source) plainly(probes, refs []stream.ID) bool {
	c := s.group.client
	return s.group.untakenKey != "" && len(refs) >= c.plainFrom && len(probes) > 0 && len(probes) <= maxProbes &&
		time.Now().UnixNano() >= c.plainAfter.Load()
}

// ackPlainly acknowledges refs with XACK, or none.
func (s *Source) ackPlainly(l *line, probes, refs []stream.ID) (acked int, tried bool, err error) {
	ours, err := s.stillOurs(l, probes)
	if err != nil {
		return 0, false, err
	}
	if !ours {
		return 0, false, s.forgo(l)
	}
	return s.ackWatched(l, refs)
}

// stillOurs watches untaken, looks at the probes and begins the transaction.
func (s *Source) stillOurs(l *line, probes []stream.ID) (bool, error) {
	g := s.group
	l.out = l.out[:0]
	l.command("WATCH", g.untakenKey)
	l.command("EXISTS", g.untakenKey)
	for _, id := range probes {
		text := id.String()
		l.command("XPENDING", g.cfg.Stream, g.cfg.Group, text, text, "1", s.consumer)
	}
	l.command("MULTI")
	if err := l.send(0); err != nil {
		return false, err
	}
	if err := l.wire.take(func(k *cursor) error { return k.status() }); err != nil {
		return false, err
	}
	var there int
	if err := l.wire.take(func(k *cursor) (err error) { there, err = k.answer(':'); return err }); err != nil {
		return false, err
	}
	ours := there == 1
	for range probes {
		var idle int
		err := l.wire.take(func(k *cursor) (err error) { idle, err = k.idle(); return err })
		if err != nil {
			return false, err
		}
		ours = ours && idle >= 0 && time.Duration(idle)*time.Millisecond < g.cfg.MinIdle
	}
	return ours, l.wire.take(func(k *cursor) error { return k.status() })
}

// forgo makes the next one possible, for this one is not.
func (s *Source) forgo(l *line) error {
	l.out = l.out[:0]
	l.command("DISCARD")
	l.command("SETNX", s.group.untakenKey, "1")
	if err := l.send(0); err != nil {
		return err
	}
	if err := l.wire.take(func(k *cursor) error { return k.status() }); err != nil {
		return err
	}
	return l.wire.take(func(k *cursor) error { _, err := k.answer(':'); return err })
}

// ackWatched acknowledges unless untaken has been touched.
func (s *Source) ackWatched(l *line, refs []stream.ID) (acked int, done bool, err error) {
	l.out = l.out[:0]
	l.begin(3 + len(refs))
	for _, w := range []string{"XACK", s.group.cfg.Stream, s.group.cfg.Group} {
		l.out = appendWord(l.out, w)
	}
	var text [2 * idBytes]byte
	var begin []byte // of the ID, with its dash: many in a row share it
	var ms uint64
	for _, id := range refs {
		if id.Ms != ms || begin == nil {
			ms = id.Ms
			begin = append(strconv.AppendUint(text[:0], ms, 10), '-')
		}
		l.out = appendWord(l.out, strconv.AppendUint(begin, id.Seq, 10))
	}
	l.command("EXEC")
	if err := l.send(0); err != nil {
		return 0, true, err
	}
	if err := l.wire.take(func(k *cursor) error { return k.status() }); err != nil {
		return 0, !answered(err), err // refused: EXEC then does nothing
	}
	results := 0
	err = l.wire.take(func(k *cursor) (err error) {
		if results, err = k.answer('*'); err == nil && results > 0 {
			acked, err = k.answer(':')
		}
		return err
	})
	if err != nil {
		return 0, !answered(err), err
	}
	return acked, results > 0, nil
}
