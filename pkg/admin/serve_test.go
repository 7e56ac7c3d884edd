package admin_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"example.com/fanout/pkg/admin"
)

func TestListen(t *testing.T) {
	t.Parallel()
	for addr, ok := range map[string]bool{
		"127.0.0.1:0": true, "localhost:0": true, "0.0.0.0:0": true, "nonsense": false, "127.0.0.1:x": false,
	} {
		l, err := admin.Listen(t.Context(), addr)
		if (err == nil) != ok {
			t.Errorf("Listen(%q) = %v, want success %v", addr, err, ok)
		}
		if err == nil {
			l.Close()
		}
	}

	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	if _, err := admin.Listen(t.Context(), taken.Addr().String()); err == nil {
		t.Error("Listen on a taken address succeeds")
	}
}

// Off loopback nothing is served that needs no token.
func TestServeIsProtected(t *testing.T) {
	t.Parallel()
	for _, addr := range []string{"0.0.0.0:0", "[::]:0", ":0"} {
		l, err := admin.Listen(t.Context(), addr)
		if err != nil {
			t.Logf("no address like %s here: %v", addr, err)
			continue
		}
		err = admin.New(admin.Config{Controller: running("g")}).Serve(t.Context(), l)
		if err == nil || !strings.Contains(err.Error(), "admin.token_file") {
			t.Errorf("Serve at %s without a token: %v", addr, err)
		}
		if _, err := net.Dial("tcp", l.Addr().String()); err == nil {
			t.Errorf("%s still answers", addr)
		}
	}
	for _, cfg := range []admin.Config{{Token: secret}, {TokenFile: "/nowhere"}} {
		l, err := admin.Listen(t.Context(), "0.0.0.0:0")
		if err != nil {
			t.Fatal(err)
		}
		cfg.Controller = running("g")
		addr := serveOn(t, cfg, l)
		if got := ask(t, addr, "GET", "/v1/groups"); got.status != 401 {
			t.Errorf("without the token the answer is %d %s", got.status, got.body)
		}
	}
}

// slow holds up Restart until its context is done or it is let go.
type slow struct {
	*fake
	began chan struct{}
	let   chan struct{}
}

func (s slow) Restart(context.Context, string) error {
	close(s.began)
	<-s.let
	return nil
}

func TestServeEndsInTime(t *testing.T) {
	t.Parallel()
	for name, letGo := range map[string]bool{"running request ends": true, "running request hangs": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := slow{running("g"), make(chan struct{}), make(chan struct{})}
			l, err := admin.Listen(t.Context(), "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			served, answered := make(chan error, 1), make(chan error, 1)
			go func() { served <- admin.New(admin.Config{Controller: c}).Serve(ctx, l) }()
			go func() { answered <- admin.NewClient(l.Addr().String()).Restart(t.Context(), "g") }()
			<-c.began
			begin := time.Now()
			stop()
			if letGo {
				close(c.let)
			} else {
				defer close(c.let)
			}
			if err := <-served; err != nil {
				t.Errorf("Serve: %v", err)
			}
			if took := time.Since(begin); took > 4*time.Second {
				t.Errorf("Serve took %v to end", took)
			}
			if err := <-answered; (err == nil) != letGo {
				t.Errorf("the running request ended with %v", err)
			}
			if _, err := net.Dial("tcp", l.Addr().String()); err == nil {
				t.Error("the address still answers")
			}
		})
	}
}

func TestServeReportsItsListener(t *testing.T) {
	t.Parallel()
	l, err := admin.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	err = admin.New(admin.Config{Controller: running()}).Serve(t.Context(), l)
	if !errors.Is(err, net.ErrClosed) {
		t.Errorf("Serve on a closed listener = %v, want %v", err, net.ErrClosed)
	}
}

func TestNoMetrics(t *testing.T) {
	t.Parallel()
	l, err := admin.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- admin.New(admin.Config{Controller: running()}).Serve(ctx, l) }()
	if got := ask(t, l.Addr().String(), "GET", "/metrics"); got.status != http.StatusNotFound || !strings.Contains(got.body, "error") {
		t.Errorf("answer is %d %s", got.status, got.body)
	}
	stop()
	if err := <-served; err != nil {
		t.Errorf("Serve: %v", err)
	}
}
