package builtin_test

import (
	"reflect"
	"slices"
	"testing"

	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/sink/builtin"
)

func TestRegistry(t *testing.T) {
	t.Parallel()
	r := builtin.Registry()
	if got, want := r.Names(), []string{"live", "log", "sql", "webhook", "window"}; !slices.Equal(got, want) {
		t.Errorf("names are %q, want %q", got, want)
	}
	for _, name := range r.Names() {
		f, _ := r.Lookup(name)
		if f.Doc == "" {
			t.Errorf("%s has no doc", name)
		}
		c := f.Config()
		_, redirects := c.(handler.Redirecter)
		_, local := c.(handler.Local)
		if redirects == local {
			t.Errorf("%s: is either local or redirected in a demo", name)
		}
		if _, previews := c.(handler.Previewer); !previews && !local {
			t.Errorf("%s writes outward and has no preview", name)
		}
		s := reflect.TypeOf(c).Elem()
		for i := range s.NumField() {
			if f := s.Field(i); f.IsExported() && (f.Tag.Get("yaml") == "" || f.Tag.Get("doc") == "") {
				t.Errorf("%s: key %s has no name or no doc", name, f.Name)
			}
		}
	}
}

// Another program's handlers stay its own.
func TestRegistryIsNew(t *testing.T) {
	t.Parallel()
	r := builtin.Registry()
	log, _ := r.Lookup("log")
	r.Register("risk", log)
	if _, ok := builtin.Registry().Lookup("risk"); ok {
		t.Error("two registries share their handlers")
	}
}
