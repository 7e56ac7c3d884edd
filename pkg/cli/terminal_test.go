package cli

import (
	"encoding/json"
	"os"
	"testing"
)

func TestPrintable(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		text  string
		limit int
		want  string
	}{
		{"stake ≥ 5 €", 100, "stake ≥ 5 €"},
		{"a\x1b[31mb", 100, `a\x1b[31mb`},
		{"a\r\nb\t\"\\", 100, `a\r\nb\t"\`},
		{"\u009b31m\u202e", 100, `\u009b31m\u202e`},
		{"\xff\xfe", 100, `\xff\xfe`},
		{"abcdef", 3, "abc…"},
		{"", 3, ""},
	} {
		if got := printable(test.text, test.limit); got != test.want {
			t.Errorf("printable(%q) is %q, want %q", test.text, got, test.want)
		}
	}
}

func TestIndentedJSON(t *testing.T) {
	t.Parallel()
	const hostile = "<b>\x1b[31m\u009b\u202e\U000e0041 é\n"
	text, err := indentedJSON(map[string]string{"a": hostile}, "  ")
	if err != nil {
		t.Fatal(err)
	}
	const want = "{\n    \"a\": \"<b>\\u001b[31m\\u009b\\u202e\\udb40\\udc41 é\\n\"\n  }\n"
	if string(text) != want {
		t.Errorf("got  %q\nwant %q", text, want)
	}
	var back map[string]string
	if err := json.Unmarshal(text, &back); err != nil || back["a"] != hostile {
		t.Errorf("comes back as %q, %v", back["a"], err)
	}
}

func TestColumns(t *testing.T) {
	t.Parallel()
	c := columns{right: []bool{1: true}}
	for _, test := range []struct {
		cells []cell
		want  string
	}{
		{texts("a", "1", "x"), "a  1  x"},
		{texts("lag…", "100", ""), "lag…  100"},
		{[]cell{{"b", red}, {"20", ""}, {"y", green}}, red + "b" + plain + "      20  " + green + "y" + plain},
		{texts("b", "20", "y"), "b      20  y"},
	} {
		if got := c.line(test.cells); got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
}

func TestColours(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		terminal bool
		environ  map[string]string
		want     bool
	}{
		{true, nil, true},
		{true, map[string]string{"TERM": "xterm-256color"}, true},
		{false, nil, false},
		{true, map[string]string{"NO_COLOR": "1"}, false},
		{true, map[string]string{"TERM": "dumb"}, false},
	} {
		c := caller{terminal: test.terminal, environ: test.environ}
		e := c.newEnv()
		if got := e.colours(&c.out); got != test.want {
			t.Errorf("%+v: colours %v, want %v", test, got, test.want)
		}
	}
	file, err := os.Create(t.TempDir() + "/out")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if isTerminal(file) {
		t.Error("a file is taken for a terminal")
	}
}
