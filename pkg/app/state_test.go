package app_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"example.com/fanout/test/redistest"
)

// The state file and its directory are made when they are missing.
func TestStateFile(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	r := newRig(t).manifest(s.URL(), groups("a")).start()
	r.runs("a")
	r.eventually("checkpoint", func() bool {
		text, _ := os.ReadFile(r.state())
		return strings.Contains(string(text), `/events_stream/a"`)
	})
	if strings.Contains(r.log.String(), "WARN") {
		t.Error("there are warnings")
	}
}

// One that cannot be written is a warning, and the groups run.
func TestStateFileNotWritable(t *testing.T) {
	t.Parallel()
	for _, known := range []bool{false, true} { // whether the groups are in Redis already
		s := redistest.Start(t)
		if known {
			first := newRig(t).manifest(s.URL(), groups("a", "b")).start()
			first.runs("a b")
			first.stop()
			if err := first.end(); err != nil {
				t.Fatal(err)
			}
		}
		r := newRig(t).manifest(s.URL(), groups("a", "b"))
		if err := os.WriteFile(filepath.Dir(r.state()), nil, 0o600); err != nil { // a file where the directory should be
			t.Fatal(err)
		}
		r.start()
		r.runs("a b")
		r.logs("WARN  state file cannot be written, checkpoints are in redis alone file=" + r.state())
		add(t, s, 10)
		r.eventually("settled entries", func() bool {
			list, err := s.Client().XInfoGroups(t.Context(), "events_stream").Result()
			return err == nil && len(list) == 2 && list[0].Lag == 0 && list[1].Lag == 0 && list[0].Pending+list[1].Pending == 0
		})
		if n := strings.Count(r.log.String(), "state file cannot be written"); n > 1 {
			t.Errorf("%d lines about the same fault", n)
		}
	}
}
