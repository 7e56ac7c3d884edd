package handler_test

import (
	"slices"
	"strings"
	"testing"

	"example.com/fanout/pkg/handler"
)

func TestRegistry(t *testing.T) {
	t.Parallel()
	factory := func(doc string) handler.Factory {
		return handler.Factory{Doc: doc, Config: func() handler.Config { return &riskConfig{} }}
	}
	var r handler.Registry
	if _, ok := r.Lookup("log"); ok || len(r.Names()) != 0 {
		t.Errorf("an empty registry has %v", r.Names())
	}
	for _, name := range []string{"webhook", "log", "sql"} {
		r.Register(name, factory("doc of "+name))
	}
	if got := r.Names(); !slices.Equal(got, []string{"log", "sql", "webhook"}) {
		t.Errorf("names %v, want them in order", got)
	}
	if f, ok := r.Lookup("sql"); !ok || f.Doc != "doc of sql" {
		t.Errorf("sql is %+v, %t", f, ok)
	}
	if _, ok := r.Lookup("SQL"); ok {
		t.Errorf("SQL is sql")
	}
	for name, c := range map[string]struct {
		register func()
		says     string
	}{
		"a taken name":    {func() { r.Register("sql", factory("")) }, `"sql" is registered twice`},
		"an empty name":   {func() { r.Register("", factory("")) }, "needs a name"},
		"a missing maker": {func() { r.Register("risk", handler.Factory{}) }, "needs a name and a Config"},
	} {
		if got := panicOf(c.register); !strings.Contains(got, c.says) {
			t.Errorf("%s: the panic says %q, want %q", name, got, c.says)
		}
	}
	if f, _ := r.Lookup("sql"); f.Doc != "doc of sql" || len(r.Names()) != 3 {
		t.Errorf("a refused registration has changed the registry")
	}
}

func panicOf(f func()) (text string) {
	defer func() { text, _ = recover().(string) }()
	f()
	return ""
}
