package redisstream

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

func TestHolder(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		// Without /proc nobody is seen, and so nobody is taken for gone.
		if self := thisProcess("/proc"); self.sees(self) {
			t.Fatalf("%+v sees itself", self)
		}
		return
	}
	self := thisProcess("/proc")
	if !self.sees(self) || !self.alive("/proc") {
		t.Fatalf("%+v does not see itself alive", self)
	}
	for name, change := range map[string]func(*holder){
		"another boot":      func(h *holder) { h.Boot = "b" },
		"another namespace": func(h *holder) { h.PIDNamespace = "pid:[1]" },
		"unknown boot":      func(h *holder) { h.Boot = "" },
		"no start time":     func(h *holder) { h.Started = "" },
		"no PID":            func(h *holder) { h.PID = 0 },
	} {
		other := self
		change(&other)
		if self.sees(other) {
			t.Errorf("%s: seen", name)
		}
	}
	gone := self
	gone.Started = "1"
	if gone.alive("/proc") {
		t.Error("a process with another start time is alive")
	}
	gone.PID = 1 << 30
	if gone.alive("/proc") {
		t.Error("a process that does not exist is alive")
	}
	hidden := t.TempDir() // other users' processes may be hidden in /proc
	if !self.alive(hidden) {
		t.Error("a hidden process is gone")
	}
	if blind := thisProcess(hidden); blind.sees(self) || self.sees(blind) {
		t.Error("seen without /proc")
	}
}

func TestStartTime(t *testing.T) {
	t.Parallel()
	const tail = " 1 1 1 0 -1 4194560 1 1 1 1 1 1 1 1 20 0 1 0 424242 1 1"
	for name, test := range map[string]struct {
		stat string
		want string
		ok   bool
	}{
		"plain":          {"42 (fanout) S" + tail, "424242", true},
		"hostile name":   {"42 (a) R 1 (b\n) S" + tail, "424242", true},
		"zombie":         {"42 (fanout) Z" + tail, "", false},
		"dead":           {"42 (fanout) X" + tail, "", false},
		"torn":           {"42 (fan", "", false},
		"empty":          {"", "", false},
		"no parentheses": {"42 fanout S 1", "", false},
	} {
		proc := t.TempDir()
		pid := 1 << 29
		dir := filepath.Join(proc, strconv.Itoa(pid))
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "stat"), []byte(test.stat), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, ok := startTime(proc, pid); got != test.want || ok != test.ok {
			t.Errorf("%s: %q, %v, want %q, %v", name, got, ok, test.want, test.ok)
		}
	}
}

// Whatever a lease key holds is somebody's: only the lease of a process that
// cannot run any more may be taken over.
func FuzzHolder(f *testing.F) {
	self := thisProcess("/proc")
	ours, err := json.Marshal(self)
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{
		string(ours), "", "null", "what?", "[]", `{"pid":-1}`, `{"pid":1e99}`, `{"pid":0,"started":"1"}`,
		`{"token":"","boot":"` + self.Boot + `","pid_namespace":"` + self.PIDNamespace + `","pid":1,"started":"\u0000"}`,
		`{"boot":"` + self.Boot + `","pid_namespace":"` + self.PIDNamespace + `","pid":-1,"started":"1"}`,
		`{"host":"\ud800\u001b[2J","since":7}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		var other holder
		known := json.Unmarshal(value, &other) == nil
		if self.sees(other) {
			switch {
			case other.PID <= 0 || other.Boot != self.Boot || other.PIDNamespace != self.PIDNamespace:
				t.Fatalf("%+v is seen", other)
			case other.PID == self.PID && other.Started == self.Started && !other.alive("/proc"):
				t.Fatalf("%+v, this process, is gone", other)
			case other.PID == self.PID && other.Started != self.Started && other.alive("/proc"):
				t.Fatalf("%+v, an earlier process of our PID, is alive", other)
			}
		}
		if err := other.inUse(); known && err == nil {
			t.Fatal("no error")
		}
	})
}
