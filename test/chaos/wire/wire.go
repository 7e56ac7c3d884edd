// Package wire is a TCP proxy that breaks connections on purpose: in the
// middle of a request or of a reply, by delay, or by a silence that no
// connection notices.
package wire

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// Direction is that of the bytes.
type Direction uint8

// The directions.
const (
	Requests Direction = iota // from the client to the server
	Replies
)

// Proxy passes connections on to one server. Its methods are safe for
// concurrent use.
type Proxy struct {
	target   string
	listener net.Listener
	closing  chan struct{}
	serving  sync.WaitGroup

	mu    sync.Mutex // guards all below
	delay time.Duration
	open  chan struct{} // closed while bytes pass
	links map[*link]struct{}
}

// link is one connection through the proxy.
type link struct {
	client, server net.Conn
	cut            [2]bool // the next bytes of the direction are its last; guarded by Proxy.mu
	word           []byte  // so are the next requests that hold it; nil for none; guarded by Proxy.mu
	gone           chan struct{}
	once           sync.Once
}

// Listen opens a proxy on a free port of 127.0.0.1.
func Listen(target string) (*Proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("open the proxy: %w", err)
	}
	p := &Proxy{target: target, listener: l, closing: make(chan struct{}), open: make(chan struct{}), links: map[*link]struct{}{}}
	close(p.open)
	p.serving.Go(p.accept)
	return p, nil
}

// Addr is where clients connect.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Close ends all connections and returns when nothing of the proxy runs.
func (p *Proxy) Close() {
	close(p.closing)
	_ = p.listener.Close()
	p.mu.Lock()
	for l := range p.links {
		l.close()
	}
	p.mu.Unlock()
	p.serving.Wait()
}

// Latency delays whatever passes from now on; 0 does not.
func (p *Proxy) Latency(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = d
}

// Blackhole holds all bytes back while it is on. No connection ends, and new
// ones are accepted.
func (p *Proxy) Blackhole(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	passes := true
	select {
	case <-p.open:
	default:
		passes = false
	}
	switch {
	case on && passes:
		p.open = make(chan struct{})
	case !on && !passes:
		close(p.open)
	}
}

// Cut marks a share of the connections, from 0 to 1: the next bytes in the
// direction pass in part, and then both ends are closed. It returns how many it
// has marked.
func (p *Proxy) Cut(d Direction, share float64, random *rand.Rand) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for l := range p.links {
		if random.Float64() < share {
			l.cut[d] = true
			n++
		}
	}
	return n
}

// CutWord lets the next request of each connection that holds the word pass in
// part, and closes both ends then.
func (p *Proxy) CutWord(word string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		l.word = []byte(word)
	}
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.serving.Go(func() { p.connect(client) })
	}
}

func (p *Proxy) connect(client net.Conn) {
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		_ = client.Close()
		return
	}
	l := &link{client: client, server: server, gone: make(chan struct{})}
	p.mu.Lock()
	p.links[l] = struct{}{}
	p.mu.Unlock()
	select {
	case <-p.closing: // Close may not have seen it
		l.close()
	default:
	}
	var both sync.WaitGroup
	both.Go(func() { p.pump(l, Requests, server, client) })
	both.Go(func() { p.pump(l, Replies, client, server) })
	both.Wait()
	p.mu.Lock()
	delete(p.links, l)
	p.mu.Unlock()
}

// pump passes the bytes of one direction on until either side ends.
func (p *Proxy) pump(l *link, d Direction, to io.Writer, from io.Reader) {
	defer l.close()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 && !p.pass(l, d, to, buffer[:n]) || err != nil {
			return
		}
	}
}

// pass reports whether the connection goes on.
func (p *Proxy) pass(l *link, d Direction, to io.Writer, b []byte) bool {
	p.mu.Lock()
	open, delay := p.open, p.delay
	p.mu.Unlock()
	select {
	case <-open:
	case <-l.gone:
		return false
	}
	if delay > 0 {
		timer := time.NewTimer(delay)
		select {
		case <-timer.C:
		case <-l.gone:
			timer.Stop()
			return false
		}
	}
	p.mu.Lock()
	cut := l.cut[d] || d == Requests && l.word != nil && bytes.Contains(b, l.word)
	p.mu.Unlock()
	if cut {
		b = b[:len(b)/2]
	}
	_, err := to.Write(b)
	return err == nil && !cut
}

func (l *link) close() {
	l.once.Do(func() {
		close(l.gone)
		_ = l.client.Close()
		_ = l.server.Close()
	})
}
