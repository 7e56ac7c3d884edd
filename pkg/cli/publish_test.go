package cli

import (
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"example.com/fanout/test/redistest"
)

var timestamps = regexp.MustCompile(`"timestamp":\d+`)

// entries are the events of a stream.
func entries(t *testing.T, s *redistest.Server, stream, field string) []string {
	t.Helper()
	list, err := s.Client().XRange(t.Context(), stream, "-", "+").Result()
	if err != nil {
		t.Fatal(err)
	}
	var events []string
	for _, e := range list {
		text, ok := e.Values[field].(string)
		if !ok || len(e.Values) != 1 {
			t.Fatalf("entry %v", e)
		}
		events = append(events, text)
	}
	return events
}

// The same seed gives the same trades but for their times, another one others.
func TestPublish(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	published := func(stream string, args ...string) string {
		t.Helper()
		args = append([]string{"publish", "--redis", s.URL(), "--stream", stream, "--count", "1234"}, args...)
		stdout, stderr := call(t, exitOK, args...)
		if stdout != "1234 trades appended to "+stream+"\n" || stderr != "" {
			t.Errorf("%s%s", stdout, stderr)
		}
		events := entries(t, s, stream, "event")
		if len(events) != 1234 {
			t.Errorf("%d entries", len(events))
		}
		return timestamps.ReplaceAllString(strings.Join(events, "\n"), "")
	}
	first := published("a")
	if published("b") != first {
		t.Error("the same seed gives other trades")
	}
	if published("c", "--rate", "10000") != first {
		t.Error("the rate changes the trades")
	}
	if published("d", "--seed", "2") == first {
		t.Error("another seed gives the same trades")
	}
	if three := published("e", "--markets", "3"); strings.Contains(three, `"m-4"`) || !strings.Contains(three, `"m-3"`) {
		t.Error("not three markets")
	}
	published("f", "--max-len", "5000")

	call(t, exitOK, "publish", "--redis", s.URL(), "--stream", "g", "--count", "3000", "--max-len", "100")
	if n := s.Client().XLen(t.Context(), "g").Val(); n > 1000 { // Redis trims whole nodes
		t.Errorf("%d entries though the stream is trimmed to about 100", n)
	}
}

// Redis, stream and field are those of the manifest.
func TestPublishByManifest(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	config := write(t, "groups.yaml", `version: 1
redis: {url: "`+s.URL()+`"}
defaults: {stream: bets}
groups:
  audit:
    payload: {field: body}
    handler: log
  orders:
    stream: orders
    handler: log
`)
	stdout, _ := call(t, exitOK, "publish", "-c", config, "--count", "1")
	if stdout != "1 trade appended to bets\n" || len(entries(t, s, "bets", "body")) != 1 {
		t.Errorf("%s", stdout)
	}
	call(t, exitOK, "publish", "-c", config, "--count", "2", "--stream", "orders")
	if n := len(entries(t, s, "orders", "event")); n != 2 {
		t.Errorf("%d orders", n)
	}
}

// At a rate, trades are spread over the time; an interruption is the usual end.
func TestPublishRate(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	began := time.Now()
	call(t, exitOK, "publish", "--redis", s.URL(), "--stream", "a", "--rate", "200", "--count", "101")
	if took := time.Since(began); took < 490*time.Millisecond {
		t.Errorf("101 trades at 200/s took %v, want half a second", took)
	}

	c := new(caller)
	cancel, wait := c.start(t, "publish", "--redis", s.URL(), "--stream", "b", "--rate", "1000")
	eventually(t, "trade", func() bool { return s.Client().XLen(t.Context(), "b").Val() > 10 })
	cancel()
	if code := wait(); code != exitOK {
		t.Errorf("exit code %d: %s", code, c.err.String())
	}
	said := regexp.MustCompile(`^(\d+) trades appended to b\n$`).FindStringSubmatch(c.out.String())
	if said == nil || atoi(t, said[1]) != len(entries(t, s, "b", "event")) {
		t.Errorf("it says %q, the stream has %d", c.out.String(), len(entries(t, s, "b", "event")))
	}
}

// Progress is for people: on a terminal, on standard error.
func TestPublishProgress(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	args := []string{"publish", "--redis", s.URL(), "--stream", "a", "--count", "2000"}
	stdout, stderr := (&caller{terminal: true}).call(t, exitOK, args...)
	contains(t, stderr, "\r\x1b[K[##############################] 2000/2000  ", "/s\n")
	if strings.Contains(stdout, "\r") {
		t.Errorf("progress in the output: %q", stdout)
	}
	if _, stderr := call(t, exitOK, args...); stderr != "" {
		t.Errorf("progress without a terminal: %q", stderr)
	}
}

func TestPublishFails(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	s := redistest.Start(t)
	if err := s.Client().Set(t.Context(), "taken", "x", 0).Err(); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ url, stream, want string }{
		{"redis://:hunter2@" + address + "/0", "a", "append to a at " + address + "/0: nothing listens"},
		{s.URL(), "taken", "WRONGTYPE"},
		{"http://127.0.0.1/", "a", "redis://"},
	} {
		stdout, stderr := call(t, exitFailure, "publish", "--redis", test.url, "--stream", test.stream, "--count", "10")
		if stdout != "" || strings.Count(stderr, "\n") != 1 || strings.Contains(stderr, "hunter2") {
			t.Errorf("%s%s", stdout, stderr)
		}
		contains(t, stderr, test.want)
	}
}

// Trades that are published as fast as possible lie in the past.
func TestNewExchange(t *testing.T) {
	t.Parallel()
	now := time.UnixMilli(1763856000000)
	for _, test := range []struct {
		rate  float64
		count int64
		from  time.Duration // of the first trade, before now
	}{
		{0, 10_000, 10 * time.Second},
		{0, 0, 0},
		{100, 10_000, 0},
		{0, 1 << 62, 10 * 365 * 24 * time.Hour},
	} {
		first := newExchange(1, 20, test.rate, test.count, now).Next()
		early := now.Add(-test.from)
		if at := time.UnixMilli(first.Timestamp); at.Before(early) || at.After(early.Add(time.Second)) {
			t.Errorf("rate %g, count %d: the first trade is at %v, want %v", test.rate, test.count, at, early)
		}
	}
}
