package app_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"example.com/fanout/pkg/telemetry"
	"example.com/fanout/test/redistest"
)

// A group whose store is a file runs on one host: here it waits for the other
// one's lease to run out, says whose it is, and gives way when it is lost. Other
// groups do not notice.
func TestOneHost(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	elsewhere := func() {
		t.Helper()
		if err := s.Client().Set(t.Context(), "{events_stream}:fanout:host:rows", `{"host":"far"}`, time.Hour).Err(); err != nil {
			t.Fatal(err)
		}
	}
	runOut := func() { s.Client().Del(t.Context(), "{events_stream}:fanout:host:rows") }
	elsewhere()
	r := newRig(t)
	r.manifest(s.URL(), groups("a")+"  rows: {handler: {sql: {dsn: \"sqlite:"+filepath.Join(r.dir, "rows.db")+"\", table: t, columns: {a: a}}}}\n").start()
	waits := func() {
		t.Helper()
		r.eventually("wait for the other host", func() bool {
			for _, g := range r.app.Status() {
				if g.Manifest.Name == "rows" && g.State == telemetry.StateStarting && strings.Contains(strings.Join(g.Problems, ""), "another host runs the group: far; ") {
					return true
				}
			}
			return false
		})
	}
	waits()
	r.logs("WARN  group cannot start, another host runs it group=rows ")
	runOut()
	r.runs("a rows")
	r.logs("INFO  no other host runs the group group=rows")

	elsewhere()
	r.logs("WARN  group failed group=rows ")
	waits()
	runOut()
	r.runs("a rows")
	for _, g := range r.app.Status() {
		if want := map[string]int{"a": 1, "rows": 2}[g.Manifest.Name]; g.Incarnation != want {
			t.Errorf("incarnation %d of %s, want %d", g.Incarnation, g.Manifest.Name, want)
		}
	}
}
