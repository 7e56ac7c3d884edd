package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"example.com/fanout/pkg/app"
	"example.com/fanout/pkg/deadletter"
	"example.com/fanout/pkg/stream"
	"example.com/fanout/test/redistest"
)

const deadStream = "{events_stream}:dead:audit"

// deadSite is a manifest with the group audit, and the Redis that it names.
type deadSite struct {
	t        *testing.T
	redis    *redistest.Server
	manifest string
}

func newDeadSite(t *testing.T) deadSite {
	t.Helper()
	s := redistest.Start(t)
	file := filepath.Join(t.TempDir(), "groups.yaml")
	text := fmt.Sprintf("version: 1\nredis: {url: %q}\ngroups:\n  audit: {handler: log}\n  other: {handler: log, enabled: false}\n", s.URL())
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return deadSite{t, s, file}
}

// letter puts a letter there; its own ID and that of its entry are n-0.
func (s deadSite) letter(n int, stage deadletter.Stage, class, text string, fields ...string) {
	s.t.Helper()
	at := time.Date(2025, 11, 23, 1, 0, n, 0, time.UTC)
	l := &deadletter.Letter{
		Stream: "events_stream", ID: stream.ID{Ms: uint64(n)}, Epoch: "e1", Group: "audit", Consumer: "host-0", Handler: "log",
		Stage: stage, Class: class, Error: text, Attempts: 5, Deliveries: 1, FirstFailure: at, LastFailure: at,
	}
	for i := 0; i < len(fields); i += 2 {
		l.Entry.Fields = append(l.Entry.Fields, stream.Field{Name: []byte(fields[i]), Value: []byte(fields[i+1])})
	}
	all, err := l.Fields()
	if err != nil {
		s.t.Fatal(err)
	}
	args := []any{"XADD", deadStream, fmt.Sprintf("%d-0", n)}
	for _, f := range all {
		args = append(args, f.Name, f.Value)
	}
	s.redis.Do(s.t, args...)
}

// dead runs a command and wants an exit code.
func (s deadSite) dead(code int, args ...string) (stdout, stderr string) {
	s.t.Helper()
	return call(s.t, code, append([]string{"dead", "-c", s.manifest}, args...)...)
}

// answered runs a command on a terminal at which somebody types.
func (s deadSite) answered(typed string, args ...string) (code int, stdout, stderr string) {
	s.t.Helper()
	c := &caller{terminal: true}
	e := c.newEnv()
	e.in = struct {
		io.Reader
		io.Writer
	}{strings.NewReader(typed), io.Discard}
	code = e.run(s.t.Context(), append([]string{"dead", "-c", s.manifest}, args...))
	return code, c.out.String(), c.err.String()
}

func (s deadSite) count(key string) int64 {
	s.t.Helper()
	return s.redis.Do(s.t, "XLEN", key).(int64)
}

func TestDeadListTable(t *testing.T) {
	t.Parallel()
	s := newDeadSite(t)
	if out, _ := s.dead(exitOK, "list", "audit"); out != "audit has no dead letters in "+deadStream+"\n" {
		t.Errorf("a list of nothing:\n%s", out)
	}
	s.letter(1, deadletter.Handle, deadletter.ClassError, "bad \x1b[2J line\nsecond line", "event", "{}")
	s.letter(2, deadletter.Timeout, "timeout", strings.Repeat("long ", 100), "event", "{}")
	s.redis.Do(t, "XADD", deadStream, "3-0", "somebody", "else")
	if out, _ := s.dead(exitOK, "list", "audit", "--reason", "panic"); out != "audit has no dead letters of that kind in "+deadStream+"\n" {
		t.Errorf("a list of none:\n%s", out)
	}
	out, _ := s.dead(exitOK, "list", "audit")
	lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	if len(lines) != 4 || !strings.HasPrefix(lines[0], "LETTER") {
		t.Fatalf("table:\n%s", out)
	}
	for i, want := range [][]string{{"1-0", "buried", "handle", " 5 ", `bad \x1b[2J line`}, {"2-0", "timeout", "long…"}, {"3-0", "not a letter"}} {
		for _, part := range want {
			if !strings.Contains(strings.ReplaceAll(lines[i+1], "long …", "long…"), part) {
				t.Errorf("line %q lacks %q", lines[i+1], part)
			}
		}
	}
	if strings.Contains(out, "\x1b") || strings.Contains(out, "second line") {
		t.Errorf("an error steers the terminal, or takes two lines:\n%q", out)
	}
}

func TestDeadListJSON(t *testing.T) {
	t.Parallel()
	s := newDeadSite(t)
	const letters = 1203 // more than two pages
	for n := 1; n <= letters; n++ {
		s.letter(n, deadletter.Handle, deadletter.ClassError, "e", "event", "{}")
	}
	s.redis.Do(t, "XADD", deadStream, "2000-0", "somebody", "else")
	for args, want := range map[string]int{
		"":                             letters + 1,
		"--error e":                    letters,
		"--error x":                    0,
		"--reason error,timeout":       letters,
		"--reason handle":              letters,
		"--reason timeout":             0,
		"--from 1000-0 --to 1001-0":    2,
		"--since 1970-01-01T00:00:01Z": letters - 1000 + 2,
		"--until 1970-01-01T00:00:01Z": 999,
		"--since 1h":                   0,
	} {
		out, _ := s.dead(exitOK, append([]string{"list", "audit", "-o", "json"}, strings.Fields(args)...)...)
		var got struct {
			Group, Stream string
			Letters       []map[string]any
		}
		if err := json.Unmarshal([]byte(out), &got); err != nil {
			t.Fatalf("%s: %v\n%.300s", args, err, out)
		}
		if len(got.Letters) != want || got.Group != "audit" || got.Stream != deadStream || got.Letters == nil {
			t.Errorf("%q: %d letters, want %d", args, len(got.Letters), want)
		}
		if args != "" {
			continue
		}
		first, last := got.Letters[0], got.Letters[letters]
		if first["letter_id"] != "1-0" || first["id"] != "1-0" || first["state"] != "buried" || first["stage"] != "handle" || first["class"] != "error" {
			t.Errorf("first %v", first)
		}
		if last["state"] != "not a letter" || last["fault"] == nil || last["stage"] != nil {
			t.Errorf("last %v", last)
		}
	}
}

func TestDeadShow(t *testing.T) {
	t.Parallel()
	s := newDeadSite(t)
	s.letter(7, deadletter.Decode, deadletter.ClassPermanent, "no JSON", "event", "{\n\t\"a\": 1}", "b", "\x00\xff", "esc", "\x1b[2J", "none", "")
	out, _ := s.dead(exitOK, "show", "audit", "7-0")
	for _, want := range []string{
		"7-0 of events_stream, epoch e1", "decode", "permanent", "no JSON", "5 in 1 delivery", "2025-11-23T01:00:07Z", "log in consumer host-0",
		"\nevent:\n{\n\t\"a\": 1}\n", "\nb:\n(base64) AP8=\n", "\nesc:\n(base64) G1sySg==\n", "\nnone:\n(empty)\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("lacks %q:\n%s", want, out)
		}
	}
	out, _ = s.dead(exitOK, "show", "audit", "7-0", "-o", "json")
	var got app.ShownLetter
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Fields) != 4 || *got.Fields[0].Value != "{\n\t\"a\": 1}" || string(got.Fields[1].ValueBase64) != "\x00\xff" || *got.Fields[3].Value != "" {
		t.Errorf("fields of %s", out)
	}

	s.redis.Do(t, "XADD", deadStream, "8-0", "somebody", "else")
	if out, _ = s.dead(exitOK, "show", "audit", "8-0"); !strings.Contains(out, "not a letter") || !strings.Contains(out, "\nsomebody:\nelse\n") {
		t.Errorf("a foreign entry:\n%s", out)
	}
	if _, errs := s.dead(exitFailure, "show", "audit", "9-0"); errs != "fanout: no dead letter 9-0 of audit; fanout dead list audit shows those that are there\n" {
		t.Errorf("a letter that is not there: %s", errs)
	}
}

func TestDeadReplay(t *testing.T) {
	t.Parallel()
	const replays = "{events_stream}:replay:audit"
	s := newDeadSite(t)
	for n := 1; n <= 8; n++ {
		s.letter(n, deadletter.Handle, deadletter.ClassError, fmt.Sprint("fault ", n), "event", "{}")
	}
	s.redis.Do(t, "XADD", deadStream, "9-0", "somebody", "else")

	out, _ := s.dead(exitOK, "replay", "audit", "--dry-run")
	if !strings.HasPrefix(out, "8 letters would go back to audit\nLETTER") || !strings.Contains(out, "fault 5") ||
		!strings.Contains(out, "… and 3 more\n") || !strings.Contains(out, "1 entry of "+deadStream+" left alone: not a letter") {
		t.Errorf("dry run:\n%s", out)
	}
	if s.redis.Do(t, "EXISTS", replays) != int64(0) {
		t.Fatal("a dry run sent something")
	}
	if out, _ = s.dead(exitOK, "replay", "audit", "2-0", "2-0", "4-0"); out != "2 letters sent back to audit\n" {
		t.Errorf("replay of two:\n%s", out)
	}
	if out, _ = s.dead(exitOK, "replay", "audit", "--error", "fault 3"); out != "1 letter sent back to audit\n" {
		t.Errorf("replay by error:\n%s", out)
	}
	if out, _ = s.dead(exitOK, "list", "audit"); strings.Count(out, "replaying") != 3 {
		t.Errorf("list:\n%s", out)
	}
	began := time.Now()
	out, _ = s.dead(exitOK, "replay", "audit", "--rate", "20")
	if !strings.HasPrefix(out, "5 letters sent back to audit\n3 letters on the way back already\n") {
		t.Errorf("replay of the rest:\n%s", out)
	}
	if took := time.Since(began); took < 200*time.Millisecond {
		t.Errorf("5 letters at 20 a second took %s", took)
	}
	if n := s.count(replays); n != 8 {
		t.Errorf("%d replays, want 8", n)
	}
	if n := s.count(deadStream); n != 9 {
		t.Errorf("%d letters left before the group is done, want 9", n)
	}
	if _, errs := s.dead(exitFailure, "replay", "audit", "1-0", "77-0"); !strings.Contains(errs, "no dead letter 77-0 of audit") {
		t.Errorf("replay of what is not there: %s", errs)
	}
}

func TestDeadPurgeAsks(t *testing.T) {
	t.Parallel()
	s := newDeadSite(t)
	for n := 1; n <= 3; n++ {
		s.letter(n, deadletter.Handle, deadletter.ClassError, "e", "event", "{}")
	}
	s.redis.Do(t, "XADD", deadStream, "9-0", "somebody", "else")
	if _, errs := s.dead(exitUsage, "purge", "audit"); !strings.Contains(errs, "add --yes") {
		t.Errorf("purge where nobody can answer: %s", errs)
	}
	for _, typed := range []string{"", "\n", "y\n", "no\n", "yes!\n"} {
		code, _, errs := s.answered(typed, "purge", "audit")
		if code != exitFailure || !strings.Contains(errs, "delete 3 letters of audit? type yes: ") || !strings.Contains(errs, "nothing was deleted") {
			t.Errorf("answer %q: exit code %d, %s", typed, code, errs)
		}
	}
	if n := s.count(deadStream); n != 4 {
		t.Fatalf("%d entries left though nobody said yes", n)
	}
	if code, out, _ := s.answered("yes\n", "purge", "audit", "--to", "2-0"); code != exitOK || out != "2 letters of audit deleted\n" {
		t.Errorf("purge of two: exit code %d\n%s", code, out)
	}
	out, _ := s.dead(exitOK, "purge", "audit", "--yes")
	if !strings.HasPrefix(out, "1 letter of audit deleted\n") || !strings.Contains(out, "1 entry of "+deadStream+" left alone: not a letter") {
		t.Errorf("purge of the rest:\n%s", out)
	}
	if out, _ = s.dead(exitOK, "purge", "audit", "9-0", "--yes"); out != "1 letter of audit deleted\n" || s.count(deadStream) != 0 {
		t.Errorf("purge by ID:\n%s", out)
	}
	if code, out, _ := s.answered("", "purge", "audit"); code != exitOK || out != "0 letters of audit deleted\n" {
		t.Errorf("purge of nothing: exit code %d\n%s", code, out)
	}
}

func TestDeadRefuses(t *testing.T) {
	t.Parallel()
	s := newDeadSite(t)
	tests := map[string]struct {
		code int
		says string
	}{
		"ls":                               {exitUsage, `unknown command "ls"`},
		"list":                             {exitUsage, "needs the name of a group"},
		"list audit 1-0":                   {exitUsage, "unexpected argument"},
		"list nobody":                      {exitFailure, "audit, other"},
		"list audit --reason tired":        {exitUsage, "want one of decode"},
		"list audit --since yesterday":     {exitUsage, "want a time"},
		"list audit --from x":              {exitUsage, "from x"},
		"list audit --from 5-0 --to 4-0":   {exitUsage, "nothing lies between"},
		"show audit":                       {exitUsage, "ID of a letter"},
		"show audit x":                     {exitUsage, "ID of a letter"},
		"show audit 1-0 2-0":               {exitUsage, "unexpected argument"},
		"replay audit 1-0 --since 1h":      {exitUsage, "not by both"},
		"replay audit --rate -1":           {exitUsage, "--rate -1"},
		"purge audit x --yes":              {exitUsage, "ID of a letter"},
		"purge audit --yes --until 1h 1-0": {exitUsage, "not by both"},
		"purge":                            {exitUsage, "needs the name of a group"},
	}
	for args, want := range tests {
		if _, errs := s.dead(want.code, strings.Fields(args)...); !strings.Contains(errs, want.says) {
			t.Errorf("dead %s: %s, want %q", args, errs, want.says)
		}
	}
	s.redis.Do(t, "SET", deadStream, "x")
	if _, errs := s.dead(exitFailure, "list", "audit"); !strings.Contains(errs, "WRONGTYPE") {
		t.Errorf("a key of another type: %s", errs)
	}
	s.redis.Stop(t)
	if _, errs := s.dead(exitFailure, "list", "other"); !strings.Contains(errs, "nothing listens") {
		t.Errorf("without Redis: %s", errs)
	}
}
