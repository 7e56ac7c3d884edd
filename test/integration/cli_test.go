package integration

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// The pid file is there while its process lives. Another process does not take
// it over, but one that comes after a crash does.
func TestPIDFile(t *testing.T) {
	t.Parallel()
	s := newSite(t).manifest(faultyGroup("a"))
	first := s.run("--pid-file", "fanout.pid").ready()
	holds := func(p *process) {
		t.Helper()
		text, err := os.ReadFile(s.path("fanout.pid"))
		if err != nil || string(text) != fmt.Sprintln(p.cmd.Process.Pid) {
			t.Errorf("the pid file holds %q, %v, want %d", text, err, p.cmd.Process.Pid)
		}
	}
	holds(first)
	second := s.run("--pid-file", "fanout.pid")
	second.exit(10*time.Second, 1)
	if want := "belongs to process " + strconv.Itoa(first.cmd.Process.Pid); !strings.Contains(second.log.String(), want) {
		t.Errorf("the second process does not say %q", want)
	}
	holds(first)

	first.kill()
	holds(first)
	third := s.run("--pid-file", "fanout.pid").ready()
	holds(third)
	third.stop()
	if _, err := os.Stat(s.path("fanout.pid")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the pid file is left: %v", err)
	}
}

// While Redis is away signals do what they can: none ends the process but TERM,
// and HUP takes up what is started when Redis is there.
func TestSignalsBeforeRedisIsThere(t *testing.T) {
	t.Parallel()
	s := newSite(t).manifest(faultyGroup("old", "restart_signal: 35"))
	s.redis.Stop(t)
	p := s.run()
	p.logs("groups wait for redis")
	p.signal(syscall.Signal(35))
	p.logs("groups are not started yet")
	p.signal(syscall.Signal(40))
	p.logs("no group has this restart_signal")
	s.manifest("  broken: {handler: nonsense}\n")
	p.signal(syscall.SIGHUP)
	p.logs("reload refused, nothing has changed")
	s.manifest(faultyGroup("new"))
	p.signal(syscall.SIGHUP)
	p.logs(`"msg":"reloaded","start":["new"],"stop":["old"]`)
	s.redis.Restart(t)
	p.ready()
	ids := s.publish(events(trades(1, 20))...)
	s.settled(20*time.Second, "new")
	s.onceEach("new", ids)
	if _, err := s.group("old"); err == nil {
		t.Error("the group of the old manifest was created")
	}
	p.stop()

	s.redis.Stop(t)
	waiting := s.run()
	waiting.logs("groups wait for redis")
	began := time.Now()
	waiting.stop()
	if took := time.Since(began); took > time.Second {
		t.Errorf("the stop of a process that waits took %v", took)
	}
}

// logs waits for a text in the log of a living process.
func (p *process) logs(text string) {
	p.t.Helper()
	eventually(p.t, 20*time.Second, fmt.Sprintf("log %q", text), func() error {
		if p.hasEnded() {
			p.t.Fatalf("the process ended with %d", p.cmd.ProcessState.ExitCode())
		}
		if !strings.Contains(p.log.String(), text) {
			return errors.New("not there")
		}
		return nil
	})
}

// The signal of a group that is disabled is said to do nothing, and does nothing.
func TestSignalOfDisabledGroup(t *testing.T) {
	t.Parallel()
	s := newSite(t).manifest(faultyGroup("a") + faultyGroup("asleep", "restart_signal: 36", "enabled: false"))
	p := s.run().ready()
	p.signal(syscall.Signal(36))
	p.logs("group asleep is disabled in the manifest")
	p.stop()
}

// status and restart ask a running process.
func TestStatusAndRestart(t *testing.T) {
	t.Parallel()
	s := newSite(t).manifest(faultyGroup("analytics") + faultyGroup("billing"))
	p := s.run().ready()
	s.publish(events(trades(1, 50))...)
	s.settled(20*time.Second, "analytics", "billing")
	ask := func(code int, args ...string) string {
		t.Helper()
		stdout, stderr, got := command(t, s, append(args, "--admin", p.admin)...)
		if got != code {
			t.Errorf("%v ended with %d, want %d:\n%s%s", args, got, code, stdout, stderr)
		}
		return stdout + stderr
	}
	eventually(t, 10*time.Second, "show what is settled", func() error {
		if table := ask(0, "status"); strings.Count(table, " 0  50  50 ") == 0 && strings.Count(table, "running") != 2 {
			return errors.New(table)
		}
		return nil
	})
	if text := ask(0, "restart", "analytics"); text != "analytics restarts\n" {
		t.Errorf("restart says %s", text)
	}
	eventually(t, 10*time.Second, "restart the group", func() error {
		text := ask(0, "status", "analytics")
		if !strings.Contains(text, "; running since ") || !strings.Contains(text, "incarnation  2\n") || !strings.Contains(text, " ago, request\n") {
			return errors.New(text)
		}
		return nil
	})
	if text := ask(0, "status", "billing"); !strings.Contains(text, "incarnation  1\n") {
		t.Errorf("the other group: %s", text)
	}
	if text := ask(1, "restart", "analytic"); !strings.Contains(text, "did you mean analytics?") {
		t.Errorf("an unknown group: %s", text)
	}
	p.stop()
	if text := ask(1, "status"); !strings.Contains(text, "no fanout runs at "+p.admin+"; start it with fanout run") {
		t.Errorf("without a process: %s", text)
	}
}

// publish and inbox end well when they are interrupted.
func TestInterruptedCommands(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	publish := spawn(t, s.command(fanoutBinary, "", "publish", "--redis", s.redis.URL(), "--stream", eventsStream, "--rate", "500"), "")
	eventually(t, 10*time.Second, "publish", func() error {
		if n := s.rdb.XLen(t.Context(), eventsStream).Val(); n < 50 {
			return fmt.Errorf("%d entries", n)
		}
		return nil
	})
	publish.signal(syscall.SIGINT)
	publish.exit(5*time.Second, 0)
	if want := fmt.Sprintf("%d trades appended to %s\n", s.rdb.XLen(t.Context(), eventsStream).Val(), eventsStream); publish.log.String() != want {
		t.Errorf("publish says %q, want %q", publish.log.String(), want)
	}

	inbox := spawn(t, s.command(fanoutBinary, "", "inbox", "--listen", "127.0.0.1:0"), "")
	inbox.logs("inbox listens at")
	inbox.signal(syscall.SIGTERM)
	inbox.exit(5*time.Second, 0)
}

// The state file is made with its directory, in the working directory.
func TestStateFileOfTheShippedManifest(t *testing.T) {
	t.Parallel()
	shipped, err := os.ReadFile("../../groups.yaml")
	if err != nil {
		t.Fatal(err)
	}
	s := newSite(t).file("groups.yaml", string(shipped))
	if err := s.rdb.XAdd(t.Context(), &redis.XAddArgs{Stream: eventsStream, Values: []string{"event", events(trades(1, 1))[0]}}).Err(); err != nil {
		t.Fatal(err)
	}
	p := spawn(t, s.command(fanoutBinary, "off", "run", "--until-caught-up"), "")
	p.exit(20*time.Second, 0)
	text, err := os.ReadFile(s.path("data/fanout.state.json"))
	if err != nil || strings.Count(string(text), `"epoch"`) != 4 {
		t.Errorf("%v: %s", err, text)
	}
}
