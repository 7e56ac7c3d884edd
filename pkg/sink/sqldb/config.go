package sqldb

import (
	"fmt"
	"slices"
	"strings"

	"example.com/fanout/pkg/event"
	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/sink/internal/sqlstore"
	"example.com/fanout/pkg/telemetry"
)

// Config is the handler's part of the manifest.
type Config struct {
	DSN      telemetry.Secret `yaml:"dsn" required:"true" doc:"the store, as sqlite:PATH"`
	Table    string           `yaml:"table" required:"true" doc:"the table that gets a row for each entry"`
	Columns  Columns          `yaml:"columns" required:"true" doc:"column: path of its value in the event"`
	Required []string         `yaml:"required" doc:"columns without which an entry is refused; the others are NULL when their path is missing"`
	Create   bool             `yaml:"create" default:"true" doc:"create the table, or the columns that it lacks"`
}

// Columns are the columns in the order of the manifest.
type Columns []Column

// Column is one column and where its value comes from.
type Column struct {
	Name string `yaml:",key"`
	Path string `yaml:",value"`
}

// maxColumns is half of what SQLite allows.
const maxColumns = 1000

// Factory makes the handler type.
func Factory() handler.Factory {
	return handler.Factory{
		Doc:    "writes each entry as a row of an SQL table; a repeated entry changes nothing",
		Config: func() handler.Config { return &Config{Create: true} },
	}
}

// Check implements [handler.Config].
func (c *Config) Check() []handler.Finding {
	var faults []handler.Finding
	fault := func(path, format string, args ...any) {
		faults = append(faults, handler.Finding{Path: path, Message: fmt.Sprintf(format, args...)})
	}
	if err := sqlstore.CheckDSN(c.DSN.Reveal()); err != nil {
		fault("dsn", "%v", err)
	}
	if err := sqlstore.CheckTable(c.Table); err != nil {
		fault("table", "name %v", err)
	}
	switch n := len(c.Columns); {
	case n == 0:
		fault("columns", "needs at least one column")
	case n > maxColumns:
		fault("columns", "has %d columns; at most %d are possible", n, maxColumns)
	}
	seen := map[string]string{}
	for _, col := range c.Columns {
		at := "columns." + col.Name
		if err := sqlstore.CheckName(col.Name); err != nil {
			fault(at, "name %v", err)
		}
		lower := strings.ToLower(col.Name)
		if first, ok := seen[lower]; ok {
			fault(at, "is the same column as %s: SQL does not tell case apart", first)
		}
		seen[lower] = col.Name
		if _, err := event.ParsePath(col.Path); err != nil {
			fault(at, "%v", err)
		}
	}
	for i, name := range c.Required {
		switch {
		case c.column(name) < 0:
			fault("required", "%q is not one of the columns", name)
		case slices.Contains(c.Required[:i], name):
			fault("required", "%q stands twice", name)
		}
	}
	return faults
}

// column returns the index of the column of that name, -1 for none.
func (c *Config) column(name string) int {
	return slices.IndexFunc(c.Columns, func(col Column) bool { return col.Name == name })
}

// New implements [handler.Config].
func (c *Config) New(env handler.Env) (handler.Handler, error) {
	h, err := open(c, env)
	if err != nil {
		return nil, err
	}
	return h, nil
}

// Prefers implements [handler.Preferrer]: a commit waits for the disk, whatever
// the size of the batch.
func (c *Config) Prefers() handler.Preferences { return handler.Preferences{BatchSize: 2000} }

// Repeats implements [handler.Repeater].
func (c *Config) Repeats() handler.Repetition {
	return handler.Repetition{Effect: "leaves its row as it is"}
}

// OneHost implements [handler.HostBound]: a SQLite file is local.
func (c *Config) OneHost() bool {
	_, file := sqlstore.Path(c.DSN.Reveal())
	return file
}

// Redirect implements [handler.Redirecter].
func (c *Config) Redirect(dir, _, _ string) {
	c.DSN = telemetry.Secret(sqlstore.Redirect(c.DSN.Reveal(), c.Table, dir))
}

// Preview implements [handler.Previewer]: the row that the delivery becomes.
func (c *Config) Preview(_ handler.Env, d *handler.Delivery) (any, error) {
	fields, err := c.fields()
	if err != nil {
		return nil, err
	}
	values, err := fields.appendTo(nil, d, new(texts))
	if err != nil {
		return nil, err
	}
	row := make(sqlstore.Record, len(values))
	for i, v := range values {
		row[i] = sqlstore.Field{Name: c.Columns[i].Name, Value: v}
	}
	return struct {
		Table string          `json:"table"`
		Row   sqlstore.Record `json:"row"`
	}{c.Table, row}, nil
}
