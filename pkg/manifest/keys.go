package manifest

import (
	"fmt"
	"reflect"
	"strings"
	"time"
)

// Key describes one key of a handler, for a listing.
type Key struct {
	Name     string `json:"name"` // with dots where it stands below another
	Type     string `json:"type"`
	Default  string `json:"default,omitempty"`
	Required bool   `json:"required,omitempty"`
	Doc      string `json:"doc,omitempty"`
}

// Keys lists the keys of a handler's config, a pointer to a struct, in order.
func Keys(config any) []Key { return keysOf(reflect.TypeOf(config).Elem(), "") }

func keysOf(t reflect.Type, prefix string) []Key {
	var keys []Key
	for _, f := range fieldsOf(t) {
		inner := f.typ
		if inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		if name := typeName(inner); name != "" {
			keys = append(keys, Key{prefix + f.name, name + among(f.enum), f.preset, f.required, f.doc})
			continue
		}
		keys = append(keys, keysOf(inner, prefix+f.name+".")...)
	}
	return keys
}

// typeName says in the reader's words what a key takes; "" for a struct, whose
// own keys tell.
func typeName(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[time.Duration]():
		return "duration"
	case t == reflect.TypeFor[Size]():
		return "size"
	}
	switch t.Kind() {
	case reflect.Bool:
		return "bool"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64,
		reflect.Float32, reflect.Float64:
		return "number"
	case reflect.Slice:
		if _, _, ordered := keyValue(t.Elem()); ordered {
			return "mapping"
		}
		return "list"
	case reflect.Map:
		return "mapping"
	case reflect.Struct:
		if len(fieldsOf(t)) > 0 {
			return ""
		}
	}
	return "text"
}

func among(enum []string) string {
	if len(enum) == 0 {
		return ""
	}
	return fmt.Sprintf(" (%s)", strings.Join(enum, ", "))
}
