package nearest_test

import (
	"strings"
	"testing"

	"example.com/fanout/pkg/nearest"
)

func TestNames(t *testing.T) {
	t.Parallel()
	known := []string{"consumers", "concurrency", "timeout", "dead_letter", "log", "sql", "persistence", "notifications", "trades-eu", "trades-us"}
	for name, want := range map[string]string{
		"consumer": "consumers", "consumres": "consumers", "timeuot": "timeout", "DeadLetter": "dead_letter", "dead-letter": "dead_letter",
		"lgo": "log", "logs": "log", "sq": "sql", "persistance": "persistence", "NOTIF": "notifications",
		"trades-es": "trades-eu trades-us", "trades": "trades-eu trades-us", "con": "consumers concurrency", "co": "", "trades-USA": "trades-us",
		"xyz": "", "": "", "-": "", "a": "", "retries": "", strings.Repeat("consumers", 1000): "",
	} {
		if got := strings.Join(nearest.Names(name, known, 3), " "); got != want {
			t.Errorf("%.40q: %q, want %q", name, got, want)
		}
	}
	if got := nearest.Names("trades", known, 1); len(got) != 1 {
		t.Errorf("one is asked for: %q", got)
	}
	if got := nearest.Names("a", []string{strings.Repeat("a", 1<<20)}, 3); got != nil {
		t.Error("a name of a megabyte is near")
	}
}
