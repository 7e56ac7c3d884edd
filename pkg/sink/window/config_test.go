package window_test

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/handler/handlertest"
	"example.com/fanout/pkg/sink/window"
	"example.com/fanout/pkg/stream"
	"example.com/fanout/pkg/telemetry"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	measure := func(name, expr string) func(c *window.Config) {
		return func(c *window.Config) { c.Measures = append(c.Measures, window.Measure{Name: name, Expr: expr}) }
	}
	tests := []struct {
		name   string
		change func(c *window.Config)
		want   string // path: part of the message; "" for no fault
	}{
		{"as shipped", func(*window.Config) {}, ""},
		{"without key and time", func(c *window.Config) { c.Key, c.Time, c.TimeUnit = "", "", "" }, ""},
		{"odd but good measure", measure("odd name", ` wavg( ["a,(b\")"].c , legs[0].x ) `), ""},
		{"no DSN", func(c *window.Config) { c.DSN = "" }, "dsn: is required"},
		{"postgres", func(c *window.Config) { c.DSN = "postgres://u:hunter2@h/db" }, "dsn: postgres is not supported yet"},
		{"no table", func(c *window.Config) { c.Table = "" }, "table: name is empty"},
		{"bad key", func(c *window.Config) { c.Key = "a..b" }, "key: parse path"},
		{"bad time", func(c *window.Config) { c.Time = "a[" }, "time: parse path"},
		{"bad unit", func(c *window.Config) { c.TimeUnit = "min" }, "time_unit: unknown time unit"},
		{"no size", func(c *window.Config) { c.Size = 0 }, "size: 0s is not a whole number of milliseconds"},
		{"negative size", func(c *window.Config) { c.Size = -time.Minute }, "size: -1m0s is not"},
		{"size of fractions", func(c *window.Config) { c.Size = 1500 * time.Microsecond }, "size: 1.5ms is not"},
		{"no measures", func(c *window.Config) { c.Measures = nil }, "measures: needs at least one"},
		{"too many measures", func(c *window.Config) { c.Measures = make(window.Measures, 201) }, "measures: has 201 measures"},
		{"nameless", measure("", "count()"), "measures.: name is empty"},
		{"reserved", measure("fanout_x", "count()"), "measures.fanout_x: name begins with"},
		{"name of a column of ours", measure("Key", "count()"), "measures.Key: needs column Key, which is a column of every window"},
		{"name twice", measure("TRADES", "count()"), "measures.TRADES: needs column TRADES, which is a column of measure trades"},
		{"name of a hidden column", measure("open_at", "count()"), "measures.open_at: needs column open_at, which is a column of measure open"},
		{"hidden column of a name", func(c *window.Config) { measure("x_num", "count()")(c); measure("x", "wavg(a, b)")(c) }, "measures.x: needs column x_num, which is a column of measure x_num"},
		{"no function", measure("x", "stake.value"), `measures.x: "stake.value" is not a measure; use count(), sum(PATH)`},
		{"unknown function", measure("x", "avg(stake.value)"), `measures.x: "avg(stake.value)" is not a measure`},
		{"empty", measure("x", ""), `measures.x: "" is not a measure`},
		{"not closed", measure("x", "sum(stake.value"), `measures.x: "sum(stake.value" is not a measure`},
		{"text behind", measure("x", "sum(a) / 2"), `measures.x: "sum(a) / 2" is not a measure`},
		{"too few", measure("x", "sum()"), "measures.x: sum takes 1 paths, not 0"},
		{"too many", measure("x", "count(a)"), "measures.x: count takes 0 paths, not 1"},
		{"no weight", measure("x", "wavg(a)"), "measures.x: wavg takes 2 paths, not 1"},
		{"empty weight", measure("x", "wavg(a,)"), "measures.x: parse path"},
		{"bad path", measure("x", "sum(a..b)"), "measures.x: parse path"},
		{"nested", measure("x", "sum(sum(a))"), "measures.x: parse path"},
	}
	for _, tt := range tests {
		c := minutesConfig("dir")
		tt.change(c)
		var all []string
		for _, f := range c.Check() {
			all = append(all, f.Path+": "+f.Message)
		}
		text := strings.Join(all, "\n")
		if tt.want == "" && text != "" || !strings.Contains(text, tt.want) {
			t.Errorf("%s: findings are\n%s\nwant %q", tt.name, text, tt.want)
		}
		if strings.Contains(text, "hunter2") {
			t.Errorf("%s: findings show a password:\n%s", tt.name, text)
		}
	}
}

func TestQuotedPathsInMeasures(t *testing.T) {
	t.Parallel()
	c := minutesConfig(t.TempDir())
	c.Key, c.Time = "", ""
	c.Measures = window.Measures{{Name: "avg", Expr: `wavg(["a,(b\")"].c, legs[1])`}}
	mustHandle(t, mustNew(t, c, "g"), delivery(t, 1, `{"a,(b\")": {"c": 3}, "legs": [0, 2]}`))
	wantRows(t, c.DSN, "SELECT avg, avg_num, avg_den FROM market_minutes", "3|6|2")
}

func TestFactory(t *testing.T) {
	t.Parallel()
	f := window.Factory()
	c, ok := f.Config().(*window.Config)
	if !ok || !c.Create || c.TimeUnit != "auto" || f.Doc == "" {
		t.Errorf("factory makes %#v with doc %q", c, f.Doc)
	}
	var _ handler.Previewer = c
	var _ handler.Redirecter = c
	if p := c.Prefers(); p.BatchSize != 2000 || p.Concurrency != 0 {
		t.Errorf("prefers %+v", p)
	}
}

func TestPreview(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := minutesConfig(filepath.Join(dir, "not", "made"))
	d := handlertest.Delivery(t, "s", "e", stream.ID{Ms: 1},
		`{"market_id": "m-17", "odds": {"ticks": 245}, "stake": {"value": 9007199254740993}, "timestamp": 1763856059123}`)
	tests := []struct{ payload, want string }{
		{
			`{"market_id": "m-17", "odds": {"ticks": 245}, "stake": {"value": 9007199254740993}, "timestamp": 1763856059123}`,
			`{"table":"market_minutes","key":"m-17","window_start_utc":"2025-11-23T00:00:00Z","adds":{"trades":1,"volume":9007199254740993,"open":245,"high":245,"low":245,"close":245,"vwap":{"value":245,"weight":9007199254740993}}}`,
		},
		{
			`{"market_id": 17, "stake": {"value": 5}, "timestamp": 0}`,
			`{"table":"market_minutes","key":17,"window_start_utc":"1970-01-01T00:00:00Z","adds":{"trades":1,"volume":5,"open":null,"high":null,"low":null,"close":null,"vwap":null}}`,
		},
	}
	for _, tt := range tests {
		d = handlertest.Delivery(t, "s", "e", stream.ID{Ms: 1}, tt.payload)
		got, err := c.Preview(handlertest.Env(t, "g"), &d)
		if err != nil {
			t.Fatal(err)
		}
		if text, err := json.Marshal(got); err != nil || string(text) != tt.want {
			t.Errorf("got  %s, %v\nwant %s", text, err, tt.want)
		}
	}
	d = handlertest.Delivery(t, "s", "e", stream.ID{Ms: 1}, `{"timestamp": 1}`)
	if _, err := c.Preview(handlertest.Env(t, "g"), &d); err == nil || !strings.Contains(err.Error(), "market_id is missing") {
		t.Errorf("error %v, want the missing key", err)
	}
	if files, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(files) > 0 {
		t.Errorf("preview has made %v, %v", files, err)
	}
}

func TestRedirect(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := minutesConfig("data")
	c.Redirect(dir, "", "")
	if c.DSN != telemetry.Secret("sqlite:"+filepath.Join(dir, "analytics.db")) {
		t.Errorf("DSN is %s", c.DSN.Reveal())
	}
	mustHandle(t, mustNew(t, c, "g"), handlertest.Trades(t, 0, 2).Deliveries...)
	wantRows(t, c.DSN, "SELECT sum(trades) FROM market_minutes", "2")
}
