package cli

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"example.com/fanout/pkg/admin"
)

// waitFor waits until a text is in the output.
func (c *caller) waitFor(t *testing.T, text string, times int) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); strings.Count(c.out.String(), text) < times; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%q did not come %d times:\n%q\n%s", text, times, c.out.String(), c.err.String())
		}
	}
}

// On a terminal the table is drawn over itself on a screen of its own, which is
// given back.
func TestWatchOnTerminal(t *testing.T) {
	t.Parallel()
	c := &caller{terminal: true, width: 60}
	cancel, wait := c.start(t, "status", "--watch", "--admin", someGroups().serve(t))
	c.waitFor(t, home, 2)
	cancel()
	if code := wait(); code != exitOK {
		t.Errorf("exit code %d: %s", code, c.err.String())
	}
	out := c.out.String()
	if !strings.HasPrefix(out, enterScreen) || !strings.HasSuffix(out, leaveScreen) || strings.Count(out, enterScreen) != 1 {
		t.Errorf("the screen is not given back: %q", out)
	}
	frame := strings.Split(out, home)[1]
	for _, line := range strings.Split(frame, "\r\n") {
		if got := utf8.RuneCountInString(escapes.Replace(line)); got > 60 {
			t.Errorf("%d columns on a terminal of 60: %q", got, line)
		}
	}
	contains(t, frame, "analytics", "TRIPPED", clearRest)
}

// What is wrong with one group is wrapped, not cut off.
func TestWatchOfOneGroup(t *testing.T) {
	t.Parallel()
	groups := someGroups()
	g := &groups.groups[1]
	g.Problems = []string{"sink unavailable: " + strings.Repeat("word ", 20) + "the end of the reason"}
	g.Verdict.Do = strings.Repeat("hint ", 20) + "the end of the hint"
	c := &caller{terminal: true, width: 60}
	cancel, wait := c.start(t, "status", "notifications", "--watch", "--admin", groups.serve(t))
	c.waitFor(t, home, 2)
	cancel()
	wait()
	frame := escapes.Replace(strings.Split(c.out.String(), home)[1])
	contains(t, strings.Join(strings.Fields(frame), " "), "the end of the reason", "the end of the hint")
}

var escapes = strings.NewReplacer(plain, "", faint, "", red, "", green, "", yellow, "", clearLine, "", clearRest, "", leaveScreen, "")

// Elsewhere one table comes after the other, or one line of JSON.
func TestWatchInPipe(t *testing.T) {
	t.Parallel()
	address := someGroups().serve(t)
	c := &caller{}
	cancel, wait := c.start(t, "status", "--watch", "--admin", address)
	c.waitFor(t, "GROUP ", 2)
	cancel()
	if code := wait(); code != exitOK || strings.Contains(c.out.String(), "\x1b") {
		t.Errorf("exit code %d: %q", code, c.out.String())
	}

	c = &caller{}
	cancel, wait = c.start(t, "status", "analytics", "-w", "-o", "json", "--admin", address)
	c.waitFor(t, "\n", 2)
	cancel()
	if code := wait(); code != exitOK {
		t.Errorf("exit code %d: %s", code, c.err.String())
	}
	for line := range strings.Lines(c.out.String()) {
		var g admin.GroupStatus
		if err := json.Unmarshal([]byte(line), &g); err != nil || g.Name != "analytics" {
			t.Errorf("%v: %s", err, line)
		}
	}
}

func TestWatchRefuses(t *testing.T) {
	t.Parallel()
	_, stderr := call(t, exitFailure, "status", "--watch", "--admin", "127.0.0.1:1")
	contains(t, stderr, "no fanout runs at")
	_, stderr = call(t, exitFailure, "status", "nobody", "--watch", "--admin", someGroups().serve(t))
	contains(t, stderr, "unknown group")
	_, stderr = call(t, exitUsage, "status", "--watch", "--check")
	contains(t, stderr, "do not go together")
}

func TestWrap(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		line  string
		width int
		want  string
	}{
		{"one two three", 0, "one two three"},
		{"one two three", 13, "one two three"},
		{"one two three four", 12, "one two|    three|    four"},
		{"xxxxxxxxxxxxxxxxxxxxxxxxx y", 12, "xxxxxxxxxxxx|    xxxxxxxx|    xxxxx y"},
		{"äöüäöüäöüä öüäöü", 11, "äöüäöüäöüä|    öüäöü"},
		{"narrow terminals break nothing", 8, "narrow terminals break nothing"},
	} {
		if got := strings.Join(wrap(tt.line, tt.width), "|"); got != tt.want {
			t.Errorf("wrap(%q, %d) is %q, want %q", tt.line, tt.width, got, tt.want)
		}
	}
}

func TestCut(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		line  string
		width int
		want  string
	}{
		{"short", 10, "short"},
		{"rather long", 5, "rath…" + plain},
		{red + "rather long" + plain, 5, red + "rath…" + plain},
		{"exact", 5, "exact"},
		{"exäct", 5, "exäct"},
		{red + "exact" + plain, 5, red + "exact" + plain},
		{"exact" + red + "!" + plain, 5, "exac…" + plain},
		{"xy", 1, "…" + plain},
		{red + "fits" + plain, 5, red + "fits" + plain},
		{"any", 0, "any"},
	} {
		if got := cut(tt.line, tt.width); got != tt.want {
			t.Errorf("cut(%q, %d) is %q, want %q", tt.line, tt.width, got, tt.want)
		}
	}
}
