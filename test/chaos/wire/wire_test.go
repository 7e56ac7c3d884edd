package wire_test

import (
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"testing"
	"time"

	"example.com/fanout/test/chaos/wire"
)

// echo gives back what it gets, to a client behind a proxy.
func echo(t *testing.T) (*wire.Proxy, net.Conn) {
	t.Helper()
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	go func() {
		for {
			conn, err := server.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(conn, conn)
				conn.Close()
			}()
		}
	}()
	proxy, err := wire.Listen(server.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Close)
	conn, err := net.Dial("tcp", proxy.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	say(t, conn, "hello")
	return proxy, conn
}

// say sends a text and wants it back.
func say(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	if _, err := conn.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(text))
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != text {
		t.Fatalf("got %q, %v, want %q", got, err, text)
	}
}

func TestCut(t *testing.T) {
	t.Parallel()
	for _, d := range []wire.Direction{wire.Requests, wire.Replies} {
		proxy, conn := echo(t)
		if n := proxy.Cut(d, 1, rand.New(rand.NewPCG(1, 1))); n != 1 {
			t.Fatalf("%d connections are cut, want 1", n)
		}
		if _, err := conn.Write([]byte("12345678")); err != nil {
			t.Fatal(err)
		}
		got, _ := io.ReadAll(conn)
		if d == wire.Replies && string(got) != "1234" {
			t.Errorf("got %q of the reply, want its first half", got)
		}
		if d == wire.Requests && len(got) > 4 {
			t.Errorf("got %q, more than was let through", got)
		}
	}
}

func TestCutWord(t *testing.T) {
	t.Parallel()
	proxy, conn := echo(t)
	proxy.CutWord("ack")
	say(t, conn, "read")
	if _, err := conn.Write([]byte("the ack.")); err != nil {
		t.Fatal(err)
	}
	if got, _ := io.ReadAll(conn); len(got) > 4 {
		t.Errorf("got %q, more than was let through", got)
	}
}

func TestBlackhole(t *testing.T) {
	t.Parallel()
	proxy, conn := echo(t)
	proxy.Blackhole(true)
	proxy.Blackhole(true)
	if _, err := conn.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("got %v, want silence", err)
	}
	_ = conn.SetReadDeadline(time.Time{})
	proxy.Blackhole(false)
	if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	say(t, conn, "again")
}

func TestLatency(t *testing.T) {
	t.Parallel()
	proxy, conn := echo(t)
	proxy.Latency(30 * time.Millisecond)
	began := time.Now()
	say(t, conn, "slow")
	if took := time.Since(began); took < 60*time.Millisecond {
		t.Errorf("there and back took %v, want 60ms at least", took)
	}
}
