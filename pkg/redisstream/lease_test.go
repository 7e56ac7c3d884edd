package redisstream_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/fanout/pkg/redisstream"
	"example.com/fanout/pkg/telemetry"
)

const leaseKey = "fanout:instance:host"

func (s *scene) acquire(cfg redisstream.InstanceConfig) *redisstream.Lease {
	s.Helper()
	l, err := open(s.T, s.server).AcquireInstance(s.Context(), cfg)
	if err != nil {
		s.Fatal(err)
	}
	return l
}

// elsewhere makes a lease of another machine; left is for how long.
func (s *scene) elsewhere(left time.Duration) {
	s.Helper()
	s.do("SET", leaseKey, `{"token":"t","host":"far","boot":"b","pid_namespace":"n","pid":77,"started":"1","since":"2025"}`, "PX", left.Milliseconds())
}

// before runs do before each command of a name.
type before struct {
	name string
	do   func()
}

func (before) DialHook(next redis.DialHook) redis.DialHook { return next }

func (b before) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.Name() == b.name {
			b.do()
		}
		return next(ctx, cmd)
	}
}

func (before) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func TestInstanceOnOneHost(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	cfg := redisstream.InstanceConfig{Name: "host", LeaseTime: time.Minute}
	first := s.acquire(cfg)
	start := time.Now()
	second, third := s.acquire(cfg), s.acquire(cfg)
	if got := first.Name() + " " + second.Name() + " " + third.Name(); got != "host host.2 host.3" {
		t.Errorf("names %s", got)
	}
	cfg.Given = true
	_, err := open(t, s.server).AcquireInstance(t.Context(), cfg)
	if !errors.Is(err, redisstream.ErrInstanceHeld) || !strings.Contains(err.Error(), fmt.Sprintf("process %d ", os.Getpid())) {
		t.Errorf("given name: %v, want an error that names this process", err)
	}
	if d := time.Since(start); d > 20*time.Second {
		t.Errorf("it took %v: the holder is seen to be alive", d)
	}
	if err := second.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	if again := s.acquire(redisstream.InstanceConfig{Name: "host"}); again.Name() != "host.2" {
		t.Errorf("after the release: %s, want host.2", again.Name())
	}
	if err := second.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s.do("EXISTS", leaseKey+".2") != int64(1) {
		t.Error("a lease was released by one who no longer had it")
	}
}

// A process that was killed leaves its lease; the next one has it at once.
func TestInstanceOfKilledProcess(t *testing.T) {
	if url := os.Getenv("FANOUT_TEST_LEASE"); url != "" {
		c, err := redisstream.Open(redisstream.Config{URL: telemetry.Secret(url)})
		if err == nil {
			_, err = c.AcquireInstance(context.Background(), redisstream.InstanceConfig{Name: "host", Given: true, LeaseTime: time.Hour})
		}
		if err != nil {
			t.Fatal(err)
		}
		os.Exit(9) // releases nothing
	}
	t.Parallel()
	s := newScene(t)
	cmd := exec.Command(os.Args[0], "-test.run", "^TestInstanceOfKilledProcess$")
	cmd.Env = append(os.Environ(), "FANOUT_TEST_LEASE="+s.server.URL())
	if out, err := cmd.CombinedOutput(); cmd.ProcessState.ExitCode() != 9 {
		t.Fatalf("%v\n%s", err, out)
	}
	held := s.do("GET", leaseKey).(string)
	start := time.Now()
	if l := s.acquire(redisstream.InstanceConfig{Name: "host", LeaseTime: time.Hour}); l.Name() != "host" {
		t.Errorf("name %s, want host", l.Name())
	}
	if d := time.Since(start); d > 20*time.Second {
		t.Errorf("it took %v", d)
	}

	// Its number is another process's by now.
	var v map[string]any
	if err := json.Unmarshal([]byte(held), &v); err != nil {
		t.Fatal(err)
	}
	v["pid"] = os.Getppid()
	other, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	s.do("SET", leaseKey, other)
	if l := s.acquire(redisstream.InstanceConfig{Name: "host"}); l.Name() != "host" {
		t.Errorf("recycled PID: %s, want host", l.Name())
	}
}

func TestInstanceElsewhere(t *testing.T) {
	t.Parallel()
	t.Run("runs out", func(t *testing.T) {
		t.Parallel()
		s := newScene(t)
		s.elsewhere(700 * time.Millisecond)
		start := time.Now()
		l := s.acquire(redisstream.InstanceConfig{Name: "host", LeaseTime: time.Minute})
		if d := time.Since(start); l.Name() != "host" || d < 400*time.Millisecond {
			t.Errorf("%s after %v, want host when the lease has run out", l.Name(), d)
		}
	})
	t.Run("runs out while it is looked at", func(t *testing.T) {
		t.Parallel()
		s := newScene(t)
		s.elsewhere(time.Hour)
		c := open(t, s.server)
		c.AddHook(before{"pttl", func() { s.do("DEL", leaseKey) }})
		if _, err := c.AcquireInstance(t.Context(), redisstream.InstanceConfig{Name: "host", Given: true}); err != nil {
			t.Error(err)
		}
	})
	t.Run("is renewed", func(t *testing.T) {
		t.Parallel()
		s := newScene(t)
		s.elsewhere(time.Hour)
		ctx, cancel := context.WithCancel(t.Context())
		renewed := make(chan struct{})
		go func() {
			defer close(renewed)
			for ctx.Err() == nil {
				s.server.Client().PExpire(context.Background(), leaseKey, time.Hour)
			}
		}()
		_, err := open(t, s.server).AcquireInstance(t.Context(), redisstream.InstanceConfig{Name: "host", Given: true, LeaseTime: time.Hour})
		if !errors.Is(err, redisstream.ErrInstanceHeld) || !strings.Contains(err.Error(), "process 77 on host far") {
			t.Errorf("%v, want an error that names the holder", err)
		}
		cancel()
		<-renewed
	})
	t.Run("is held too long", func(t *testing.T) {
		t.Parallel()
		s := newScene(t)
		s.elsewhere(time.Hour)
		start := time.Now()
		l := s.acquire(redisstream.InstanceConfig{Name: "host", LeaseTime: 500 * time.Millisecond})
		if d := time.Since(start); l.Name() != "host.2" || d < 500*time.Millisecond {
			t.Errorf("%s after %v, want host.2 after the lease time", l.Name(), d)
		}
	})
	t.Run("is stopped", func(t *testing.T) {
		t.Parallel()
		s := newScene(t)
		s.elsewhere(time.Hour)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, err := open(t, s.server).AcquireInstance(ctx, redisstream.InstanceConfig{Name: "host", LeaseTime: time.Hour})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v, want the context's error", err)
		}
	})
	t.Run("is something else", func(t *testing.T) {
		t.Parallel()
		s := newScene(t)
		s.do("SET", leaseKey, "what?")
		_, err := open(t, s.server).AcquireInstance(t.Context(), redisstream.InstanceConfig{Name: "host", Given: true})
		if !errors.Is(err, redisstream.ErrInstanceHeld) {
			t.Errorf("%v, want ErrInstanceHeld", err)
		}
	})
}

// The reply of a first attempt may have been lost: the same client's second
// attempt does not stand in its own way.
func TestInstanceTwiceByOneClient(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	for range 2 {
		l, err := s.client.AcquireInstance(t.Context(), redisstream.InstanceConfig{Name: "host", Given: true})
		if err != nil || l.Name() != "host" {
			t.Fatalf("%v, %v", l, err)
		}
	}
}

func TestLeaseServe(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	const leaseTime = 600 * time.Millisecond
	l := s.acquire(redisstream.InstanceConfig{Name: "host", LeaseTime: leaseTime})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	var failed, worked atomic.Int32 // the latter since the last failure
	tried := func(err error) {
		if err != nil {
			failed.Add(1)
			worked.Store(0)
		} else {
			worked.Add(1)
		}
	}
	go func() { done <- l.Serve(ctx, tried) }()

	// It is renewed again and again, and set anew where it has gone.
	value := s.do("GET", leaseKey)
	for deadline := time.Now().Add(2 * leaseTime); time.Now().Before(deadline); {
		if s.do("GET", leaseKey) != value {
			t.Fatal("the lease ran out")
		}
	}
	s.do("DEL", leaseKey)
	eventually(t, func() bool { return s.do("GET", leaseKey) == value })

	// Redis is away for longer than the lease.
	s.server.Kill(t)
	time.AfterFunc(leaseTime, func() { s.server.Restart(t) })
	eventually(t, func() bool {
		got, err := s.server.Client().Get(context.Background(), leaseKey).Result()
		return err == nil && got == value && failed.Load() > 0 && worked.Load() > 0
	})
	cancel()
	if err := <-done; err != nil {
		t.Fatalf("Serve: %v", err)
	}

	// Somebody else has it.
	go func() { done <- l.Serve(t.Context(), tried) }()
	s.elsewhere(time.Hour)
	if err := <-done; !errors.Is(err, redisstream.ErrLeaseLost) {
		t.Fatalf("Serve: %v, want ErrLeaseLost", err)
	}
	if err := l.Release(t.Context()); err != nil || s.do("EXISTS", leaseKey) != int64(1) {
		t.Fatalf("release of another's lease: %v", err)
	}
}
