package manifest_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"example.com/fanout/pkg/manifest"
	"example.com/fanout/pkg/telemetry"
)

// registry is a set of handler types shaped like the built-in ones.
type registry map[string]func() manifest.HandlerConfig

func (r registry) Names() []string {
	var names []string
	for name := range r {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (r registry) New(name string) (manifest.HandlerConfig, bool) {
	make, ok := r[name]
	if !ok {
		return manifest.HandlerConfig{}, false
	}
	return make(), true
}

type pathOf struct {
	Name string `yaml:",key"`
	Path string `yaml:",value"`
}

type logConfig struct {
	Level  string   `yaml:"level" default:"info" enum:"debug,info,warn,error,none" doc:"level of the lines"`
	Fields []pathOf `yaml:"fields" doc:"attributes"`
}

type sqlConfig struct {
	DSN      telemetry.Secret `yaml:"dsn" required:"true" doc:"the store"`
	Table    string           `yaml:"table" required:"true"`
	Columns  []pathOf         `yaml:"columns" required:"true" doc:"column: path"`
	Required []string         `yaml:"required"`
	Create   bool             `yaml:"create" default:"true"`
}

func (c *sqlConfig) check() []manifest.Finding {
	var found []manifest.Finding
	if c.DSN != "" && !strings.HasPrefix(c.DSN.Reveal(), "sqlite:") {
		found = append(found, manifest.Finding{Path: "dsn", Message: "unsupported store " + c.DSN.Reveal()}) // not careful on purpose
	}
	if c.Table == "" {
		found = append(found, manifest.Finding{Path: "table", Message: "is empty"})
	}
	for _, column := range c.Columns {
		if strings.HasPrefix(column.Name, "fanout_") {
			found = append(found, manifest.Finding{Path: "columns." + column.Name, Message: "names that begin with fanout_ are taken"})
		}
	}
	for i, name := range c.Required {
		if !slices.ContainsFunc(c.Columns, func(p pathOf) bool { return p.Name == name }) {
			found = append(found, manifest.Finding{Path: fmt.Sprintf("required[%d]", i), Message: fmt.Sprintf("no column %q", name)})
		}
	}
	return found
}

type liveConfig struct {
	Keep int `yaml:"keep" default:"10000" min:"1"`
}

type placesOf struct {
	Path   string `yaml:",key"`
	Places int    `yaml:",value"`
}

type windowConfig struct {
	Key      string           `yaml:"key"`
	Time     string           `yaml:"time"`
	Unit     string           `yaml:"time_unit" default:"auto" enum:"auto,s,ms,us,ns"`
	Size     time.Duration    `yaml:"size" required:"true" min:"1ms" max:"8760h"`
	Measures []pathOf         `yaml:"measures" required:"true"`
	Decimals []placesOf       `yaml:"decimals"`
	DSN      telemetry.Secret `yaml:"dsn" required:"true"`
	Table    string           `yaml:"table" required:"true"`
	Create   bool             `yaml:"create" default:"true"`
}

type header struct {
	Name  string           `yaml:",key"`
	Value telemetry.Secret `yaml:",value"`
}

type webhookConfig struct {
	URL     telemetry.Secret `yaml:"url" required:"true"`
	Secret  telemetry.Secret `yaml:"secret"`
	Headers []header         `yaml:"headers"`
	Batch   bool             `yaml:"batch"`
	Timeout time.Duration    `yaml:"timeout" default:"10s" min:"10ms" max:"1h"`
	TLS     *tlsConfig       `yaml:"tls"`
}

type tlsConfig struct {
	CAFile string            `yaml:"ca_file" required:"true"`
	Min    string            `yaml:"min" default:"1.2" enum:"1.2,1.3"`
	Pins   map[string]string `yaml:"pins"`
}

func (c *webhookConfig) check() []manifest.Finding {
	var found []manifest.Finding
	if u, err := url.Parse(c.URL.Reveal()); err != nil || u.Host == "" {
		found = append(found, manifest.Finding{Path: "url", Message: "want http:// or https://"})
	}
	if c.Secret == "" {
		found = append(found, manifest.Finding{Message: "requests are not signed without a secret", Warning: true})
	}
	return found
}

func handlers() manifest.Handlers {
	return registry{
		"live": func() manifest.HandlerConfig {
			return manifest.HandlerConfig{Config: &liveConfig{}, Doc: "events as they come"}
		},
		"log": func() manifest.HandlerConfig {
			return manifest.HandlerConfig{Config: &logConfig{}, Doc: "one line an entry"}
		},
		"sql": func() manifest.HandlerConfig {
			c := &sqlConfig{}
			return manifest.HandlerConfig{Config: c, Doc: "one row an entry", Check: c.check}
		},
		"window": func() manifest.HandlerConfig {
			return manifest.HandlerConfig{Config: &windowConfig{}, Doc: "windows by key"}
		},
		"webhook": func() manifest.HandlerConfig {
			c := &webhookConfig{}
			return manifest.HandlerConfig{Config: c, Doc: "POST an entry", Check: c.check, Prefers: func() (int, int) {
				if c.Batch {
					return 0, 0
				}
				return 1, 16
			}}
		},
	}
}

// options are those of a process with the environment env and these files.
func options(env map[string]string, files map[string]string) manifest.Options {
	return manifest.Options{
		Handlers: handlers(),
		CheckExpr: func(src string) error {
			if strings.Count(src, "(") != strings.Count(src, ")") {
				return fmt.Errorf("unexpected end\n | %s", src)
			}
			return nil
		},
		Getenv: func(name string) (string, bool) {
			value, ok := env[name]
			return value, ok
		},
		ReadFile: func(path string) ([]byte, error) {
			content, ok := files[path]
			if !ok {
				return nil, fmt.Errorf("no such file")
			}
			return []byte(content), nil
		},
	}
}
