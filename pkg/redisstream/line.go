package redisstream

import (
	"context"
	"errors"
	"net"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// line is the connection that one consumer reads on. The client library dials
// it, authenticates and selects the database; from then on its bytes are ours,
// for the library takes ten times as long to get a reply off the wire, and can
// only take all of it. The library does not touch a connection that was taken
// out of its pool. RESP2 has no push messages that could stand between replies.
//
// Its methods are the reading goroutine's, except hangUp and ID.
type line struct {
	options redis.Options
	name    string        // for CLIENT LIST
	dialing chan struct{} // shared; bounds how many connect at once

	lib  *redis.Client // of this one connection; nil: not connected
	held *redis.Conn
	net  net.Conn
	wire wire

	left     int           // entries of the reply under way that were not taken
	since    time.Time     // when that began to arrive
	patience time.Duration // how long the next bytes may take
	used     time.Time     // end of the last conversation, where that is noted
	out      []byte

	present atomic.Pointer[dialed]
}

// dialed is what is learned while a connection is made. Each attempt has its
// own: the library may still be dialing for one that was given up.
type dialed struct {
	id   atomic.Int64 // what ends its block; 0 where that is not possible
	mu   sync.Mutex   // guards conn
	conn net.Conn
}

func (d *dialed) connection() net.Conn {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.conn
}

// ID is what ends a block on this connection, 0 where nothing does.
func (l *line) ID() int64 {
	if d := l.present.Load(); d != nil {
		return d.id.Load()
	}
	return 0
}

// connect makes the connection where there is none.
func (l *line) connect(ctx context.Context) error {
	if l.lib != nil {
		return nil
	}
	select {
	case l.dialing <- struct{}{}:
		defer func() { <-l.dialing }()
	case <-ctx.Done():
		return ctx.Err()
	}
	d := &dialed{}
	o := l.options
	o.ReadBufferSize, o.WriteBufferSize = 1<<10, 1<<10 // the library says hello over it, nothing else
	o.PoolSize = 1
	o.ConnMaxIdleTime = -1
	o.OnConnect = func(ctx context.Context, conn *redis.Conn) error { return d.introduce(ctx, conn, l.name) }
	dial := o.Dialer
	o.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		d.mu.Lock()
		d.conn = conn
		d.mu.Unlock()
		return conn, err
	}
	l.present.Store(d)
	l.lib = redis.NewClient(&o)
	l.held = l.lib.Conn()
	if err := l.held.Ping(ctx).Err(); err != nil {
		l.close()
		return err
	}
	l.net, l.wire = d.connection(), wire{conn: l}
	return nil
}

// glance is how long it takes to see whether a connection was closed.
const glance = time.Millisecond

// dropClosed gives the connection up if it has not been used for so long and was
// closed meanwhile (by the server's timeout, CLIENT KILL, a restart), which would
// fail the next conversation.
func (l *line) dropClosed(unused time.Duration) {
	if l.lib == nil || time.Since(l.used) < unused {
		return
	}
	err := l.net.SetReadDeadline(time.Now().Add(glance))
	if err == nil {
		_, err = l.net.Read(make([]byte, 1))
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		l.close()
	}
}

// introduce names the connection, learns its ID and whether its block can be
// ended. A server that does not let us is as good as one that cannot.
func (d *dialed) introduce(ctx context.Context, conn *redis.Conn, name string) error {
	pipe := conn.Pipeline()
	pipe.ClientSetName(ctx, name)
	id := pipe.ClientID(ctx)
	unblock := pipe.ClientUnblock(ctx, 0) // nobody's ID: it asks for the permission alone
	if _, err := pipe.Exec(ctx); err != nil && !answered(err) {
		return err
	}
	if id.Err() == nil && unblock.Err() == nil {
		d.id.Store(id.Val())
	}
	return nil
}

// close gives the connection up, with what is still to come on it.
func (l *line) close() {
	l.present.Store(nil)
	l.left = 0
	if l.lib == nil {
		return
	}
	_ = l.held.Close()
	_ = l.lib.Close()
	l.lib, l.held, l.net, l.wire = nil, nil, nil, wire{}
}

// hangUp closes the connection under a read that nothing else ends. It may be
// called at any time.
func (l *line) hangUp() {
	if d := l.present.Load(); d != nil {
		if conn := d.connection(); conn != nil {
			_ = conn.Close()
		}
	}
}

// Read is for wire: it waits for the next bytes for as long as the patience
// lasts.
func (l *line) Read(p []byte) (int, error) {
	if err := l.net.SetReadDeadline(time.Now().Add(l.patience)); err != nil {
		return 0, err
	}
	l.patience = replyTimeout
	return l.net.Read(p)
}

// send writes what is in out. The first bytes of the answer may take as long as
// block and what a reply takes.
func (l *line) send(block time.Duration) error {
	l.patience = block + replyTimeout
	if err := l.net.SetWriteDeadline(time.Now().Add(replyTimeout)); err != nil {
		return err
	}
	_, err := l.net.Write(l.out)
	return err
}

// command appends a command to out.
func (l *line) command(words ...string) {
	l.begin(len(words))
	for _, w := range words {
		l.out = appendWord(l.out, w)
	}
}

// begin begins a command of n words.
func (l *line) begin(n int) {
	l.out = append(strconv.AppendInt(append(l.out, '*'), int64(n), 10), "\r\n"...)
}

// appendWord appends a word of a command.
func appendWord[T string | []byte](out []byte, w T) []byte {
	out = append(strconv.AppendInt(append(out, '$'), int64(len(w)), 10), "\r\n"...)
	return append(append(out, w...), "\r\n"...)
}
