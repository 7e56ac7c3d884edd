package admin

import (
	"errors"
	"net"
	"testing"
	"time"
)

// A connection too many waits until another one is closed, and the end of the
// listener is the end of all waiting.
func TestBounded(t *testing.T) {
	t.Parallel()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := bound(inner, 2)
	accepted, ended := make(chan net.Conn, 10), make(chan error, 1)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				ended <- err
				return
			}
			accepted <- c
		}
	}()
	for range 3 {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	first := <-accepted
	second := <-accepted
	select {
	case <-accepted:
		t.Fatal("a third one is accepted")
	case <-time.After(50 * time.Millisecond): // it may come too late to be seen, never too early
	}
	for range 2 { // closing twice gives one place
		first.Close()
	}
	third := <-accepted
	defer third.Close()
	defer second.Close()
	if len(l.places) != 2 {
		t.Errorf("%d places are taken", len(l.places))
	}
	l.Close()
	l.Close()
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept ends with %v", err)
	}
}
