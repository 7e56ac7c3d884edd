package window

import (
	"fmt"
	"strings"
	"time"

	"example.com/fanout/pkg/event"
	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/sink/internal/sqlstore"
	"example.com/fanout/pkg/telemetry"
)

// Config is the handler's part of the manifest.
type Config struct {
	Key      string           `yaml:"key" doc:"path of the key: each of its values has windows of its own; without it all entries share them"`
	Time     string           `yaml:"time" doc:"path of the event's time; default: the time in the entry's ID"`
	TimeUnit event.TimeUnit   `yaml:"time_unit" default:"auto" enum:"auto,s,ms,us,ns" doc:"unit of a time that is a number"`
	Size     time.Duration    `yaml:"size" required:"true" min:"1ms" max:"8784h" doc:"length of a window; windows are aligned to 1970 UTC"`
	Measures Measures         `yaml:"measures" required:"true" doc:"name: count(), sum(PATH), min(PATH), max(PATH), first(PATH), last(PATH) or wavg(PATH, WEIGHT)"`
	Decimals Decimals         `yaml:"decimals" doc:"path: decimal places that its integers are shown with, as odds.ticks: 2; what is stored stays as it is"`
	DSN      telemetry.Secret `yaml:"dsn" required:"true" doc:"the store, as sqlite:PATH"`
	Table    string           `yaml:"table" required:"true" doc:"the table that has a row for each window"`
	Create   bool             `yaml:"create" default:"true" doc:"create the table, or the columns that it lacks"`
}

// Measures are what is kept of a window, in the order of the manifest.
type Measures []Measure

// Measure is one name and its expression.
type Measure struct {
	Name string `yaml:",key"`
	Expr string `yaml:",value"`
}

const maxMeasures = 200

// Factory makes the handler type.
func Factory() handler.Factory {
	return handler.Factory{
		Doc:    "sums up entries by key and time window in an SQL table; a repeated entry changes nothing",
		Config: func() handler.Config { return &Config{TimeUnit: event.Auto, Create: true} },
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
	for _, p := range []struct{ key, path string }{{"key", c.Key}, {"time", c.Time}} {
		if p.path == "" {
			continue
		}
		if _, err := event.ParsePath(p.path); err != nil {
			fault(p.key, "%v", err)
		}
	}
	if err := c.checkUnit(); err != nil {
		fault("time_unit", "%v", err)
	}
	if c.Size <= 0 || c.Size%time.Millisecond != 0 {
		fault("size", "%v is not a whole number of milliseconds above 0", c.Size)
	}
	c.checkMeasures(fault)
	c.checkDecimals(fault)
	return faults
}

func (c *Config) checkUnit() error {
	if c.TimeUnit == "" {
		return nil
	}
	var unit event.TimeUnit
	return unit.UnmarshalText([]byte(c.TimeUnit))
}

// checkMeasures finds expressions that are wrong and measures that would use
// the same column.
func (c *Config) checkMeasures(fault func(path, format string, args ...any)) {
	switch n := len(c.Measures); {
	case n == 0:
		fault("measures", "needs at least one measure")
	case n > maxMeasures:
		fault("measures", "has %d measures; at most %d are possible", n, maxMeasures)
	}
	taken := map[string]string{} // column → whose it is
	for _, col := range ownColumns {
		taken[col.Name] = "every window"
	}
	for _, m := range c.Measures {
		at := "measures." + m.Name
		if err := sqlstore.CheckName(m.Name); err != nil {
			fault(at, "name %v", err)
		}
		f, _, err := parseExpr(m.Expr)
		if err != nil {
			fault(at, "%v", err)
			continue
		}
		for _, col := range f.columns(m.Name) {
			lower := strings.ToLower(col.Name)
			if owner, ok := taken[lower]; ok {
				fault(at, "needs column %s, which is a column of %s", col.Name, owner)
				continue
			}
			taken[lower] = "measure " + m.Name
		}
	}
}

// New implements [handler.Config].
func (c *Config) New(env handler.Env) (handler.Handler, error) {
	s, err := open(c, env)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Prefers implements [handler.Preferrer]: a commit waits for the disk, whatever
// the size of the batch.
func (c *Config) Prefers() handler.Preferences { return handler.Preferences{BatchSize: 2000} }

// Repeats implements [handler.Repeater].
func (c *Config) Repeats() handler.Repetition {
	return handler.Repetition{Effect: "is not counted again", Forgets: true}
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

// Preview implements [handler.Previewer]: the window that the delivery falls
// into and what it adds to each measure, null for nothing.
func (c *Config) Preview(_ handler.Env, d *handler.Delivery) (any, error) {
	p, err := c.plan()
	if err != nil {
		return nil, err
	}
	values := make([]value, len(p.paths))
	o, err := p.observe(d, values)
	if err != nil {
		return nil, err
	}
	adds := make(sqlstore.Record, len(p.measures))
	for i, m := range p.measures {
		adds[i] = sqlstore.Field{Name: m.name, Value: m.preview(values)}
	}
	return struct {
		Table string          `json:"table"`
		Key   any             `json:"key"`
		Start time.Time       `json:"window_start_utc"`
		Adds  sqlstore.Record `json:"adds"`
	}{c.Table, o.key.value(), time.UnixMilli(o.start).UTC(), adds}, nil
}
