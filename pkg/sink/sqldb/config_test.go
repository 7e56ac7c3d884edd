package sqldb_test

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/handler/handlertest"
	"example.com/fanout/pkg/sink/sqldb"
	"example.com/fanout/pkg/stream"
	"example.com/fanout/pkg/telemetry"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(c *sqldb.Config)
		want   string // path: part of the message
	}{
		{"no DSN", func(c *sqldb.Config) { c.DSN = "" }, "dsn: is required"},
		{"postgres", func(c *sqldb.Config) { c.DSN = "postgres://u:hunter2@h/db" }, "dsn: postgres is not supported yet"},
		{"no table", func(c *sqldb.Config) { c.Table = "" }, "table: name is empty"},
		{"our table", func(c *sqldb.Config) { c.Table = "fanout_seen" }, "table: name begins with"},
		{"no columns", func(c *sqldb.Config) { c.Columns, c.Required = nil, nil }, "columns: needs at least one"},
		{"too many columns", func(c *sqldb.Config) { c.Columns, c.Required = make(sqldb.Columns, 1001), nil }, "columns: has 1001 columns"},
		{"our column", func(c *sqldb.Config) { c.Columns[0].Name = "Fanout_ID"; c.Required = nil }, "columns.Fanout_ID: name begins with"},
		{"column without name", func(c *sqldb.Config) { c.Columns[3].Name = "" }, "columns.: name is empty"},
		{"column twice", func(c *sqldb.Config) { c.Columns[3].Name = "Trade_ID" }, "columns.Trade_ID: is the same column as trade_id"},
		{"bad path", func(c *sqldb.Config) { c.Columns[2].Path = "odds..ticks" }, "columns.odds_ticks: parse path"},
		{"no path", func(c *sqldb.Config) { c.Columns[2].Path = "" }, "columns.odds_ticks: parse path"},
		{"required is no column", func(c *sqldb.Config) { c.Required[1] = "marketid" }, `required: "marketid" is not one of the columns`},
		{"required twice", func(c *sqldb.Config) { c.Required[1] = "trade_id" }, `required: "trade_id" stands twice`},
	}
	for _, tt := range tests {
		c := tradesConfig("dir")
		tt.change(c)
		var all []string
		for _, f := range c.Check() {
			all = append(all, f.Path+": "+f.Message)
		}
		text := strings.Join(all, "\n")
		if !strings.Contains(text, tt.want) {
			t.Errorf("%s: findings are\n%s\nwant %q", tt.name, text, tt.want)
		}
		if strings.Contains(text, "hunter2") {
			t.Errorf("%s: findings show a password:\n%s", tt.name, text)
		}
	}
	if faults := tradesConfig("dir").Check(); len(faults) > 0 {
		t.Errorf("a good config has faults: %v", faults)
	}
}

func TestCheckReportsEveryFault(t *testing.T) {
	t.Parallel()
	c := &sqldb.Config{Columns: sqldb.Columns{{"a", "("}, {"b", ""}}, Required: []string{"x"}}
	if got := c.Check(); len(got) != 5 {
		t.Errorf("%d findings %v, want 5: dsn, table, a, b, required", len(got), got)
	}
}

func TestFactory(t *testing.T) {
	t.Parallel()
	f := sqldb.Factory()
	c, ok := f.Config().(*sqldb.Config)
	if !ok || !c.Create || f.Doc == "" {
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
	c := tradesConfig(filepath.Join(dir, "not", "made"))
	d := handlertest.Delivery(t, "s", "e", stream.ID{Ms: 1}, `{"trade_id": 9007199254740993, "market_id": "m-1", "odds": {"ticks": 2.5}}`)
	got, err := c.Preview(handlertest.Env(t, "g"), &d)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(got)
	want := `{"table":"trades","row":{"trade_id":9007199254740993,"market_id":"m-1","odds_ticks":"2.5","stake":null,"traded_at":null}}`
	if err != nil || string(text) != want {
		t.Errorf("got  %s, %v\nwant %s", text, err, want)
	}
	d = handlertest.Delivery(t, "s", "e", stream.ID{Ms: 1}, `{"trade_id": 1}`)
	if _, err := c.Preview(handlertest.Env(t, "g"), &d); err == nil || !strings.Contains(err.Error(), "required column market_id") {
		t.Errorf("error %v, want the missing column", err)
	}
	if files, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(files) > 0 {
		t.Errorf("preview has made %v, %v", files, err)
	}
}

func TestRedirect(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := tradesConfig("data")
	c.DSN = "postgres://u:p@127.0.0.1:1/db"
	c.Redirect(dir, "", "")
	if c.DSN != telemetry.Secret("sqlite:"+filepath.Join(dir, "trades.db")) {
		t.Errorf("DSN is %s", c.DSN.Reveal())
	}
	mustHandle(t, mustNew(t, c, "g"), handlertest.Trades(t, 0, 2))
	wantRows(t, c.DSN, "SELECT count(*) FROM trades", "2")
}
