package manifest

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

// object is a JSON object; encoding it puts its keys in order.
type object map[string]any

// Schema is the JSON Schema (draft 2020-12) of a manifest whose groups may use
// these handlers. It comes from the structs and tags that [Parse] fills, so
// what it refuses Parse refuses too; it cannot tell everything that Parse can.
func Schema(h Handlers) ([]byte, error) {
	top := structSchema(reflect.TypeFor[Manifest](), false)
	group := structSchema(reflect.TypeFor[Group](), false)
	group["type"] = "object"
	group["required"] = []string{"handler"}
	group["properties"].(object)["handler"] = handlerSchema(h)

	defaults := structSchema(reflect.TypeFor[Group](), true)
	defaults["description"] = "what every group begins with; a group's own keys win, key by key"

	properties := top["properties"].(object)
	properties["defaults"] = defaults
	properties["groups"] = object{
		"type":                 "object",
		"description":          "the consumer groups by name",
		"minProperties":        1,
		"propertyNames":        object{"pattern": dnsLabel.String()},
		"additionalProperties": object{"$ref": "#/$defs/group"},
	}
	top["type"] = "object"
	top["required"] = []string{"version", "groups"}
	top["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	top["title"] = "groups.yaml"
	top["$defs"] = object{"group": group}
	text, err := json.MarshalIndent(top, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode schema: %w", err)
	}
	return append(text, '\n'), nil
}

// handlerSchema allows one type with its keys, or the bare name of a type.
// Editors complete and explain one mapping of at most one key far better than
// a choice between mappings.
func handlerSchema(h Handlers) object {
	types := object{}
	names := []string{}
	if h != nil {
		names = h.Names()
	}
	for _, name := range names {
		config, ok := h.New(name)
		if !ok {
			continue
		}
		s := structSchema(reflect.TypeOf(config.Config).Elem(), false)
		if s["required"] != nil {
			s["type"] = "object"
		}
		if config.Doc != "" {
			s["description"] = config.Doc
		}
		types[name] = s
	}
	return object{
		"description": "what the group does with its entries: one type and its keys",
		"anyOf": []any{
			object{"type": "object", "properties": types, "additionalProperties": false, "minProperties": 1, "maxProperties": 1},
			object{"enum": names},
			interpolated,
		},
	}
}

// interpolated is a scalar that holds a variable: its value is not known yet.
var interpolated = object{"type": "string", "pattern": `\$\{`}

// structSchema is a mapping of keys; nothing at all is an empty one.
func structSchema(t reflect.Type, defaults bool) object {
	properties, required := object{}, []string{}
	for _, f := range fieldsOf(t) {
		if defaults && f.groupOnly {
			continue
		}
		properties[f.name] = f.schema(f.typ, defaults)
		if f.required {
			required = append(required, f.name)
		}
	}
	s := object{"type": []string{"object", "null"}, "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		s["required"] = required
	}
	return s
}

// schema is what the key may hold.
func (f *field) schema(t reflect.Type, defaults bool) object {
	s := f.shape(t, defaults)
	var doc []string
	if f.doc != "" {
		doc = append(doc, f.doc)
	}
	if limits := f.limits(t); limits != "" {
		doc = append(doc, limits)
	}
	if len(doc) > 0 {
		s["description"] = strings.Join(doc, "; ")
	}
	if f.preset != "" {
		s["default"] = f.preset
		if t.Kind() == reflect.Bool {
			s["default"] = f.preset == "true"
		} else if n, err := parseDecimal(f.preset); err == nil && !isText(t) && t.Kind() != reflect.String {
			s["default"] = n
		}
	}
	return s
}

// limits are the bounds that only words can tell, those of numbers with units.
func (f *field) limits(t reflect.Type) string {
	if t != durationType && !isText(t) || f.min == "" && f.max == "" {
		return ""
	}
	switch {
	case f.max == "":
		return "at least " + f.min
	case f.min == "":
		return "at most " + f.max
	}
	return f.min + " to " + f.max
}

// durationPattern is what time.ParseDuration reads, without a minus.
const durationPattern = `^\+?(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+$|^0$`

// scalarSchema is implemented by the types of values that read their own text.
type scalarSchema interface{ schema() object }

func (Size) schema() object {
	return anyOf(object{"type": "integer", "minimum": 0}, object{"type": "string", "pattern": `^[0-9]+(B|KiB|MiB|GiB)?$`})
}

func (Linger) schema() object {
	return anyOf(object{"const": 0}, object{"type": "string", "pattern": "^auto$|" + durationPattern})
}

func (Start) schema() object {
	return anyOf(object{"type": "integer", "minimum": 0},
		object{"type": "string", "pattern": `^(earliest|latest|[0-9]+(-[0-9]+)?|[0-9]{4}-[0-9]{2}-[0-9]{2}T.+)$`})
}

func (Signal) schema() object {
	return anyOf(object{"type": "integer", "minimum": firstRT, "maximum": lastRT},
		object{"type": "string", "pattern": `^(SIG)?(USR[12]|RTMIN\+([1-9]|[12][0-9]|30))$|^(3[5-9]|[45][0-9]|6[0-4])$`})
}

func anyOf(forms ...any) object { return object{"anyOf": append(forms, interpolated)} }

// shape is the form of a value of type t.
func (f *field) shape(t reflect.Type, defaults bool) object {
	switch {
	case isText(t):
		if s, ok := reflect.Zero(t).Interface().(scalarSchema); ok {
			return s.schema()
		}
		return object{"type": []string{"string", "number", "boolean"}}
	case t == durationType:
		return anyOf(object{"const": 0}, object{"type": "string", "pattern": durationPattern})
	case isStruct(t):
		return structSchema(t, defaults)
	}
	switch t.Kind() {
	case reflect.Pointer:
		return f.shape(t.Elem(), defaults)
	case reflect.Slice:
		if _, value, ok := keyValue(t.Elem()); ok {
			return object{"type": []string{"object", "null"}, "additionalProperties": value.schema(value.typ, defaults)}
		}
		return object{"type": []string{"array", "null"}, "items": f.shape(t.Elem(), defaults)}
	case reflect.Map:
		return object{"type": []string{"object", "null"}, "additionalProperties": f.shape(t.Elem(), defaults)}
	case reflect.Bool:
		return anyOf(object{"type": "boolean"}, object{"enum": []string{"true", "false"}})
	case reflect.String:
		if len(f.enum) > 0 {
			return anyOf(object{"enum": f.enum})
		}
		return object{"type": []string{"string", "number", "boolean"}}
	}
	return f.number(t)
}

func (f *field) number(t reflect.Type) object {
	s := object{"type": "integer"}
	if t.Kind() == reflect.Float32 || t.Kind() == reflect.Float64 {
		s["type"] = "number"
	}
	if f.min != "" {
		s["minimum"] = json.Number(f.min)
	}
	if f.max != "" {
		s["maximum"] = json.Number(f.max)
	}
	if len(f.enum) > 0 {
		allowed := make([]any, len(f.enum))
		for i, text := range f.enum {
			allowed[i] = json.Number(text)
		}
		s["enum"] = allowed
	}
	return anyOf(s, object{"type": "string", "pattern": `^-?[0-9]+$`}) // a number in quotes, its bounds unseen
}
