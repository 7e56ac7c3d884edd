package manifest

import (
	"strings"
	"testing"
	"time"

	"example.com/fanout/pkg/stream"
)

func TestSize(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Size{
		"0": 0, "1024": 1024, "7B": 7, "64KiB": 64 << 10, "4MiB": 4 << 20, "1GiB": 1 << 30,
		"9223372036854775807": 1<<63 - 1, "8589934591GiB": 8589934591 << 30,
	} {
		var s Size
		if err := s.UnmarshalText([]byte(text)); err != nil || s != want {
			t.Errorf("%s: %d, %v; want %d", text, s, err, want)
		}
		var again Size
		if err := again.UnmarshalText([]byte(s.String())); err != nil || again != s {
			t.Errorf("%s prints as %s, which is %d, %v", text, s, again, err)
		}
	}
	for _, text := range []string{"", "MiB", "-1", "4MB", "4 MiB", "4mib", "0x10", "010", "1_000", "1.5MiB", "1e3", "9223372036854775808", "8589934592GiB"} {
		s := Size(42)
		if err := s.UnmarshalText([]byte(text)); err == nil || s != 42 {
			t.Errorf("%q is a size: %d", text, s)
		}
	}
}

func TestLinger(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct{ wait, apart time.Duration }{
		"0": {}, "0s": {}, "5ms": {wait: 5 * time.Millisecond}, "1m": {wait: time.Minute}, "auto": {apart: time.Millisecond},
	} {
		var l, again Linger
		if err := l.UnmarshalText([]byte(text)); err != nil || l.Wait() != want.wait || l.Apart() != want.apart {
			t.Errorf("%s: waits %s and %s, %v; want %+v", text, l.Wait(), l.Apart(), err, want)
		}
		if err := again.UnmarshalText([]byte(l.String())); err != nil || again != l {
			t.Errorf("%s prints as %s, which is %v, %v", text, l, again, err)
		}
	}
	for _, text := range []string{"", "Auto", "automatic", "5", "-1s", "-1ns", "1 s"} {
		if err := new(Linger).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is a linger", text)
		}
	}
}

func TestStart(t *testing.T) {
	t.Parallel()
	at := time.Date(2025, 11, 23, 0, 0, 0, 0, time.UTC)
	for text, want := range map[string]Start{
		"earliest":                  {},
		"latest":                    {Kind: StartLatest},
		"123":                       {StartAfter, stream.ID{Ms: 123}},
		"123-4":                     {StartAfter, stream.ID{Ms: 123, Seq: 4}},
		"2025-11-23T00:00:00Z":      {StartAfter, stream.ID{Ms: uint64(at.UnixMilli())}.Prev()},
		"2025-11-23T01:00:00+01:00": {StartAfter, stream.ID{Ms: uint64(at.UnixMilli())}.Prev()},
		"1970-01-01T00:00:00Z":      {Kind: StartAfter},
	} {
		var s Start
		if err := s.UnmarshalText([]byte(text)); err != nil || s != want {
			t.Errorf("%s: %v, %v; want %v", text, s, err, want)
		}
		var again Start
		if err := again.UnmarshalText([]byte(s.String())); err != nil || again != s {
			t.Errorf("%s prints as %s, which is %v, %v", text, s, again, err)
		}
	}
	for _, text := range []string{"", "Earliest", "yesterday", "1-2-3", "-1", "2025-11-23", "2025-11-23 00:00:00", "1969-12-31T00:00:00Z", "99999999999999999999"} {
		if err := new(Start).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is a start", text)
		}
	}
}

func TestSignal(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Signal{
		"35": 35, "64": 64, "RTMIN+1": 35, "RTMIN+30": 64, "SIGRTMIN+2": 36, "rtmin+3": 37,
		"USR1": usr1, "SIGUSR2": usr2,
	} {
		var s Signal
		if err := s.UnmarshalText([]byte(text)); err != nil || s != want {
			t.Errorf("%s: %d, %v; want %d", text, s, err, want)
		}
		var again Signal
		if err := again.UnmarshalText([]byte(s.String())); err != nil || again != s {
			t.Errorf("%s prints as %s, which is %d, %v", text, s, again, err)
		}
	}
	for _, text := range []string{"", "34", "65", "0", "-1", "9", "RTMIN", "RTMIN+0", "RTMIN+31", "RTMIN+-1", "RTMAX-1", "TERM", "SIGHUP", "035", "1e2", "RTMIN+9223372036854775807"} {
		if err := new(Signal).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is a restart signal", text)
		}
	}
}

func TestMissingSignal(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		system  string
		signal  Signal
		missing bool
	}{
		{"linux", 35, false}, {"linux", 10, false}, {"darwin", 35, true}, {"darwin", 30, false}, {"windows", -1, true}, {"windows", 35, true}, {"linux", 0, false},
	} {
		if got := missingSignal(test.system, test.signal); (got != "") != test.missing {
			t.Errorf("%s %d: %q", test.system, test.signal, got)
		}
	}
}

// The vectors are of "CLUSTER KEYSLOT".
func TestSlot(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]uint16{
		"": 0, "123456789": 12739, "foo": 12182, "bar": 5061, "foo{bar}baz": 5061, "{bar}{foo}": 5061,
		"foo{}{bar}": 8363, "foo{{bar}}zap": 4015, "{bar": 4015,
	} {
		if got := slot(key); got != want {
			t.Errorf("slot(%q) = %d, want %d", key, got, want)
		}
	}
}

func TestDeadLetterStream(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"s", "events_stream", "{s}", "a:{b}:c", "a{b", "{}", "ünï"} {
		g := Group{Stream: name, Group: "g{x}"}
		dead := DeadLetterStream(g)
		if name == "{}" { // has a } and no tag: refused before
			continue
		}
		if slot(dead) != slot(name) || dead == name || !strings.HasSuffix(dead, ":dead:g{x}") {
			t.Errorf("dead letters of %q go to %q", name, dead)
		}
	}
	if got := DeadLetterStream(Group{Stream: "s", Group: "g"}); got != "{s}:dead:g" {
		t.Error(got)
	}
	if got := DeadLetterStream(Group{Stream: "s", DeadLetter: DeadLetter{Stream: "own"}}); got != "own" {
		t.Error(got)
	}
}

func TestMendedSlot(t *testing.T) {
	t.Parallel()
	for _, test := range [][3]string{
		{"s", "dead", "{s}:dead"}, {"{x}", "dead:c", "{x}:dead:c"}, {"a{b}", "{z}:d", "{b}:z:d"}, {"s", "s:dead", "{s}:dead"},
	} {
		if got := mendedSlot(test[0], test[1]); got != test[2] || slot(got) != slot(test[0]) {
			t.Errorf("mendedSlot(%q, %q) = %q, want %q", test[0], test[1], got, test[2])
		}
	}
}

func TestShort(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		time.Minute: "1m", time.Hour: "1h", 90 * time.Second: "1m30s", 10 * time.Second: "10s", 168 * time.Hour: "168h", time.Hour + time.Second: "1h0m1s", 0: "0s", 10 * time.Minute: "10m",
	} {
		if got := short(d); got != want {
			t.Errorf("short(%v) = %s, want %s", d, got, want)
		}
	}
}
