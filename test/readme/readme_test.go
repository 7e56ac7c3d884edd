// Package readme_test checks what the README says against the program: its
// tables of metrics and of handler keys, and its examples of where.
package readme_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"example.com/fanout/pkg/app"
	"example.com/fanout/pkg/event"
	"example.com/fanout/pkg/manifest"
	"example.com/fanout/pkg/sink/builtin"
	"example.com/fanout/pkg/stream"
	"example.com/fanout/pkg/telemetry"
)

func readme(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// section is what stands below a heading, up to the next one.
func section(t *testing.T, heading string) string {
	t.Helper()
	_, rest, ok := strings.Cut(readme(t), "\n"+heading+"\n")
	if !ok {
		t.Fatalf("the README has no section %q", heading)
	}
	text, _, _ := strings.Cut(rest, "\n#")
	return text
}

// rows are the rows of the tables in a text, without their heads.
func rows(text string) []string {
	var all []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "|---"):
			all = all[:len(all)-1] // the head
		case strings.HasPrefix(line, "|"):
			all = append(all, line)
		}
	}
	return all
}

// same wants the rows of a table, in any order.
func same(t *testing.T, table, want []string) {
	t.Helper()
	for _, row := range want {
		if !slices.Contains(table, row) {
			t.Errorf("lacks the row\n%s", row)
		}
	}
	for _, row := range table {
		if !slices.Contains(want, row) {
			t.Errorf("has the row\n%s", row)
		}
	}
}

// scraped is everything that /metrics shows of a process with one group and one
// stream that is trimmed, what may be unknown included.
func scraped(t *testing.T) string {
	t.Helper()
	m := telemetry.NewMetrics("v1")
	g := m.Group("g", "s", "log")
	for numbers, i := reflect.ValueOf(g).Elem(), 0; i < numbers.NumField(); i++ {
		if !numbers.Type().Field(i).IsExported() {
			continue
		}
		if unknown, ok := numbers.Field(i).Addr().Interface().(*telemetry.Maybe); ok {
			unknown.Set(1)
		}
	}
	m.Retention("s")
	m.WatchRedis(func() telemetry.RedisStats { return telemetry.RedisStats{Server: "redis", Version: "7"} })
	rec := httptest.NewRecorder()
	m.Handler().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	return rec.Body.String()
}

var (
	help  = regexp.MustCompile(`(?m)^# HELP (fanout_\w+) (.*)$`)
	label = regexp.MustCompile(`(\w+)="([^"]*)"`)
)

// open are the labels whose values are not a closed set; le is of the format.
var open = []string{"group", "stream", "handler", "version", "go_version", "server", "le"}

// Each metric has one row: its name with its labels, their values, what it is.
func TestMetrics(t *testing.T) {
	t.Parallel()
	text := scraped(t)
	var want []string
	for _, m := range help.FindAllStringSubmatch(text, -1) {
		var names, values []string
		for _, series := range regexp.MustCompile(`(?m)^`+m[1]+`(?:_bucket)?\{(.*)\} `).FindAllStringSubmatch(text, -1) {
			for _, l := range label.FindAllStringSubmatch(series[1], -1) {
				if l[1] != "le" && !slices.Contains(names, l[1]) {
					names = append(names, l[1])
				}
				if value := "`" + l[2] + "`"; !slices.Contains(open, l[1]) && !slices.Contains(values, value) {
					values = append(values, value)
				}
			}
		}
		name, meaning := m[1], m[2]
		if len(names) > 0 {
			name += "{" + strings.Join(names, ",") + "}"
		}
		if len(values) > 0 {
			slices.Sort(values)
			meaning += " " + strings.Join(values, ", ")
		}
		want = append(want, fmt.Sprintf("| `%s` | %s |", name, meaning))
	}
	same(t, rows(section(t, "### Metrics")), want)
}

// Whatever else the README calls a metric is one.
func TestNamesOfMetrics(t *testing.T) {
	t.Parallel()
	text := scraped(t)
	for _, name := range regexp.MustCompile(`fanout_[a-z_]+_(total|seconds|entries|bytes|calls|info|state|length|connections|held)\b`).FindAllString(readme(t), -1) {
		if !strings.Contains(text, "# HELP "+name+" ") {
			t.Errorf("there is no metric %s", name)
		}
	}
}

// Each key of a built-in handler has one row.
func TestHandlerKeys(t *testing.T) {
	t.Parallel()
	handlers := app.Handlers(builtin.Registry())
	var want []string
	for _, name := range handlers.Names() {
		h, _ := handlers.New(name)
		for _, k := range manifest.Keys(h.Config) {
			preset := k.Default
			switch {
			case k.Required:
				preset = "required"
			case preset != "":
				preset = "`" + preset + "`"
			}
			want = append(want, fmt.Sprintf("| `%s` | `%s` | %s | %s | %s |", name, k.Name, k.Type, preset, k.Doc))
		}
	}
	same(t, rows(section(t, "### Keys of the handlers")), want)
}

// Each example of where does with the event above it what its row says.
func TestWhere(t *testing.T) {
	t.Parallel()
	text := section(t, "### The language of `where`")
	_, rest, _ := strings.Cut(text, "```json\n")
	payload, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatal("the section shows no event")
	}
	ev, err := event.Decoder{Field: "event"}.Decode(stream.Entry{Fields: []stream.Field{{Name: []byte("event"), Value: []byte(payload)}}})
	if err != nil {
		t.Fatal(err)
	}
	examples := 0
	for _, row := range rows(text) {
		cells := strings.Split(strings.ReplaceAll(row, `\|`, "\x00"), "|")
		if len(cells) != 5 {
			continue // a table of something else
		}
		examples++
		source, want := strings.ReplaceAll(strings.Trim(cells[1], " `"), "\x00", "|"), strings.TrimSpace(cells[2])
		x, err := event.Compile(source)
		if err != nil {
			t.Errorf("%s: %v", source, err)
			continue
		}
		got := "not taken"
		taken, err := x.Match(ev)
		switch {
		case err != nil:
			got = "dead letter"
		case taken:
			got = "taken"
		}
		if got != want {
			t.Errorf("%s: %s (%v), the README says %s", source, got, err, want)
		}
	}
	if examples < 10 {
		t.Errorf("%d examples", examples)
	}
}
