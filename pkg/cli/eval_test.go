package cli

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

const evalGroups = `version: 1
groups:
  persistence:
    handler: {sql: {dsn: "sqlite:x.db", table: trades, columns: {trade_id: trade_id, stake: stake.value, note: note}, required: [trade_id]}}
  notifications:
    where: stake.value >= 50000
    handler:
      webhook:
        url: "https://user:hunter2@example.com/in?key=hunter3"
        secret: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw
        headers: {X-Token: hunter4}
  later:
    enabled: false
    handler: log
`

func TestEval(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, groups, event string
		code                int
		want                []string
		not                 []string
	}{
		{
			"takes it", evalGroups, `{"trade_id":9007199254740993,"stake":{"value":50000},"note":"<b>\u001b[31m\u202e"}` + "\n", exitOK,
			[]string{
				"persistence: takes it\n  sql: {", `"trade_id": 9007199254740993`, `<b>`, `\u001b[31m`, `\u202e`,
				"notifications: takes it\n  webhook: {", "***", "later: is disabled\n",
			},
			[]string{"hunter", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "\x1b", "\u202e"},
		},
		{
			"does not want it", evalGroups, `{"trade_id":1,"stake":{"value":49999}}`, exitOK,
			[]string{"notifications: does not want it: stake.value >= 50000\n"}, []string{"webhook:"},
		},
		{
			"would bury it", evalGroups, `{"stake":{"value":1}}`, exitFailure,
			[]string{"persistence: would bury it: ", "trade_id", "notifications: does not want it"}, nil,
		},
		{
			"not JSON", evalGroups, "{\"trade_id\":1\x1b", exitFailure,
			[]string{"persistence: would bury it: ", "notifications: would bury it: "}, []string{"\x1b"},
		},
		{"empty", evalGroups, "", exitFailure, []string{"persistence: would bury it: "}, nil},
		{
			"format fields", "version: 1\ngroups:\n  a:\n    payload: {format: fields}\n    where: price == \"7\"\n    handler: log\n",
			`{"price":"7"}`, exitOK, []string{"a: takes it"}, nil,
		},
		{
			"format fields, not strings", "version: 1\ngroups:\n  a:\n    payload: {format: fields}\n    handler: log\n",
			`{"price":7}`, exitFailure, []string{"a: would bury it: want a JSON object", "as strings"}, nil,
		},
		{
			"format raw", "version: 1\ngroups:\n  a:\n    payload: {format: raw}\n    handler: log\n",
			"\xff\x00 anything", exitOK, []string{"a: takes it"}, nil,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			config, file := write(t, "groups.yaml", test.groups), write(t, "event.json", test.event)
			stdout, stderr := call(t, test.code, "eval", "-c", config, "-e", file, "--id", "1763856000123-0")
			contains(t, stdout, test.want...)
			for _, part := range test.not {
				if strings.Contains(stdout+stderr, part) {
					t.Errorf("%q is in\n%s%s", part, stdout, stderr)
				}
			}
			if stderr != "" {
				t.Errorf("standard error has %s", stderr)
			}

			fromPipe := &caller{stdin: test.event}
			if same, _ := fromPipe.call(t, test.code, "eval", "-c", config, "-e", "-", "--id", "1763856000123-0"); withoutTime(same) != withoutTime(stdout) {
				t.Errorf("from standard input:\n%s, from a file:\n%s", same, stdout)
			}

			stdout, _ = call(t, test.code, "eval", "-c", config, "-e", file, "-o", "json")
			var answer struct {
				Groups []struct{ Group, Handler, Verdict, Reason string }
			}
			if err := json.Unmarshal([]byte(stdout), &answer); err != nil || len(answer.Groups) == 0 {
				t.Errorf("%v: %s", err, stdout)
			}
			for _, part := range test.not {
				if part != "webhook:" && strings.Contains(stdout, part) {
					t.Errorf("%q is in\n%s", part, stdout)
				}
			}
		})
	}
}

// withoutTime drops the lines of a preview that depend on the clock.
func withoutTime(text string) string {
	var kept []string
	for line := range strings.Lines(text) {
		if !strings.Contains(line, "webhook-timestamp") && !strings.Contains(line, "webhook-signature") {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "")
}

// What cannot be read is said in one line.
func TestEvalUnreadable(t *testing.T) {
	t.Parallel()
	config := write(t, "groups.yaml", twoGroups)
	huge := t.TempDir() + "/huge"
	if err := os.WriteFile(huge, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(huge, maxSample+1); err != nil { // a hole: it takes no space
		t.Fatal(err)
	}
	for file, want := range map[string]string{
		huge:              "read event: more than 64 MiB",
		t.TempDir():       "read event: ",
		huge + ".missing": "no such file",
	} {
		_, stderr := call(t, exitFailure, "eval", "-c", config, "-e", file)
		if strings.Count(stderr, "\n") != 1 {
			t.Errorf("more than a line: %s", stderr)
		}
		contains(t, stderr, want)
	}
	_, stderr := call(t, exitFailure, "eval", "-c", write(t, "messy.yaml", messy), "-e", "-")
	contains(t, stderr, "unknown key", "has 3 faults")
}
