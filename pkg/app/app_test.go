package app_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"

	"example.com/fanout/pkg/app"
	"example.com/fanout/pkg/consumer"
	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/telemetry"
	"example.com/fanout/test/redistest"
)

func TestUntilCaughtUp(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	add(t, s, 500)
	r := newRig(t).manifest(s.URL(), groups("a", "b")).start(func(c *app.Config) { c.UntilCaughtUp = true })
	if err := r.end(); err != nil {
		t.Fatal(err)
	}
	list, err := s.Client().XInfoGroups(t.Context(), "events_stream").Result()
	if err != nil || len(list) != 2 {
		t.Fatalf("%+v, %v", list, err)
	}
	for _, g := range list {
		if g.Pending != 0 || g.Lag != 0 {
			t.Errorf("%+v is not settled", g)
		}
	}
	r.logs("caught up")
	if keys := s.Client().Keys(t.Context(), "fanout:instance:*").Val(); len(keys) > 0 {
		t.Errorf("the leases %v are left", keys)
	}
}

// The log begins with what the groups run on.
func TestAnnouncesTheServer(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		maxClients string
		warns      bool
	}{{"17", true}, {"18", false}} {
		t.Run(test.maxClients, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t, redistest.WithArgs("--maxclients", test.maxClients))
			version, err := s.Client().InfoMap(t.Context(), "server").Result()
			if err != nil {
				t.Fatal(err)
			}
			r := newRig(t).manifest(s.URL(), `  a: {handler: {log: {level: none}}, consumers: 4}
  b: {handler: {log: {level: none}}, consumers: 3}
  asleep: {handler: log, enabled: false, consumers: 5}
`).start()
			r.logs("redis server server=redis version=" + version["Server"]["redis_version"] + " connections=18 maxclients=" + test.maxClients + "\n")
			r.stop()
			if err := r.end(); err != nil {
				t.Error(err)
			}
			const warning = "WARN  redis has fewer connections than the groups need connections=18 maxclients=17 "
			if warns := strings.Contains(r.log.String(), warning); warns != test.warns {
				t.Errorf("it warns: %v, want %v", warns, test.warns)
			}
			if n := strings.Count(r.log.String(), "redis server server="); n != 1 {
				t.Errorf("said %d times", n)
			}
		})
	}
}

// A stop before everything is there ends without a word about catching up.
func TestStopWhileRedisIsAway(t *testing.T) {
	t.Parallel()
	r := newRig(t).manifest("redis://"+closedPort(t)+"/0", groups("a")).start(func(c *app.Config) { c.UntilCaughtUp = true })
	r.logs("groups wait for redis")
	r.stop()
	if err := r.end(); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(r.log.String(), "caught up") {
		t.Error("it claims to have caught up")
	}
}

func TestRestarts(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	r := newRig(t).manifest(s.URL(), `  a: {handler: {log: {level: none}}, restart_signal: 35}
  asleep: {handler: log, enabled: false, restart_signal: 36}
`).start()
	r.runs("a")
	for _, test := range []struct {
		number      int
		group, want string
	}{
		{35, "a", ""},
		{36, "asleep", "group asleep is disabled in the manifest"},
		{37, "", "no group has this restart_signal"},
		{0, "", "no group has this restart_signal"},
	} {
		group, err := r.app.RestartBySignal(test.number)
		if group != test.group || (err == nil) != (test.want == "") || err != nil && err.Error() != test.want {
			t.Errorf("signal %d: group %q, %v, want %q, %s", test.number, group, err, test.group, test.want)
		}
	}
	r.logs("group restarts group=a cause=signal incarnation=2")
	if err := r.app.Restart("b", telemetry.CauseRequest); err == nil || !strings.Contains(err.Error(), `unknown group "b"`) {
		t.Errorf("an unknown group: %v", err)
	}
}

func TestInstanceHeld(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	newRig(t).manifest(s.URL(), groups("a")).start().runs("a")
	second := newRig(t).manifest(s.URL(), groups("a")).start()
	err := second.end()
	if err == nil || !strings.Contains(err.Error(), "lease instance test: instance is in use: by process ") || !strings.Contains(err.Error(), "another --instance") {
		t.Errorf("the second: %v", err)
	}
	third := newRig(t).manifest(s.URL(), groups("a")).start(func(c *app.Config) { c.Instance = "third" })
	third.runs("a")
}

func TestAdminPortTaken(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	r := newRig(t).manifest("redis://"+closedPort(t), groups("a"))
	r.text = strings.Replace(r.text, `"off"`, `"`+l.Addr().String()+`"`, 1)
	r.start()
	r.logs("admin address is taken, another port is used")
	r.logs("admin server listens")
	r.stop()
	if err := r.end(); err != nil {
		t.Error(err)
	}
}

// A call that does not return within the drain timeout, or an acknowledgement
// that Redis does not confirm, is not passed over in silence.
func TestUncleanEnds(t *testing.T) {
	t.Parallel()
	t.Run("a call does not return", func(t *testing.T) {
		t.Parallel()
		s := redistest.Start(t)
		entered, release := make(chan struct{}), make(chan struct{})
		t.Cleanup(func() { close(release) })
		r := newRig(t)
		var once sync.Once
		r.registry.Register("deaf", handler.Factory{Config: func() handler.Config {
			return &scripted{func(context.Context, *handler.Batch) error {
				once.Do(func() { close(entered) })
				<-release
				return nil
			}}
		}})
		add(t, s, 1)
		r.manifest(s.URL(), "  a: {handler: deaf, timeout: 50ms}\n").start()
		<-entered
		r.stop()
		if err := r.end(); !errors.Is(err, consumer.ErrUnreturned) {
			t.Errorf("want ErrUnreturned: %v", err)
		}
	})
	t.Run("an ack is not confirmed", func(t *testing.T) {
		t.Parallel()
		s := redistest.Start(t)
		entered, release := make(chan struct{}), make(chan struct{})
		r := newRig(t)
		r.registry.Register("slow", handler.Factory{Config: func() handler.Config {
			return &scripted{func(context.Context, *handler.Batch) error {
				close(entered)
				<-release
				return nil
			}}
		}})
		add(t, s, 1)
		r.manifest(s.URL(), "  a: {handler: slow}\n").start()
		<-entered
		s.Stop(t)
		close(release)
		r.stop()
		if err := r.end(); !errors.Is(err, consumer.ErrUnconfirmed) {
			t.Errorf("want ErrUnconfirmed: %v", err)
		}
	})
}
