package redistest_test

import (
	"context"
	"testing"
	"time"

	"example.com/fanout/test/redistest"
)

func TestLifecycle(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, redistest.WithPersistence())
	s.Do(t, "SET", "k", "v")
	s.Stop(t)
	if err := s.Client().Ping(context.Background()).Err(); err == nil {
		t.Fatal("a stopped server answers")
	}
	s.Restart(t)
	if got := s.Do(t, "GET", "k"); got != "v" {
		t.Fatalf("after Restart: %v, want v", got)
	}
	s.Kill(t)
	s.Restart(t)
	if got := s.Do(t, "GET", "k"); got != "v" {
		t.Fatalf("after Kill and Restart: %v, want v", got)
	}
	s.StartEmpty(t)
	if got := s.Do(t, "GET", "k"); got != nil {
		t.Fatalf("after StartEmpty: %v, want nothing", got)
	}
	s.Pause(t)
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- s.Client().Set(context.Background(), "k", "late", 0).Err() }()
	select {
	case err := <-done:
		t.Fatalf("a paused server answers: %v", err)
	case <-ctx.Done():
	}
	s.Resume(t)
	if err := <-done; err != nil {
		t.Fatalf("after Resume: %v", err)
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	tests := map[string][]redistest.Option{
		"plain":    nil,
		"args":     {redistest.WithArgs("--maxmemory", "10mb")},
		"tls":      {redistest.WithTLS()},
		"unix":     {redistest.WithUnixSocket()},
		"password": {redistest.WithPassword("s3 cret")},
		"user":     {redistest.WithUser("fan", "s3cret")},
	}
	for name, opts := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t, opts...)
			if got := s.Do(t, "PING"); got != "PONG" {
				t.Fatalf("PING: %v", got)
			}
			if s.URL() == "" || s.Port == 0 {
				t.Fatalf("URL %q, Port %d", s.URL(), s.Port)
			}
		})
	}
}

func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	for range 8 {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			if got := s.Do(t, "DBSIZE"); got != int64(0) {
				t.Fatalf("DBSIZE of a fresh server: %v", got)
			}
		})
	}
}
