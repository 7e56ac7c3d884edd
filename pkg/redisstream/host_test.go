package redisstream_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"example.com/fanout/pkg/redisstream"
	"example.com/fanout/pkg/stream"
)

const (
	hostKey  = "{events}:fanout:host:g"
	farHost  = `{"host":"far","boot":"b"}`
	hostTime = 30 * time.Second
)

// bound is a group that belongs on one host.
func (s *scene) bound() *redisstream.Group {
	cfg := config()
	cfg.OneHost = true
	return open(s.T, s.server).Group(cfg)
}

func (s *scene) hostLeft() time.Duration {
	return s.server.Client().PTTL(s.Context(), hostKey).Val()
}

// Any number of processes of one host share its right, and each renews it.
func TestOneHost(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	for range 2 {
		g := s.bound()
		ensure(t, g)
		s.do("PEXPIRE", hostKey, 5000)
		if _, err := g.Checkpoint(t.Context()); err != nil {
			t.Fatal(err)
		}
		if left := s.hostLeft(); left < hostTime-5*time.Second || left > hostTime {
			t.Errorf("%v are left after a checkpoint, want about %v", left, hostTime)
		}
	}
	other := config()
	other.Group = "h"
	ensure(t, open(t, s.server).Group(other))
	if keys := s.server.Client().Keys(t.Context(), "*:host:*").Val(); len(keys) != 1 {
		t.Errorf("keys %q: a group of all hosts has one", keys)
	}
}

// A group that another host runs is left alone until its lease has run out.
func TestOtherHost(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.do("SET", hostKey, farHost, "PX", 1500)
	g := s.bound()
	_, err := g.Ensure(t.Context())
	if !errors.Is(err, stream.ErrOtherHost) || !strings.Contains(err.Error(), "another host runs the group: far; ") {
		t.Fatalf("ensure: %v, want ErrOtherHost that names far", err)
	}
	if s.do("EXISTS", key) != int64(0) {
		t.Error("the group was created all the same")
	}
	eventually(t, func() bool { _, err := g.Ensure(t.Context()); return err == nil })

	// And one that it has taken meanwhile.
	s.do("SET", hostKey, farHost, "PX", 1500)
	if _, err := g.Checkpoint(t.Context()); !errors.Is(err, stream.ErrOtherHost) {
		t.Fatalf("checkpoint: %v, want ErrOtherHost", err)
	}
	if s.do("GET", hostKey) != farHost || s.hostLeft() > 1500*time.Millisecond {
		t.Error("its right was taken or renewed")
	}
	eventually(t, func() bool { _, err := g.Checkpoint(t.Context()); return err == nil })
}

func TestHostLeaseOfNobody(t *testing.T) {
	t.Parallel()
	for held, want := range map[string]string{
		"what?":             "something that is not fanout holds {events}:fanout:host:g: delete it",
		"{}":                "something that is not fanout",
		farHost:             "far, by a lease without an end: delete {events}:fanout:host:g",
		`{"host":"\u001b"}`: `"\x1b", by a lease without an end`,
	} {
		s := newScene(t)
		s.do("SET", hostKey, held)
		if _, err := s.bound().Ensure(t.Context()); !errors.Is(err, stream.ErrOtherHost) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", held, err, want)
		}
	}
}
