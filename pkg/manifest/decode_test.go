package manifest_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/fanout/pkg/manifest"
	"example.com/fanout/pkg/stream"
)

// shapes has a field of every kind that a handler's config may use.
type shapes struct {
	Common  `yaml:",inline"`
	Count   uint16            `yaml:"count" default:"7" max:"300"`
	Ratio   float64           `yaml:"ratio" default:"0.5" min:"0" max:"1"`
	Small   int8              `yaml:"small"`
	After   stream.ID         `yaml:"after"`
	Names   []string          `yaml:"names" enum:"a,b"`
	Parts   []part            `yaml:"parts"`
	ByName  map[string]int    `yaml:"by_name"`
	PerPart map[string]part   `yaml:"per_part"`
	Ordered []namedPart       `yaml:"ordered"`
	Maybe   *bool             `yaml:"maybe"`
	Given   *part             `yaml:"given"`
	Unset   *part             `yaml:"unset"`
	Labels  map[string]string `yaml:"labels"`
	Hidden  string            // no key
}

type Common struct {
	Table string `yaml:"table" required:"true"`
}

type part struct {
	A int    `yaml:"a" default:"1"`
	B string `yaml:"b"`
}

type namedPart struct {
	Name string `yaml:",key"`
	Part part   `yaml:",value"`
}

func parseShapes(text string) (*shapes, manifest.Faults) {
	config := &shapes{Given: &part{A: 5, B: "given"}, ByName: map[string]int{"kept": 1, "x": 2}}
	opts := options(nil, nil)
	opts.Handlers = registry{"shapes": func() manifest.HandlerConfig { return manifest.HandlerConfig{Config: config} }}
	text = strings.ReplaceAll("version: 1\ngroups:\n  a:\n    handler:\n      shapes:\n"+text, "\n\t\t", "\n        ")
	_, faults := manifest.Parse("g", []byte(text), opts)
	return config, faults
}

func TestShapes(t *testing.T) {
	t.Parallel()
	given := &part{A: 5, B: "given"}
	got, faults := parseShapes(`
		table: t
		count: 300
		ratio: 1e-1
		small: -128
		after: 5-6
		names: [a, b]
		parts: [{b: x}, {a: 2}]
		by_name: {x: 3, y: 4}
		per_part: {p: {b: z}}
		ordered: {z: {}, y: {a: 9}}
		maybe: false
		given: {b: own}
`)
	if err := faults.Err(); err != nil {
		t.Fatal(err)
	}
	no := false
	want := &shapes{
		Common: Common{"t"}, Count: 300, Ratio: 0.1, Small: -128, After: stream.ID{Ms: 5, Seq: 6},
		Names: []string{"a", "b"}, Parts: []part{{1, "x"}, {2, ""}},
		ByName: map[string]int{"kept": 1, "x": 3, "y": 4}, PerPart: map[string]part{"p": {1, "z"}},
		Ordered: []namedPart{{"z", part{1, ""}}, {"y", part{9, ""}}},
		Maybe:   &no, Given: &part{5, "own"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("shapes (-want +got):\n%s", diff)
	}

	got, faults = parseShapes("\n\t\ttable: t\n")
	want = &shapes{Common: Common{"t"}, Count: 7, Ratio: 0.5, Given: given, ByName: map[string]int{"kept": 1, "x": 2}}
	if diff := cmp.Diff(want, got); diff != "" || faults.Err() != nil {
		t.Errorf("defaults (-want +got):\n%s\n%v", diff, faults)
	}
}

func TestShapesAtFault(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ text, fault string }{
		{"count: 301", `count: must be at most 300, got "301"`},
		{"count: 65536", `count: is too large a number, got "65536"`},
		{"count: -1", `count: must not be negative, got "-1"`},
		{"count: 010", `count: want a whole number, got "010"`},
		{"count: 1_000", `count: want a whole number, got "1_000"`},
		{"ratio: 1.5", `ratio: must be from 0 to 1, got "1.5"`},
		{"ratio: .nan", `ratio: want a number, got ".nan"`},
		{"ratio: .inf", `ratio: want a number, got ".inf"`},
		{"ratio: 0x1p-2", `ratio: want a number, got "0x1p-2"`},
		{"small: 128", `small: is too large a number, got "128"`},
		{"after: now", `after: not a stream ID: "now"`},
		{"names: [a, c]", `names[1]: want one of a, b, got "c"`},
		{"names: [a, ]\n\t\tnames: [b]", "names: duplicate key (the first is in line 7)"},
		{"parts: [1]", "parts[0]: want a mapping of keys, got a single value"},
		{"parts: [{c: 1}]", "parts[0].c: unknown key (known here: a, b)"},
		{"by_name: {x: y}", `by_name.x: want a whole number, got "y"`},
		{"by_name: [x]", "by_name: want a mapping of names to values, got a list"},
		{"per_part: {p: {a: x}}", `per_part.p.a: want a whole number, got "x"`},
		{"ordered: {z: {a: x}}", `ordered.z.a: want a whole number, got "x"`},
		{"given: [x]", "given: want a mapping of keys, got a list"},
		{"Hidden: x", "Hidden: unknown key"},
		{"tabel: x", `tabel: unknown key (did you mean "table"?)`},
		{"table: ''", "table: must not be empty"},
	} {
		table := "\t\ttable: t\n"
		if strings.Contains(test.text, "tab") {
			table = ""
		}
		_, faults := parseShapes("\n\t\t" + test.text + "\n" + table)
		if got := faults.Error(); !strings.Contains(got, "groups.a.handler.shapes."+test.fault) {
			t.Errorf("%s:\n%s\nwant %s", test.text, got, test.fault)
		}
	}
}

// Columns are counted in characters, and line ends of Windows are line ends.
func TestPlaces(t *testing.T) {
	t.Parallel()
	long := "version: 1\ngroups:\n  a: {handler: log}\n" + strings.Repeat("# some more text to make the file long\n", 2000) + "  b: {handler: log\n"
	for _, test := range []struct{ name, text, want string }{
		{"line ends", "version: 1\r\ngroups:\r\n  a: {handler: log, x: 1}\r\n", "g:3:21: groups.a.x: "},
		{"characters", "version: 1\ngroups:\n  a: {stream: ünïcödé, x: 1, handler: log}\n", "g:3:24: groups.a.x: "},
		{"byte order mark", "\uFEFFversion: 2\ngroups: {a: {handler: log}}\n", "g:1:10: version: "},
		{"value below its key", "version:\n  2\ngroups: {a: {handler: log}}\n", "g:2:3: version: "},
		{"syntax in a long file", long, "g:2004:3: a { is not closed"},
		{"binary", "\x89PNG\r\n", "g:1:1: the file is not UTF-8"},
		{"lone carriage return", "version: 1\r", "g:1:11: the file holds the control character U+000D"},
		{"line separator", "version: 1 # \u2028\n", "g:1:14: the file holds the control character U+2028"},
		{"anchor", "version: 1\ngroups:\n  ä: {a: *nope}\n", "g:3:10: no anchor &nope stands above"},
	} {
		_, faults := manifest.Parse("g", []byte(test.text), options(nil, nil))
		if got := faults.Error(); !strings.HasPrefix(got, test.want) {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}

// Configs that break the rules are mistakes of the program.
func TestImpossibleConfigs(t *testing.T) {
	t.Parallel()
	for name, config := range map[string]any{
		"no pointer": logConfig{},
		"nil":        nil,
		"default": &struct {
			A int `yaml:"a" default:"x"`
		}{},
		"channel": &struct {
			A chan int `yaml:"a"`
		}{},
		"bound of a text": &struct {
			A string `yaml:"a" min:"1"`
		}{},
		"keys of no text": &struct {
			A map[int]int `yaml:"a"`
		}{},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			opts := options(nil, nil)
			opts.Handlers = registry{"x": func() manifest.HandlerConfig { return manifest.HandlerConfig{Config: config} }}
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			manifest.Parse("g", []byte("version: 1\ngroups: {a: {handler: {x: {a: 1}}}}"), opts)
		})
	}
}
