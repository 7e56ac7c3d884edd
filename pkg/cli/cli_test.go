package cli

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/sink/builtin"
)

// lockedBuffer is an output that a test reads while a command writes it.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// caller is how a test calls the command line.
type caller struct {
	registry *handler.Registry
	stdin    string
	environ  map[string]string
	terminal bool
	width    int // of the terminal

	out, err lockedBuffer
}

// run runs one command to its end.
func (c *caller) run(ctx context.Context, args ...string) int { return c.newEnv().run(ctx, args) }

func (c *caller) newEnv() *env {
	if c.registry == nil {
		c.registry = builtin.Registry()
	}
	return &env{
		registry: c.registry, in: strings.NewReader(c.stdin), out: &c.out, err: &c.err,
		getenv:   func(name string) string { return c.environ[name] },
		terminal: func(io.Writer) bool { return c.terminal },
		size:     func(io.Writer) (int, int) { return c.width, 50 },
	}
}

// start runs a command beside the test. The command is cancelled at the end of
// the test at the latest; wait gives its exit code.
func (c *caller) start(t *testing.T, args ...string) (cancel func(), wait func() int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan int, 1)
	go func() { ended <- c.run(ctx, args...) }()
	code, waited := 0, false
	wait = func() int {
		t.Helper()
		if waited {
			return code
		}
		waited = true
		select {
		case code = <-ended:
		case <-time.After(30 * time.Second):
			t.Fatalf("fanout %s does not end:\n%s%s", strings.Join(args, " "), c.out.String(), c.err.String())
		}
		return code
	}
	t.Cleanup(func() {
		cancel()
		wait()
	})
	return cancel, wait
}

// call runs one command and checks its exit code.
func call(t *testing.T, code int, args ...string) (stdout, stderr string) {
	t.Helper()
	return new(caller).call(t, code, args...)
}

func (c *caller) call(t *testing.T, code int, args ...string) (stdout, stderr string) {
	t.Helper()
	if got := c.run(t.Context(), args...); got != code {
		t.Fatalf("fanout %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), got, code, c.out.String(), c.err.String())
	}
	return c.out.String(), c.err.String()
}

// write writes a file into a directory of the test.
func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// contains wants every part in the text.
func contains(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%q is not in\n%s", part, text)
		}
	}
}

// eventually polls until done holds.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("no %s within 20s", what)
		}
	}
}

func TestWrongCommandLines(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"statsu"}, `unknown command "statsu" for "fanout"; did you mean status?`},
		{[]string{"statsu", "-o", "json"}, "did you mean status?"},
		{[]string{"-c", "x.yaml", "chekc"}, "did you mean check?"},
		{[]string{"nonsense"}, `unknown command "nonsense" for "fanout"; see fanout --help`},
		{[]string{"help", "rnu"}, "did you mean run?"},
		{[]string{"help", "nonsense"}, "see fanout --help"},
		{[]string{"--nonsense"}, "unknown flag: --nonsense; see fanout --help"},
		{[]string{"run", "--nonsense"}, "unknown flag: --nonsense; see fanout run --help"},
		{[]string{"run", "now"}, `unexpected argument "now"; see fanout run --help`},
		{[]string{"check", "-o", "yaml"}, "want text or json; see fanout check --help"},
		{[]string{"status", "-o", "text"}, "want table or json"},
		{[]string{"check", "--log-level", "loud"}, "want debug, info, warn or error"},
		{[]string{"check", "--log-format", "xml"}, "want text or json"},
		{[]string{"restart"}, "restart needs the name of a group; see fanout restart --help"},
		{[]string{"restart", "a", "b"}, `unexpected argument "b"`},
		{[]string{"status", "a", "b"}, `unexpected argument "b"`},
		{[]string{"eval"}, `"event" not set; see fanout eval --help`},
		{[]string{"eval", "-e", "x", "--id", "1-x"}, "--id: "},
		{[]string{"publish", "--rate", "-1"}, "--rate -1: want"},
		{[]string{"publish", "--rate", "NaN"}, "--rate NaN: want"},
		{[]string{"publish", "--rate", "Inf"}, "--rate +Inf: want"},
		{[]string{"publish", "--rate", "fast"}, "see fanout publish --help"},
		{[]string{"publish", "--count", "-1"}, "--count -1: want 0 or more"},
		{[]string{"publish", "--max-len", "-1"}, "--max-len -1: want 0 or more"},
		{[]string{"publish", "--markets", "0"}, "--markets 0: want 1 to 10000"},
		{[]string{"publish", "--markets", "10001"}, "--markets 10001: want 1 to 10000"},
		{[]string{"demo", "--rate", "0"}, "--rate 0: want"},
		{[]string{"demo", "--rate", "NaN"}, "--rate NaN: want"},
		{[]string{"demo", "--for", "-1s"}, "--for -1s: want 0 or more"},
		{[]string{"inbox", "--secret", "no base64!"}, "must be base64"},
		{[]string{"run", "--instance", "a b"}, `--instance "a b": want letters`},
		{[]string{"run", "--instance", "-a"}, `--instance "-a": want letters`},
	} {
		t.Run(strings.Join(test.args, " "), func(t *testing.T) {
			t.Parallel()
			stdout, stderr := call(t, exitUsage, test.args...)
			if stdout != "" || strings.Count(stderr, "\n") != 1 || !strings.HasPrefix(stderr, "fanout: ") {
				t.Errorf("want one line on standard error:\n%s%s", stdout, stderr)
			}
			contains(t, stderr, test.want)
		})
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	help, _ := call(t, exitOK)
	for _, args := range [][]string{{"help"}, {"--help"}, {"-h"}} {
		if same, _ := call(t, exitOK, args...); same != help {
			t.Errorf("%v prints something else than fanout alone:\n%s", args, same)
		}
	}
	contains(t, help, "Run and steer:\n  run ", "Look before you run:\n  check ", "Try it out:\n  demo ", "More:\n  version ",
		"--log-level debug|info|warn|error   least level of the log (default info)")

	listed := regexp.MustCompile(`(?m)^  ([a-z]+)  +[A-Z]`).FindAllStringSubmatch(help, -1)
	if len(listed) < 13 {
		t.Errorf("%d commands are listed:\n%s", len(listed), help)
	}
	for _, command := range listed {
		name := command[1]
		text, _ := call(t, exitOK, "help", name)
		contains(t, text, "Usage:\n  fanout "+name)
		if same, _ := call(t, exitOK, name, "--help"); same != text {
			t.Errorf("%s --help and help %s differ:\n%s\n%s", name, name, same, text)
		}
		for line := range strings.Lines(text) {
			if len(line) > 110 {
				t.Errorf("help %s has a line of %d characters: %s", name, len(line), line)
			}
		}
	}
	for _, name := range []string{"run", "publish", "demo", "eval"} {
		text, _ := call(t, exitOK, "help", name)
		contains(t, text, "\nExamples:\n  ")
	}
	run, _ := call(t, exitOK, "help", "run")
	contains(t, run, "Exit codes:", "78  the manifest is faulty", "Signals:", "--instance NAME", "--until-caught-up   end")
}

func TestVersion(t *testing.T) {
	t.Parallel()
	line, _ := call(t, exitOK, "version")
	if !regexp.MustCompile(`^fanout \S+ \(go\S+, \w+/\w+\)\n$`).MatchString(line) {
		t.Errorf("version is %q", line)
	}
	for _, flag := range []string{"--version", "-v"} {
		if same, _ := call(t, exitOK, flag); same != line {
			t.Errorf("%s prints %q, want %q", flag, same, line)
		}
	}
}

func TestCompletion(t *testing.T) {
	t.Parallel()
	for shell, mark := range map[string]string{"bash": "__start_fanout", "zsh": "#compdef fanout", "fish": "complete -c fanout"} {
		script, _ := call(t, exitOK, "completion", shell)
		contains(t, script, mark)
	}
	config := write(t, "groups.yaml", twoGroups)
	for _, test := range []struct {
		args []string
		want string // lines before the directive
	}{
		{[]string{"restart", ""}, "audit\nbilling\n"},
		{[]string{"status", ""}, "audit\nbilling\n"},
		{[]string{"restart", "audit", ""}, ""},
		{[]string{"run", "--group", ""}, "audit\nbilling\n"},
		{[]string{"run", "--group", "audit,"}, "audit,billing\n"},
		{[]string{"check", "-o", ""}, "text\njson\n"},
		{[]string{"check", "--log-level", ""}, "debug\ninfo\nwarn\nerror\n"},
		{[]string{"help", "r"}, "reload\nrestart\nresume\nrun\n"},
	} {
		args := append([]string{"__complete", "-c", config}, test.args...)
		got, _ := call(t, exitOK, args...)
		lines, _, _ := strings.Cut(got, ":")
		if test.args[0] == "help" { // the shell leaves out what does not begin so
			lines = regexp.MustCompile(`(?m)^[^r].*\n`).ReplaceAllString(lines, "")
		}
		if lines != test.want {
			t.Errorf("%v completes to\n%s, want\n%s", test.args, lines, test.want)
		}
	}
	missing, _ := call(t, exitOK, "__complete", "-c", config+".missing", "restart", "")
	if !strings.HasPrefix(missing, ":") {
		t.Errorf("without a manifest groups complete to %s", missing)
	}
}

const twoGroups = `version: 1
groups:
  audit:
    handler: log
  billing:
    enabled: false
    handler: log
`
