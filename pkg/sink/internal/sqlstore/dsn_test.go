package sqlstore_test

import (
	"path/filepath"
	"strings"
	"testing"

	"example.com/fanout/pkg/sink/internal/sqlstore"
)

func TestCheckDSN(t *testing.T) {
	t.Parallel()
	tests := map[string]string{ // DSN → part of the fault, "" for none
		"sqlite:data/events.db":             "",
		"sqlite:/var/lib/events.db":         "",
		"sqlite:///var/lib/events.db":       "",
		"SQLITE:events.db":                  "",
		"sqlite:odd name%20é#.db":           "",
		"":                                  "is required",
		"events.db":                         "must begin with the kind",
		"sqlite:":                           "needs a path",
		"sqlite://data/events.db":           "sqlite:relative/path",
		"sqlite:data/":                      "is a folder",
		"sqlite::memory:":                   "keeps nothing",
		"sqlite:file::memory:?cache=shared": "keeps nothing",
		"sqlite:events.db?_pragma=synchronous(0)": "takes no options",
		"sqlite:a\x00b":                  "control character",
		"postgres://u:hunter2@host/db":   "postgres is not supported yet; use sqlite:",
		"postgresql://u:hunter2@host/db": "postgres is not supported yet; use sqlite:",
		"mysql://u:hunter2@host/db":      "not a kind of store",
		"hunter2":                        "must begin with the kind",
	}
	for dsn, want := range tests {
		err := sqlstore.CheckDSN(dsn)
		switch {
		case want == "" && err != nil:
			t.Errorf("CheckDSN(%q) = %v, want no fault", dsn, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("CheckDSN(%q) = %v, want %q in it", dsn, err, want)
		case err != nil && strings.Contains(err.Error(), "hunter2"):
			t.Errorf("CheckDSN(%q) = %v: shows a password", dsn, err)
		}
		if want == "" {
			continue
		}
		if _, err := sqlstore.Open(dsn); err == nil {
			t.Errorf("Open(%q) succeeded", dsn)
		}
		if path, ok := sqlstore.Path(dsn); ok {
			t.Errorf("Path(%q) = %q, want none", dsn, path)
		}
	}
}

func TestRedirect(t *testing.T) {
	t.Parallel()
	tests := []struct{ dsn, table, want string }{
		{"sqlite:data/analytics.db", "minutes", "analytics.db"},
		{"sqlite:///var/lib/x.db", "minutes", "x.db"},
		{"postgres://u:p@host/db", "minutes", "minutes.db"},
		{"postgres://u:p@host/db", "../odd/ü table", "___odd___table.db"},
		{"", "t", "t.db"},
	}
	for _, tt := range tests {
		got := sqlstore.Redirect(tt.dsn, tt.table, "/tmp/demo")
		if want := "sqlite:" + filepath.Join("/tmp/demo", tt.want); got != want {
			t.Errorf("Redirect(%q, %q) = %q, want %q", tt.dsn, tt.table, got, want)
		}
		if err := sqlstore.CheckDSN(got); err != nil {
			t.Errorf("CheckDSN(%q) = %v", got, err)
		}
	}
}
