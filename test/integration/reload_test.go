package integration

import (
	"fmt"
	"maps"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A reload starts what is new and leaves the rest alone; a broken file changes
// nothing and is told with its line.
func TestReload(t *testing.T) {
	t.Parallel()
	all := events(trades(5, 1500))
	s := newSite(t).manifest(faultyGroup("first"))
	p := s.run().ready()
	ids := s.publish(all[:500]...)
	s.settled(10*time.Second, "first")
	first := s.connections("first")

	s.manifest(faultyGroup("first") + faultyGroup("second", "start: earliest"))
	p.signal(syscall.SIGHUP)
	eventually(t, 10*time.Second, "start the new group", func() error {
		_, err := s.group("second")
		return err
	})
	ids = append(ids, s.publish(all[500:1000]...)...)
	s.settled(10*time.Second, "first", "second")
	s.onceEach("first", ids)
	s.onceEach("second", ids)
	s.sameConnections("first", first)
	second := s.connections("second")

	mark := p.log.len()
	s.manifest(faultyGroup("first", "consumer: 4") + faultyGroup("third"))
	where := fmt.Sprintf("groups.yaml:%d:", s.line("consumer: 4"))
	p.signal(syscall.SIGHUP)
	eventually(t, 10*time.Second, "tell where the fault is", func() error {
		for _, r := range p.log.since(mark) {
			if strings.Contains(fmt.Sprint(r), where) && strings.Contains(fmt.Sprint(r), "consumers") {
				return nil
			}
		}
		return fmt.Errorf("no log line holds %q", where)
	})
	eventually(t, 5*time.Second, "count the failed reload", func() error {
		return p.reloaded(0)
	})
	ids = append(ids, s.publish(all[1000:]...)...)
	s.settled(10*time.Second, "first", "second")
	s.onceEach("first", ids)
	s.onceEach("second", ids)
	s.sameConnections("first", first)
	s.sameConnections("second", second)
	if _, err := s.group("third"); err == nil {
		t.Error("a broken manifest started a group")
	}

	s.manifest(faultyGroup("first") + faultyGroup("second", "start: earliest"))
	p.signal(syscall.SIGHUP)
	eventually(t, 5*time.Second, "count the good reload", func() error {
		return p.reloaded(1)
	})
	s.sameConnections("first", first)
	s.sameConnections("second", second)
	p.stop()
}

// reloaded wants the metric of the last reload to have a value.
func (p *process) reloaded(want float64) error {
	const name = "fanout_config_last_reload_successful"
	if len(p.series(name)) != 1 {
		return fmt.Errorf("%s is not there", name)
	}
	if got := p.metric(name); got != want {
		return fmt.Errorf("%s is %v, want %v", name, got, want)
	}
	return nil
}

// sameConnections wants a group's connections to be what they were.
func (s *site) sameConnections(group string, before map[string]string) {
	s.t.Helper()
	if len(before) == 0 {
		s.t.Errorf("%s had no named connections", group)
	}
	if now := s.connections(group); !maps.Equal(now, before) {
		s.t.Errorf("the connections of %s were %v and are %v", group, before, now)
	}
}

// line is the number of the first line of groups.yaml that holds a text.
func (s *site) line(text string) int {
	s.t.Helper()
	file, err := os.ReadFile(s.path("groups.yaml"))
	if err != nil {
		s.t.Fatal(err)
	}
	for i, line := range strings.Split(string(file), "\n") {
		if strings.Contains(line, text) {
			return i + 1
		}
	}
	s.t.Fatalf("groups.yaml has no line with %q", text)
	return 0
}
