package redisstream_test

import (
	"reflect"
	"testing"
	"time"

	"example.com/fanout/pkg/redisstream"
	"example.com/fanout/test/redistest"
)

func TestFacts(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, redistest.WithArgs("--save", "60 1", "--maxmemory-policy", "volatile-ttl"))
	f, err := open(t, s).Facts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if role, ok := f.Info("role"); role != "master" || !ok || f.Version == "" {
		t.Errorf("role %q, %v, version %q", role, ok, f.Version)
	}
	if save, ok := f.Setting("save"); save != "60 1" || !ok {
		t.Errorf("save %q, %v", save, ok)
	}
	if _, ok := f.Info("no_such_field"); ok {
		t.Error("a field that INFO does not have is known")
	}
	if _, ok := f.Setting("port"); ok {
		t.Error("a setting that was not asked for is known")
	}
	if !f.SkewKnown || f.Skew.Abs() > f.SkewError+time.Second {
		t.Errorf("the clock of this machine is %v ahead of itself", f.Skew)
	}

	s.Do(t, "CONFIG", "SET", "save", "")
	f, err = open(t, s).Facts(t.Context())
	if save, ok := f.Setting("save"); err != nil || save != "" || !ok {
		t.Errorf("an empty setting is %q, %v, %v", save, ok, err)
	}
}

func TestStreamFacts(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	c := open(t, s)
	if f, err := c.Stream(t.Context(), key); err != nil || f != (redisstream.StreamFacts{}) {
		t.Errorf("a stream that is not there: %+v, %v", f, err)
	}
	for _, id := range []string{"1-0", "2-0", "3-0"} {
		s.Do(t, "XADD", key, "MAXLEN", "2", id, "event", "{}")
	}
	if f, err := c.Stream(t.Context(), key); err != nil || f.Length != 2 || f.Added != 3 || f.Bytes < 10 {
		t.Errorf("%+v, %v", f, err)
	}
	s.Do(t, "SET", "text", "x")
	if _, err := c.Stream(t.Context(), "text"); err == nil {
		t.Error("a text is a stream")
	}
}

// The dead letters are counted with the rest, and a key of another type hinders
// nothing.
func TestDeadLettersAreCounted(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	g := open(t, s).Group(config())
	ensure(t, g)
	count := func(want int64) {
		t.Helper()
		if info, err := g.Info(t.Context()); err != nil || info.DeadLetters != want {
			t.Errorf("%d dead letters, want %d: %v", info.DeadLetters, want, err)
		}
	}
	count(0)
	s.Do(t, "XADD", dead, "*", "letter", "{}")
	count(1)
	if n, err := g.Length(t.Context()); err != nil || n != 1 {
		t.Errorf("%d dead letters, %v", n, err)
	}
	if all, err := g.Misplaced(t.Context()); err != nil || len(all) > 0 {
		t.Errorf("misplaced are %+v, %v", all, err)
	}
	s.Do(t, "DEL", dead)
	s.Do(t, "SET", dead, "x")
	count(-1)
	all, err := g.Misplaced(t.Context())
	if want := []redisstream.Misplaced{{Key: dead, Is: "string", Want: "stream"}}; err != nil || !reflect.DeepEqual(all, want) {
		t.Errorf("misplaced are %+v, want %+v: %v", all, want, err)
	}
}
